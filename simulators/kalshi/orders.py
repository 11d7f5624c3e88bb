"""Orders in terms of the YES book, whichever wire they came over."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """The side of the YES book: a bid buys YES, an ask sells YES, which is buying NO at one minus the price."""

    BID = "bid"
    ASK = "ask"

    @property
    def other(self) -> "Side":
        return Side.ASK if self is Side.BID else Side.BID


class Force(StrEnum):
    """How long an order stays."""

    GTC = "good_till_canceled"
    IOC = "immediate_or_cancel"
    FOK = "fill_or_kill"


class Prevention(StrEnum):
    """Which of two own orders yields when they would meet."""

    TAKER = "taker_at_cross"
    MAKER = "maker"


class Status(StrEnum):
    """Where an order is in its life."""

    RESTING = "resting"
    CANCELED = "canceled"
    EXECUTED = "executed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a client asks for; ``outcome`` and ``action`` are the older wire's words for the same side."""

    ticker: str
    side: Side
    price: Decimal
    count: int
    force: Force = Force.GTC
    prevention: Prevention = Prevention.TAKER
    client_order_id: str = ""
    expires: datetime | None = None
    post_only: bool = False
    reduce_only: bool = False
    cancel_on_pause: bool = False
    group: str = ""
    max_cost: Decimal | None = None
    outcome: str = ""
    action: str = ""


@dataclass(slots=True, kw_only=True)
class Order:
    """An order the venue took in.

    ``initial`` changes only by amendment, ``owed`` is the fee rounding due back, ``maker_fee`` what each contract may
    cost when it rests.
    """

    id: str
    account: str
    sequence: int
    event_ticker: str
    ticket: Ticket
    price: Decimal
    initial: int
    remaining: int
    created: datetime
    updated: datetime
    client_order_id: str
    status: Status = Status.RESTING
    filled: int = 0
    taker_cost: Decimal = Decimal(0)
    maker_cost: Decimal = Decimal(0)
    taker_fees: Decimal = Decimal(0)
    maker_fees: Decimal = Decimal(0)
    owed: Decimal = Decimal(0)
    maker_fee: Decimal = Decimal(0)
    hidden_until: float = 0.0

    @property
    def ticker(self) -> str:
        return self.ticket.ticker

    @property
    def side(self) -> Side:
        return self.ticket.side

    @property
    def is_resting(self) -> bool:
        return self.status is Status.RESTING

    def cancel(self, now: datetime) -> int:
        """End the order; return how many contracts that took off the book."""
        reduced, self.remaining = self.remaining, 0
        self.status, self.updated = Status.CANCELED, now
        return reduced


def unit_cost(side: Side, price: Decimal) -> Decimal:
    """Return what one contract costs the buyer of its outcome: the YES price, or one minus it for NO."""
    return price if side is Side.BID else 1 - price
