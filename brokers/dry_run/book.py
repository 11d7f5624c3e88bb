"""The imaginary account: trades, fills and the balance they leave."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from brokers.dry_run import triggers
from brokers.port import BrokerTrade, Fill
from domain.clock import Clock
from domain.errors import Refuse
from domain.vocabulary import ExitReason

MICROSECONDS = 1_000_000
NOTHING = Decimal(0)


class Book:
    """Holds what a broker would hold.

    Transaction numbers are the clock's microseconds, so that those of two processes, and of two lives of one process,
    keep the order in which things happened; cursors can be handed from one to the other.
    """

    def __init__(self, clock: Clock, *, balance: Decimal, currency: str) -> None:
        self._clock = clock
        self.balance = balance
        self.currency = currency
        self.trades: dict[str, BrokerTrade] = {}
        self.trails: dict[str, Decimal | None] = {}
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

    def protect(self, trade_id: str, stop: Decimal, target: Decimal | None, trailing: Decimal | None) -> None:
        trade = self.trades.get(trade_id)
        if trade is None:
            raise Refuse("an open trade", f"trade {trade_id}", "read open_trades again")
        levels = replace(trade, stop_loss=stop, take_profit=target, trailing_distance=trailing)
        self.trades[trade_id] = levels
        if trailing != trade.trailing_distance:
            self.trails[trade_id] = triggers.first_trail(levels)

    def since(self, cursor: str) -> Sequence[Fill]:
        if not cursor.isdigit():
            raise Refuse("a transaction id as cursor", repr(cursor), "start from account().cursor")
        return [fill for fill in self._fills if int(fill.transaction_id) > int(cursor)]

    def _hold(self, trade: BrokerTrade) -> None:
        self.trades[trade.trade_id] = trade
        self.trails[trade.trade_id] = triggers.first_trail(trade)

    def _reduce(self, trade: BrokerTrade, quantity: Decimal) -> None:
        left = trade.quantity - quantity
        if left > 0:
            self.trades[trade.trade_id] = replace(trade, quantity=left)
            return
        del self.trades[trade.trade_id], self.trails[trade.trade_id]
        self._closed.add(trade.trade_id)

    def _stamp(self) -> int:
        return int(self._clock.now().timestamp() * MICROSECONDS)
