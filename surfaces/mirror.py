"""The dry run's account as the journals know it, for a process that does not see it being closed."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from audit.fold import SurfaceFold
from audit.restore import trades_of
from brokers.connect import without_socket
from brokers.port import Account, BrokerTrade, Executor, Fill, RestingExecutor, RestingOrder
from domain.ids import signal_of_order
from domain.order import OrderEvent, OrderIntent
from domain.vocabulary import Leg, Link, Mode

if TYPE_CHECKING:
    from brokers.dry_run.executor import DryRunExecutor


class MirrorExecutor:
    """A dry run's executor whose open trades are read from the fold.

    The resolver closes a dry run's trades in its own process; only the journals tell the surface about it.
    """

    def __init__(self, executor: Executor, fold: SurfaceFold) -> None:
        self._executor = executor
        self._fold = fold

    def account(self) -> Account:
        return self._executor.account()

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        return self._executor.submit(intent)

    def find(self, client_order_id: str, *, since: datetime) -> Sequence[OrderEvent]:
        return self._executor.find(client_order_id, since=since)

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        return self._executor.cancel(client_order_id)

    def open_trades(self) -> Sequence[BrokerTrade]:
        return trades_of(self._fold.positions())

    def protect(
        self, trade_id: str, *, stop_loss: Decimal, take_profit: Decimal | None, trailing_distance: Decimal | None
    ) -> None:
        self._executor.protect(
            trade_id, stop_loss=stop_loss, take_profit=take_profit, trailing_distance=trailing_distance
        )

    def fills_since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        return self._executor.fills_since(cursor)

    def close(self) -> None:
        self._executor.close()


class RestingMirror(MirrorExecutor):
    """The same for an account at which orders rest: what the journals know to rest or to be closed is told it first.

    Its own open trades are shown, because an entry that rested may have filled a moment before the journals hear of it.
    """

    def __init__(self, executor: "DryRunExecutor", fold: SurfaceFold) -> None:
        super().__init__(executor, fold)
        self._dry_run = executor
        executor.restore(trades_of(fold.positions()))
        unfinished = [*fold.unfinished(Leg.ENTRY), *fold.unfinished(Leg.STOP)]
        executor.restore_orders([(intent, fold.intended_at[intent.client_order_id]) for intent in unfinished])

    def link(self) -> tuple[Link, str]:
        return self._dry_run.link()

    def resting(self) -> Sequence[RestingOrder]:
        self._forget_closed()
        return self._dry_run.resting()

    def amend(self, client_order_id: str, *, quantity: Decimal) -> Sequence[OrderEvent]:
        return self._dry_run.amend(client_order_id, quantity=quantity)

    def open_trades(self) -> Sequence[BrokerTrade]:
        self._forget_closed()
        return self._dry_run.open_trades()

    def _forget_closed(self) -> None:
        for trade in self._dry_run.open_trades():
            parsed = signal_of_order(trade.client_order_id or "")
            if parsed is not None and self._is_closed(parsed[1]):
                self._dry_run.forget(trade.trade_id)

    def _is_closed(self, signal_id: str) -> bool:
        position = self._fold.position(signal_id)
        return signal_id in self._fold.resolutions or (position is not None and not position.quantity)


def mirrored(mode: Mode, executor: RestingExecutor, fold: SurfaceFold) -> RestingExecutor:
    """Return the executor a surface trades with: in a dry run a mirror of the journals, otherwise the one given."""
    if mode is not Mode.DRY_RUN:
        return executor
    return RestingMirror(without_socket(executor), fold)
