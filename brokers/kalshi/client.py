"""One Kalshi account behind the two protocols of ``brokers.port``."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from brokers.grace import Grace
from brokers.kalshi.config import KalshiConfig
from brokers.kalshi.cursor import FillReader
from brokers.kalshi.history import Histories
from brokers.kalshi.holdings import Holdings
from brokers.kalshi.listings import Listings
from brokers.kalshi.orders import Orders
from brokers.kalshi.prices import KalshiData
from brokers.kalshi.wire import Wire
from brokers.port import Account, BrokerTrade, Fill
from domain.clock import Clock
from domain.order import OrderEvent, OrderIntent

__all__ = ["KalshiData", "KalshiExecutor", "connect"]


def connect(config: KalshiConfig, clock: Clock) -> tuple[KalshiData, "KalshiExecutor"]:
    """Return both halves of one account, sharing its rate limit. Nothing is sent before the first call.

    Raises:
        Misconfigured: the private key cannot be read.
    """
    wire = Wire(config, clock)
    listings = Listings(wire)
    return KalshiData(wire, listings), KalshiExecutor(wire, listings)


class KalshiExecutor:
    """Executor of one Kalshi account, which several surfaces may share."""

    def __init__(self, wire: Wire, listings: Listings) -> None:
        histories = Histories(wire)
        self._wire = wire
        self._orders = Orders(wire, histories, listings, Grace(wire.clock, wire.config.fresh_order_grace_s))
        self._holdings = Holdings(wire, histories)
        self._fills = FillReader(wire, histories)

    def account(self) -> Account:
        return self._holdings.account(self._fills.now())

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        return self._orders.submit(intent)

    def find(self, client_order_id: str, *, since: datetime) -> Sequence[OrderEvent]:
        return self._orders.find(client_order_id, since)

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        return self._orders.cancel(client_order_id)

    def cancel_all(self) -> None:
        """Take every resting order of the account off the book, ours or not: for stopping everything at once."""
        self._orders.cancel_all()

    def open_trades(self) -> Sequence[BrokerTrade]:
        return self._holdings.trades()

    def protect(
        self, trade_id: str, *, stop_loss: Decimal, take_profit: Decimal | None, trailing_distance: Decimal | None
    ) -> None:
        """Do nothing: a contract is paid for in full, so its own bounds of 0 and 1 are its stop and target."""

    def fills_since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        return self._fills.since(cursor)

    def close(self) -> None:
        self._wire.close()
