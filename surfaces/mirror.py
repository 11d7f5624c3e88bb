"""The dry run's account as the journals know it, for a process that does not see it being closed."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from audit.fold import SurfaceFold
from audit.restore import trades_of
from brokers.port import Account, BrokerTrade, Executor, Fill
from domain.order import OrderEvent, OrderIntent


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
