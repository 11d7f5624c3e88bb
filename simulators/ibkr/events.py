"""What the venue tells its listeners, in the order in which it happened."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from simulators.ibkr.contracts import Contract
from simulators.ibkr.orders import Commission, Execution, Order


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order was taken, changed, filled, cancelled or refused. Read the order now: it lives on."""

    order: Order
    # "cancelled" carries the broker's code 202, "rejected" another; 0 otherwise
    code: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Executed:
    """A fill, a correction of one (same id, next issue number) or its bust (quantity 0)."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Charged:
    """A commission."""

    commission: Commission


@dataclass(frozen=True, slots=True)
class PositionChanged:
    """An account's position is now this one; quantity is signed, average cost includes commissions."""

    account: str
    contract: Contract
    quantity: Decimal
    average_cost: Decimal


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """Cash or values of an account changed."""

    account: str


@dataclass(frozen=True, slots=True)
class SplitHappened:
    """A stock was split: ``new`` shares for ``old``."""

    contract: Contract
    new: int
    old: int
    on: date


Event = OrderChanged | Executed | Charged | PositionChanged | AccountChanged | SplitHappened
