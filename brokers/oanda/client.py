"""One OANDA account behind the two protocols of ``brokers.port``."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from brokers.grace import Grace
from brokers.oanda import outcome
from brokers.oanda.account import AccountReader
from brokers.oanda.book import TradeBook
from brokers.oanda.config import OandaConfig
from brokers.oanda.cursor import FillReader
from brokers.oanda.exits import Exits
from brokers.oanda.orders import LOOK_BACK, Entries, Protection
from brokers.oanda.prices import OandaMarketData
from brokers.oanda.transactions import TransactionLog
from brokers.oanda.wire import Wire
from brokers.port import Account, BrokerTrade, Fill
from domain.clock import Clock
from domain.order import OrderEvent, OrderIntent
from domain.vocabulary import Leg

__all__ = ["OandaExecutor", "OandaMarketData", "connect"]


def connect(config: OandaConfig, clock: Clock) -> tuple[OandaMarketData, "OandaExecutor"]:
    """Return both halves of one account, sharing its rate limit. Nothing is sent before the first call."""
    wire = Wire(config, clock)
    reader = AccountReader(wire)
    return OandaMarketData(wire, reader), OandaExecutor(wire, reader)


class OandaExecutor:
    """Executor of one OANDA account."""

    def __init__(self, wire: Wire, reader: AccountReader) -> None:
        log, book = TransactionLog(wire), TradeBook(reader)
        grace = Grace(wire.clock, wire.config.fresh_order_grace_s)
        self._wire = wire
        self._reader = reader
        self._entries = Entries(wire, reader, log, grace)
        self._exits = Exits(wire, reader, log, book, grace)
        self._protection = Protection(wire, reader, book)
        self._fills = FillReader(wire, reader, log, book)

    def account(self) -> Account:
        return self._reader.summary()

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        return self._exits.submit(intent) if intent.leg is Leg.EXIT else self._entries.submit(intent)

    def find(self, client_order_id: str, *, since: datetime) -> Sequence[OrderEvent]:
        ticket = outcome.ticket_of_id(client_order_id, self._reader.currency(), self._wire.clock.now())
        if ticket.leg is Leg.EXIT:
            return self._exits.find(ticket, since)
        return self._entries.find(ticket, since)

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        ticket = outcome.ticket_of_id(client_order_id, self._reader.currency(), self._wire.clock.now())
        if ticket.leg is Leg.ENTRY:
            self._entries.cancel(client_order_id)
        return self.find(client_order_id, since=self._wire.clock.now() - LOOK_BACK)

    def open_trades(self) -> Sequence[BrokerTrade]:
        return self._reader.open_trades()

    def protect(
        self, trade_id: str, *, stop_loss: Decimal, take_profit: Decimal | None, trailing_distance: Decimal | None
    ) -> None:
        self._protection.protect(trade_id, stop_loss, take_profit, trailing_distance)

    def fills_since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        return self._fills.since(cursor)

    def close(self) -> None:
        self._wire.close()
