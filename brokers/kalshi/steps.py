"""Price steps of a market, which may be finer near 0 and 1 than in the middle."""

from dataclasses import dataclass
from decimal import Decimal

from brokers.kalshi.parse import ONE, ZERO, Json, number

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Steps:
    """Ranges of prices with the step in each: from, to, step."""

    ranges: tuple[tuple[Decimal, Decimal, Decimal], ...]

    @property
    def finest(self) -> Decimal:
        return min(step for _, _, step in self.ranges)

    def at(self, price: Decimal) -> Decimal:
        """Return the step at a price; where two ranges meet, the coarser, which fits both."""
        found = [step for low, high, step in self.ranges if low <= price <= high]
        return max(found, default=max(step for _, _, step in self.ranges))

    def no_finer_than(self, least: Decimal) -> "Steps":
        return Steps(tuple((low, high, max(step, least)) for low, high, step in self.ranges))


def steps_of(row: Json) -> Steps:
    """Read the ranges of today's wire, or the older one's single step in cents."""
    named = [part for part in row.get("price_ranges") or () if part.get("step")]
    ranges = tuple((number(part["start"]), number(part["end"]), number(part["step"])) for part in named)
    if ranges:
        if min(step for _, _, step in ranges) <= 0:
            raise ValueError(f"expected price steps above 0, found {ranges}")
        return Steps(ranges)
    cents = row.get("tick_size")
    return Steps(((ZERO, ONE, number(cents) / 100 if cents else CENT),))
