"""The imaginary account: trades, fills and the balance they leave."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from brokers.dry_run.protection import Protection, changed, protection_of
from brokers.port import BrokerTrade, Fill
from domain.clock import Clock
from domain.errors import Refuse
from domain.ids import signal_of_order
from domain.vocabulary import ExitReason

MICROSECONDS = 1_000_000
NOTHING = Decimal(0)


class Book:
    """Holds what a broker would hold.

    Transaction numbers are the clock's microseconds, so that those of two processes, and of two lives of one process,
    keep the order in which things happened; cursors can be handed from one to the other.

    Args:
        stop_orders: whether the stop of a trade is an order of its own, with an id of ours.
    """

    def __init__(self, clock: Clock, *, balance: Decimal, currency: str, stop_orders: bool = False) -> None:
        self._clock = clock
        self._stop_orders = stop_orders
        self.balance = balance
        self.currency = currency
        self.trades: dict[str, BrokerTrade] = {}
        self.protections: dict[str, Protection] = {}
        self._closed: set[str] = set()
        self._fills: list[Fill] = []
        self.last_id = self._stamp()

    def restore(self, trades: Iterable[BrokerTrade]) -> None:
        """Take over trades that were opened elsewhere; one known already, open or closed, stays as it is."""
        for trade in trades:
            if trade.trade_id not in self.trades and trade.trade_id not in self._closed:
                self._hold(trade)

    def next_id(self) -> str:
        self.last_id = max(self.last_id + 1, self._stamp())
        return str(self.last_id)

    def open(self, trade: BrokerTrade, fee: Decimal = NOTHING) -> Fill:
        """Book an entry; the trade's id is its fill's."""
        self._hold(trade)
        self.balance -= fee
        fill = Fill(
            transaction_id=trade.trade_id,
            trade_id=trade.trade_id,
            client_order_id=trade.client_order_id,
            opened_by=trade.client_order_id,
            market=trade.market,
            side=trade.side,
            quantity=trade.quantity,
            price=trade.price,
            realised=NOTHING,
            fee=fee,
            currency=self.currency,
            closes=False,
            reason=None,
            happened_at=trade.opened_at,
        )
        self._fills.append(fill)
        return fill

    def close(
        self,
        trade: BrokerTrade,
        *,
        quantity: Decimal,
        price: Decimal,
        rate: Decimal,
        at: datetime,
        client_order_id: str | None = None,
        reason: ExitReason | None = None,
        fee: Decimal = NOTHING,
    ) -> Fill:
        """Book an exit, whole or in part, with its profit in home currency at ``rate``."""
        realised = ((price - trade.price) * trade.side.sign * quantity * rate).quantize(Decimal("0.0001"))
        fill = Fill(
            transaction_id=self.next_id(),
            trade_id=trade.trade_id,
            client_order_id=client_order_id,
            opened_by=trade.client_order_id,
            market=trade.market,
            side=trade.side.opposite,
            quantity=quantity,
            price=price,
            realised=realised,
            fee=fee,
            currency=self.currency,
            closes=True,
            reason=reason,
            happened_at=at,
        )
        self._reduce(trade, quantity)
        self.balance += realised - fee
        self._fills.append(fill)
        return fill

    def settle(self, market: str, value: Decimal | None, at: datetime) -> Sequence[Fill]:
        """End every trade of a contract at what YES paid, at its own price when that is None."""
        ended = [trade for trade in self.trades.values() if trade.market == market]
        return [
            self.close(
                trade,
                quantity=trade.quantity,
                price=trade.price if value is None else value,
                rate=Decimal(1),
                at=at,
                reason=ExitReason.SETTLED,
            )
            for trade in ended
        ]

    def protect(self, trade_id: str, stop: Decimal, target: Decimal | None, trailing: Decimal | None) -> None:
        trade = self.trades.get(trade_id)
        if trade is None:
            raise Refuse("an open trade", f"trade {trade_id}", "read open_trades again")
        levels = replace(trade, stop_loss=stop, take_profit=target, trailing_distance=trailing, trailing_percent=None)
        is_same_trail = (trailing, None) == (trade.trailing_distance, trade.trailing_percent)
        self.relevel(levels, best=None if is_same_trail else trade.price)

    def relevel(
        self, trade: BrokerTrade, *, best: Decimal | None, order_id: str | None = None, quantity: Decimal | None = None
    ) -> None:
        """Give an open trade the levels it now carries, and its stop another order where one is named.

        Args:
            best: what a trailing stop starts from; the best price there has been when None.
        """
        known = changed(self.protections[trade.trade_id], trade, best=best)
        if order_id is not None:
            known = replace(known, order_id=order_id, quantity=quantity or known.quantity)
        self.trades[trade.trade_id] = trade
        self.protections[trade.trade_id] = known

    def forget(self, trade_id: str) -> None:
        """Hold a trade no more, and never again."""
        self.trades.pop(trade_id, None)
        self.protections.pop(trade_id, None)
        self._closed.add(trade_id)

    def lay_bare(self, trade: BrokerTrade) -> None:
        """Leave an open trade without a stop."""
        self.relevel(replace(trade, stop_loss=None, trailing_distance=None, trailing_percent=None), best=None)

    def of_stop(self, order_id: str) -> BrokerTrade | None:
        """Return the trade that this stop order protects now."""
        for trade_id, known in self.protections.items():
            if known.order_id == order_id and known.has_stop:
                return self.trades[trade_id]
        return None

    def of_signal(self, signal_id: str) -> BrokerTrade | None:
        for trade in self.trades.values():
            parsed = signal_of_order(trade.client_order_id or "")
            if parsed is not None and parsed[1] == signal_id:
                return trade
        return None

    def since(self, cursor: str) -> Sequence[Fill]:
        if not cursor.isdigit():
            raise Refuse("a transaction id as cursor", repr(cursor), "start from account().cursor")
        return [fill for fill in self._fills if int(fill.transaction_id) > int(cursor)]

    def _hold(self, trade: BrokerTrade) -> None:
        self.trades[trade.trade_id] = trade
        self.protections[trade.trade_id] = protection_of(trade, stop_orders=self._stop_orders)

    def _reduce(self, trade: BrokerTrade, quantity: Decimal) -> None:
        left = trade.quantity - quantity
        if left > 0:
            self.trades[trade.trade_id] = replace(trade, quantity=left)
            self.protections[trade.trade_id] = self.protections[trade.trade_id].reduced(left)
            return
        self.forget(trade.trade_id)

    def _stamp(self) -> int:
        return int(self._clock.now().timestamp() * MICROSECONDS)
