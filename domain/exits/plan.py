"""The plan by which a position ends: levels, and moments at which it ends anyway."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from domain.clock import require_utc

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailing:
    """A stop that follows the best price at a ``distance`` in price, or at ``percent`` of that best price.

    It begins once the position has gained ``after``: in price, or in per cent of the entry, as the distance itself is.
    """

    distance: Decimal | None = None
    percent: Decimal | None = None
    after: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if (self.distance is None) == (self.percent is None):
            raise ValueError(f"a trailing stop needs a distance or a percentage, found {self.distance}/{self.percent}")
        if self.distance is not None and self.distance <= 0:
            raise ValueError(f"a trailing distance must be above 0, found {self.distance}")
        if self.percent is not None and not 0 < self.percent < HUNDRED:
            raise ValueError(f"a trailing percentage must lie between 0 and 100, found {self.percent}")
        if self.after < 0:
            raise ValueError(f"the gain after which a stop trails must be 0 or more, found {self.after}")

    def behind(self, price: Decimal) -> Decimal:
        """Return how far from ``price`` this stop stays."""
        if self.distance is not None:
            return self.distance
        return abs(price) * (self.percent or HUNDRED) / HUNDRED

    def begins(self, entry: Decimal) -> Decimal:
        """Return the gain in price, counted from ``entry``, from which on it trails."""
        return self.after if self.distance is not None else abs(entry) * self.after / HUNDRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A price at which to take ``fraction`` of the original quantity."""

    price: Decimal
    fraction: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"a target takes a fraction above 0 and up to 1, found {self.fraction}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakeven:
    """Moves the stop to the entry, and ``offset`` beyond it, once the position has proved itself.

    That is when it has gained ``after_risks`` times its risk (entry to first stop), or when it has reached ``price``.
    """

    after_risks: Decimal | None = None
    price: Decimal | None = None
    offset: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if (self.after_risks is None) == (self.price is None):
            raise ValueError(f"a breakeven needs a gain or a price, found {self.after_risks}/{self.price}")
        if self.after_risks is not None and self.after_risks <= 0:
            raise ValueError(f"a breakeven's gain must be above 0, found {self.after_risks}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPlan:
    """Everything that may end a position; what is None or empty does not.

    ``targets`` stand nearest first and take all of the position together, or less. ``time_limit`` counts from the
    opening; ``flat_at`` is the moment, before the session's close, at which nothing may be held any more: the caller
    knows the calendar. A price older than ``max_age`` decides nothing. ``stale_after`` is how long a feed may be silent
    before the position is given up for that; None never gives it up. Parts are rounded to ``quantity_step``.
    """

    stop: Decimal | None = None
    trailing: Trailing | None = None
    targets: tuple[Target, ...] = ()
    breakeven: Breakeven | None = None
    time_limit: timedelta | None = None
    flat_at: datetime | None = None
    max_age: timedelta | None = None
    stale_after: timedelta | None = None
    quantity_step: Decimal | None = None

    def __post_init__(self) -> None:
        if self.flat_at is not None:
            require_utc(self.flat_at, "ExitPlan.flat_at")
        together = sum(target.fraction for target in self.targets)
        if together > 1:
            raise ValueError(f"targets take at most the whole position, found fractions of {together} together")
        if self.quantity_step is not None and self.quantity_step <= 0:
            raise ValueError(f"a quantity step must be above 0, found {self.quantity_step}")

    def part(self, number: int, quantity: Decimal) -> Decimal:
        """Return how much target ``number`` takes of an original ``quantity``, all the targets before it counted in.

        Parts are cut from the sum of the fractions, so that rounding never leaves the last one short.
        """
        before = sum((target.fraction for target in self.targets[:number]), Decimal(0))
        return self._cut((before + self.targets[number].fraction) * quantity, quantity) - self._cut(
            before * quantity, quantity
        )

    def _cut(self, part: Decimal, whole: Decimal) -> Decimal:
        if self.quantity_step is None or part >= whole:
            return min(part, whole)
        return (part / self.quantity_step).quantize(Decimal(1), ROUND_HALF_EVEN) * self.quantity_step
