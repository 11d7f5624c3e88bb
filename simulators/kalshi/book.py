"""Books: synthetic liquidity drawn around a fair value, with the accounts' resting orders among it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from simulators.kalshi.listing import Listing
from simulators.kalshi.orders import Order, Side

# the synthetic side stands still between two redraws, so what a request meets does not depend on when it came
STEP_SECONDS = 10
LEVELS = 5
TICK = Decimal("0.01")
_LOW, _HIGH = 1, 99
# a wider book could have no price on either side
_WIDEST = 0.45


@dataclass(slots=True)
class Quotes:
    """Synthetic contracts resting at each price, which takers use up until the next redraw."""

    drawn: datetime
    bids: dict[Decimal, int] = field(default_factory=dict)
    asks: dict[Decimal, int] = field(default_factory=dict)

    def side(self, side: Side) -> dict[Decimal, int]:
        return self.bids if side is Side.BID else self.asks


def redraw_time(now: datetime) -> datetime:
    """Return the last moment at which the synthetic book was drawn."""
    return datetime.fromtimestamp(int(now.timestamp()) // STEP_SECONDS * STEP_SECONDS, UTC)


def draw(listing: Listing, at: datetime) -> Quotes:
    """Draw the synthetic book: ``LEVELS`` prices of ``depth`` contracts on each side of the fair value."""
    fair = min(max(listing.fair(at), 0.0), 1.0)
    half = min(listing.half_spread, _WIDEST)
    # the epsilon keeps 0.5 - 0.01 from becoming 48 cents
    bid = math.floor((fair - half) * 100 + 1e-6)
    ask = max(math.ceil((fair + half) * 100 - 1e-6), bid + 1)
    quotes = Quotes(at)
    for step in range(LEVELS):
        if _LOW <= bid - step <= _HIGH:
            quotes.bids[Decimal(bid - step) / 100] = listing.depth
        if _LOW <= ask + step <= _HIGH:
            quotes.asks[Decimal(ask + step) / 100] = listing.depth
    return quotes


@dataclass(slots=True)
class Book:
    """The book of one contract; ``resting`` holds the orders of all accounts by id."""

    quotes: Quotes | None = None
    resting: dict[str, Order] = field(default_factory=dict)

    def levels(self, side: Side, quotes: Quotes | None = None) -> list[tuple[Decimal, int]]:
        """Return price and contracts of one side, best first.

        Args:
            side: which side.
            quotes: other synthetic quotes to show in place of those orders meet.
        """
        shown = quotes or self.quotes
        totals = dict(shown.side(side)) if shown is not None else {}
        for order in self.resting.values():
            if order.side is side:
                totals[order.price] = totals.get(order.price, 0) + order.remaining
        found = [(price, count) for price, count in totals.items() if count > 0]
        return sorted(found, reverse=side is Side.BID)

    def opposite(self, side: Side, limit: Decimal) -> Iterator[tuple[Decimal, int, Order | None]]:
        """Yield price, contracts and owner (None: synthetic) of what an order would meet, best first.

        Accounts' orders come before synthetic ones of the same price.
        """
        for price, _ in self.levels(side.other):
            if price > limit if side is Side.BID else price < limit:
                return
            owners = [o for o in self.resting.values() if o.side is side.other and o.price == price]
            for order in sorted(owners, key=lambda found: found.sequence):
                yield price, order.remaining, order
            synthetic = 0 if self.quotes is None else self.quotes.side(side.other).get(price, 0)
            if synthetic:
                yield price, synthetic, None
