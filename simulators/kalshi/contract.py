"""One listed contract while it trades: its book, its life and the public trades in it."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from simulators.kalshi.book import TICK, Book, Quotes, draw, redraw_time
from simulators.kalshi.listing import Listing, Series
from simulators.kalshi.lives import Life
from simulators.kalshi.orders import Side

# one synthetic public trade every five minutes, so that volume and candles are not empty
PRINT_SECONDS = 300
_LARGEST_PRINT = 20
_DAY_OF_PRINTS = 86_400 // PRINT_SECONDS


@dataclass(frozen=True, slots=True)
class Trade:
    """A public trade; ``taker`` is the side of the YES book that crossed, ``number`` counts those of accounts."""

    id: str
    ticker: str
    count: int
    price: Decimal
    taker: Side
    time: datetime
    number: int = 0


@dataclass(slots=True)
class Contract:
    """A listing with what happened to it at this venue.

    ``status`` is the one last announced, ``looked`` when its life was last followed, ``due`` when it changes next.
    """

    listing: Listing
    series: Series
    life: Life
    life_version: int
    updated: datetime
    looked: datetime
    due: datetime
    book: Book = field(default_factory=Book)
    trades: list[Trade] = field(default_factory=list)
    status: str = "initialized"

    @property
    def ticker(self) -> str:
        return self.listing.ticker

    def refresh(self, now: datetime) -> Quotes | None:
        """Bring the synthetic book to a moment of trading; what takers used up comes back at each redraw."""
        at = self._drawable(now)
        if self.book.quotes is None or self.book.quotes.drawn != at:
            self.book.quotes = draw(self.listing, at)
        return self.book.quotes

    def quotes_at(self, moment: datetime) -> Quotes:
        """Return the synthetic book as it was first drawn for a moment."""
        return draw(self.listing, self._drawable(moment))

    def _drawable(self, moment: datetime) -> datetime:
        # a redraw may fall before the opening, where there is no fair value
        return max(redraw_time(moment), self.life.opens)

    def prints(self, now: datetime) -> int:
        """Return how many synthetic trades there were up to a moment."""
        seconds = (min(now, self.life.closes) - self.life.opens).total_seconds()
        return max(0, int(seconds // PRINT_SECONDS))

    def _print_size(self) -> int:
        return 1 + zlib.crc32(self.ticker.encode()) % _LARGEST_PRINT

    def print_at(self, index: int) -> Trade:
        """Return a synthetic trade: at the bid or the ask of its moment, as a checksum falls."""
        moment = self.life.opens + timedelta(seconds=(index + 1) * PRINT_SECONDS)
        quotes = self.quotes_at(moment - timedelta(seconds=1))
        mark = zlib.crc32(f"{self.ticker}/{index}".encode())
        buys = bool(mark & 1)
        if not quotes.asks or not quotes.bids:
            buys = bool(quotes.asks)
        price = min(quotes.asks) if buys else max(quotes.bids)
        taker = Side.BID if buys else Side.ASK
        return Trade(f"synthetic-{mark:08x}-{index}", self.ticker, self._print_size(), price, taker, moment)

    def trades_between(self, low: datetime, high: datetime) -> Iterator[Trade]:
        """Yield public trades of a half-open span, newest first; accounts' and synthetic ones together."""
        own = [trade for trade in self.trades if low <= trade.time < high]
        index = self.prints(high)
        while own or index > 0:
            printed = self.print_at(index - 1) if index > 0 else None
            if printed is not None and (printed.time < low or printed.time >= high):
                index = 0 if printed.time < low else index - 1
                continue
            if own and (printed is None or own[-1].time >= printed.time):
                yield own.pop()
            elif printed is not None:
                index -= 1
                yield printed

    def last_trade(self, now: datetime) -> Trade | None:
        """Return the newest public trade."""
        count = self.prints(now)
        printed = self.print_at(count - 1) if count else None
        own = self.trades[-1] if self.trades else None
        if own is None or printed is None:
            return own or printed
        return own if own.time >= printed.time else printed

    def volume(self, now: datetime) -> int:
        """Return the contracts traded since the opening."""
        return self.prints(now) * self._print_size() + sum(trade.count for trade in self.trades)

    def volume_24h(self, now: datetime) -> int:
        """Return the contracts traded in the last day."""
        since = now - timedelta(days=1)
        printed = self.prints(now) - self.prints(since) if since > self.life.opens else self.prints(now)
        own = sum(trade.count for trade in self.trades if trade.time >= since)
        return min(printed, _DAY_OF_PRINTS) * self._print_size() + own

    def on_tick(self, price: Decimal) -> bool:
        """Tell whether a price is one the book takes."""
        return TICK <= price <= 1 - TICK and price % TICK == 0
