"""What a broker must offer, whoever it is.

Market data and execution are two protocols, because a dry run trades on real prices without an account.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.order import OrderEvent, OrderIntent
from domain.quotes import Bar, Instrument, Quote
from domain.vocabulary import ExitReason, Link, Side, TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The broker's own figures, in ``currency``; ``equity`` is balance plus open profit."""

    account_id: str
    currency: str
    balance: Decimal
    equity: Decimal
    margin_used: Decimal
    margin_available: Decimal
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerTrade:
    """A position open at the broker.

    ``client_order_id`` is the entry order's id as we gave it, None when somebody else opened the trade.
    """

    trade_id: str
    client_order_id: str | None
    market: str
    side: Side
    quantity: Decimal
    price: Decimal
    opened_at: datetime
    stop_loss: Decimal | None
    take_profit: Decimal | None
    trailing_distance: Decimal | None
    trailing_percent: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution, keyed by the broker's transaction id.

    ``side`` is the execution's own: an exit has the opposite of its trade's. Where one transaction touched several
    trades, the second and later are keyed ``id:trade``.

    ``closes`` tells an exit from an entry; ``client_order_id`` is that of the order which filled, or None for a
    protective order resting at the broker; ``opened_by`` is the entry order's id of the trade concerned. ``realised``
    is what the broker booked, in ``currency``. A higher ``revision`` of an id takes the place of a lower one: the
    broker corrected what it told before, and a quantity of zero says that it never was.
    """

    transaction_id: str
    trade_id: str
    client_order_id: str | None
    opened_by: str | None
    market: str
    side: Side
    quantity: Decimal
    price: Decimal
    realised: Decimal
    fee: Decimal
    currency: str
    closes: bool
    reason: ExitReason | None
    happened_at: datetime
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingOrder:
    """An order that is live at the broker, whoever placed it.

    ``client_order_id`` is our id, None when somebody else placed it; ``quantity`` is what has not filled yet.
    ``trigger`` is the price at which a stop becomes active, as it stands now where the broker tells; ``limit`` the
    worst price it may fill at. ``triggered`` says that the market has reached it. A trailing stop has a
    ``trailing_percent`` or a ``trailing_distance``.
    """

    client_order_id: str | None
    broker_order_id: str
    market: str
    side: Side
    quantity: Decimal
    trigger: Decimal | None = None
    limit: Decimal | None = None
    trailing_percent: Decimal | None = None
    trailing_distance: Decimal | None = None
    tif: TimeInForce | None = None
    triggered: bool = False


class MarketData(Protocol):
    """Prices and instruments. Every call raises Retry when the venue cannot answer now."""

    def instruments(self, names: Sequence[str]) -> Mapping[str, Instrument]:
        """Return name -> instrument for those the venue lists; others are absent."""

    def quotes(self, markets: Sequence[str]) -> Mapping[str, Quote]:
        """Return market -> latest quote, from the stream while it is fresh and by polling otherwise.

        A market whose feed is dead is absent rather than old.
        """

    def bars(self, market: str, period_s: int, *, start: datetime, end: datetime | None = None) -> Sequence[Bar]:
        """Return the closed bars with ``start <= bar.start`` (and ``< end``), oldest first, at most 5,000."""

    def close(self) -> None:
        """Stop streams and give connections back."""


class Executor(Protocol):
    """An account that can trade."""

    def account(self) -> Account:
        """Return the account's figures. Raises Retry."""

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Send one order, once.

        Returns:
            What the broker answered, in order; the last event's state is the order's state.

        Raises:
            Retry: proven that nothing reached the broker.
            Ask: the outcome is unknown; call ``find`` before anything else.
        """

    def find(self, client_order_id: str, *, since: datetime) -> Sequence[OrderEvent]:
        """Return what the broker knows of an order by our id; one ABSENT event when it proves to know nothing.

        Raises:
            Retry: the broker could not answer, or the order is too fresh to prove its absence.
        """

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        """Cancel a resting order by our id; cancelling one that is done is no error."""

    def open_trades(self) -> Sequence[BrokerTrade]:
        """Return every trade open in the account, ours or not. Raises Retry."""

    def protect(
        self, trade_id: str, *, stop_loss: Decimal, take_profit: Decimal | None, trailing_distance: Decimal | None
    ) -> None:
        """Make exactly these protective orders rest at the broker for one trade."""

    def fills_since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        """Return executions after ``cursor`` (exclusive, in order, each once) and the cursor to ask with next."""

    def close(self) -> None:
        """Give connections back."""


class RestingExecutor(Executor, Protocol):
    """An account at which entries and protective orders rest as orders of their own, each with an id of ours.

    ``submit`` takes intents of the leg ``STOP`` too, and entries with a ``trigger``; an entry's own protective order
    goes with it in one piece, under the id of attempt 1 of the leg ``STOP``.
    """

    def link(self) -> tuple[Link, str]:
        """Return whether the broker can be traded with now, and why not."""

    def resting(self) -> Sequence[RestingOrder]:
        """Return every order live in the account, ours or not. Raises Retry."""

    def amend(self, client_order_id: str, *, quantity: Decimal) -> Sequence[OrderEvent]:
        """Give a resting order of ours another quantity, keeping all else. Raises Retry, Ask or Refuse."""
