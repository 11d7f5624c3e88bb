"""Orders, executions and commissions as the venue keeps them."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

Side = Literal["BUY", "SELL"]
Kind = Literal["MKT", "LMT", "STP", "STP LMT", "TRAIL", "TRAIL LIMIT"]
Tif = Literal["DAY", "GTC"]
Status = Literal["PreSubmitted", "Submitted", "Filled", "Cancelled", "Inactive", "PendingCancel"]

POINTS = 10_000
DONE: frozenset[str] = frozenset({"Filled", "Cancelled", "Inactive"})
ZERO = Decimal(0)


def to_points(price: Decimal) -> int:
    """Return a price in 0.0001 dollars."""
    return int(price * POINTS)


def from_points(points: int) -> Decimal:
    """Return points as dollars: whole cents with two decimals, four otherwise."""
    whole, rest = divmod(points, 100)
    return Decimal(points).scaleb(-4) if rest else Decimal(whole).scaleb(-2)


class Rejected(Exception):
    """An order the venue does not take: the broker's error code and its words."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a client asks for. ``parent`` is the permanent id of the parent order."""

    conid: int
    account: str
    side: Side
    quantity: Decimal
    kind: Kind
    limit: Decimal | None = None
    stop: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    trail_stop: Decimal | None = None
    limit_offset: Decimal | None = None
    tif: Tif = "DAY"
    outside_rth: bool = False
    oca_group: str = ""
    oca_type: int = 0
    ref: str = ""
    parent: int | None = None
    transmit: bool = True
    what_if: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Order:
    """An order at the venue; ``owner`` is the front's own key, kept as JSON can keep it (a list comes back a tuple)."""

    perm_id: int
    terms: Terms
    owner: object
    placed_at: datetime
    status: Status = "PreSubmitted"
    filled: Decimal = ZERO
    average_price: Decimal = ZERO
    last_price: Decimal | None = None
    # "child" before the parent fills, "trigger" while a stop waits
    why_held: str = ""
    # why it was cancelled or went inactive, in the broker's words
    reason: str = ""
    triggered: bool = False
    transmitted: bool = True
    done_at: datetime | None = None
    children: list[int] = field(default_factory=list)
    # what follows is the venue's own: levels in 0.0001 dollars, times in epoch milliseconds
    stop_points: int | None = None
    limit_points: int | None = None
    # how far the limit of a trailing limit order stays behind its stop
    limit_gap: int | None = None
    oca_key: str = ""
    expires: int | None = None
    # fills end here while a test holds them
    max_quantity: Decimal | None = None
    # the last tick it met while it could have filled
    seen: int | None = None

    @property
    def remaining(self) -> Decimal:
        return max(self.terms.quantity - self.filled, ZERO)

    @property
    def is_done(self) -> bool:
        return self.status in DONE

    @property
    def is_working(self) -> bool:
        """Tell whether the market can fill or trigger it."""
        return self.transmitted and not self.is_done and self.why_held != "child"

    @property
    def stop_now(self) -> Decimal | None:
        """Return where the stop stands now: of a trailing order it moves."""
        return None if self.stop_points is None else from_points(self.stop_points)

    @property
    def limit_now(self) -> Decimal | None:
        """Return where the limit stands now: of a trailing limit order it moves with the stop."""
        return None if self.limit_points is None else from_points(self.limit_points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill. ``order`` is the live order: read its terms and owner, not its state."""

    exec_id: str
    perm_id: int
    order: Order
    conid: int
    account: str
    side: Side
    quantity: Decimal
    price: Decimal
    at: datetime
    cumulative: Decimal
    average: Decimal
    liquidity: int = 2
    exchange: str = "ARCA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What an execution cost; ``realised`` is None where it closed nothing."""

    exec_id: str
    amount: Decimal
    currency: str = "USD"
    realised: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """Answer to a what-if order."""

    initial_before: Decimal
    maintenance_before: Decimal
    equity_before: Decimal
    initial_after: Decimal
    maintenance_after: Decimal
    equity_after: Decimal
    commission: Decimal
    commission_currency: str = "USD"
