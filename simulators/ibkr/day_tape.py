"""One recorded day as a path of prices: what was recorded, and the steps constructed between."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from heapq import merge
from operator import itemgetter

from simulators.ibkr.recording import (
    CENT,
    HALF_DAY,
    WEEKS,
    Bar,
    QuoteBar,
    RawTick,
    half_day_hours,
    minute_bars,
    raw_ticks,
    second_bars,
)

SECOND = 1000
# a minute bar's four prices stand 15 seconds apart, with steps of 5 seconds between them
_ANCHOR_MS, _STEP_MS = 15 * SECOND, 5 * SECOND
# wider than this the quote is a stub, as market makers leave them at 04:00
_STUB = 5
_REGULAR_OPEN_MS = (9 * 60 + 30) * 60 * SECOND

# (ms, kind, price or bid, size or ask, bid size, ask size); quotes sort before trades of the same moment
_QUOTE, _TRADE = 0, 1
Event = tuple[int, int, int, int, int, int]


class DayTape:
    """Prices of one recorded day in columns, by milliseconds after midnight New York."""

    def __init__(self, recorded: date, events: Iterable[Event]) -> None:
        self.recorded = recorded
        self.opening: int | None = None
        self.opening_ms = 0
        columns = [array(kind) for kind in "iiiiiiiqii"]
        self.times, self.bids, self.asks, self.bid_sizes, self.ask_sizes, self.lasts, *rest = columns
        # size of a print; -1 where only the quote moved
        self.sizes, self.volumes, self.highs, self.lows = rest
        appends = [column.append for column in columns]
        for row in self._rows(events):
            for append, value in zip(appends, row, strict=True):
                append(value)

    def _rows(self, events: Iterable[Event]) -> Iterator[tuple[int, ...]]:
        bid = ask = bid_size = ask_size = last = high = low = volume = 0
        for ms, kind, first, second, size_one, size_two in events:
            if kind == _QUOTE:
                if first <= 0 or second - first > second // _STUB:
                    continue
                shown = (bid, ask, bid_size, ask_size)
                bid, ask, bid_size, ask_size = first, max(second, first + CENT), size_one, size_two
                if (bid, ask, bid_size, ask_size) == shown:
                    continue
                yield ms, bid, ask, bid_size, ask_size, last, -1, volume, high, low
                continue
            last = first
            if not bid <= last <= ask:
                bid, ask = _around(last, bid, ask)
            volume += second
            if last > high:
                high = last
            if last < low or not low:
                low = last
            if self.opening is None and ms >= _REGULAR_OPEN_MS:
                self.opening, self.opening_ms = last, ms
            yield ms, bid, ask, bid_size, ask_size, last, second, volume, high, low

    def index_at(self, ms: int) -> int:
        """Return the row at or before a time of the day; -1 before the first."""
        return bisect_right(self.times, ms) - 1

    def last_size(self, index: int) -> int:
        """Return the size of the last trade at a row."""
        while index >= 0 and self.sizes[index] < 0:
            index -= 1
        return self.sizes[index] if index >= 0 else 0

    def rows_between(self, after: int, until: int) -> range:
        """Return the rows with after < time <= until."""
        return range(bisect_right(self.times, after), bisect_right(self.times, until))

    def prints(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield time, price and size of the trades with start <= time < end."""
        for i in range(bisect_left(self.times, start), bisect_left(self.times, end)):
            if self.sizes[i] >= 0:
                yield self.times[i], self.lasts[i], self.sizes[i]

    def shown(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield time, bid and ask of the quotes with start <= time < end, and first the one that stood before."""
        first = bisect_left(self.times, start)
        if first and self.bids[first - 1]:
            yield start, self.bids[first - 1], self.asks[first - 1]
        for i in range(first, bisect_left(self.times, end)):
            if self.bids[i]:
                yield self.times[i], self.bids[i], self.asks[i]


def _around(last: int, bid: int, ask: int) -> tuple[int, int]:
    """Move a quote so far that a print lies inside it."""
    # a print far outside (late report, odd lot) moves nothing
    if not bid or min(abs(last - bid), abs(last - ask)) > last * 3 // 1000:
        return bid, ask
    move = max(last - ask, 0) - max(bid - last, 0)
    # a print between cents moves the quote by whole cents
    cents = -(-abs(move) // CENT) * CENT
    return (bid + cents, ask + cents) if move > 0 else (bid - cents, ask - cents)


# Every stock's day, the one before it, and one more while both change: a day of SPY takes about 2 MB, another's 0.5.
@lru_cache(maxsize=3 * len(WEEKS))
def recorded_day(symbol: str, day: date) -> DayTape:
    """Return the path of a recorded day."""
    if day == HALF_DAY:
        return DayTape(day, _half_day(symbol))
    trades, quotes = minute_bars(symbol, day)
    seconds = second_bars(symbol, day)
    ticks = raw_ticks(symbol, day)
    prints = _second_prints(seconds) if seconds else _minute_prints(trades)
    events = merge(_quotes(quotes, {bar.start: bar for bar in trades}), prints, key=itemgetter(0))
    if not ticks:
        return DayTape(day, events)
    low, high = ticks[0].ms, ticks[-1].ms
    outside = (event for event in events if not low <= event[0] <= high)
    return DayTape(day, merge(outside, _recorded_ticks(ticks), key=itemgetter(0)))


def _falls_first(bar: tuple[int, int, int, int]) -> bool:
    """Tell whether a bar's path visits the low first: the extreme nearer to the open comes first."""
    return bar[0] - bar[2] <= bar[1] - bar[0]


def anchors(bar: tuple[int, int, int, int], falls_first: bool) -> tuple[int, int, int, int]:
    """Return the four prices of a bar in the order of its path."""
    opening, high, low, close = bar
    return (opening, low, high, close) if falls_first else (opening, high, low, close)


def _steps(prices: tuple[int, int, int, int], anchor_ms: int, step_ms: int) -> Iterator[tuple[int, int]]:
    """Yield (ms, price) along straight lines between the anchors, in whole cents."""
    for leg in range(3):
        here, there = prices[leg], prices[leg + 1]
        for ms in range(0, anchor_ms, step_ms):
            yield leg * anchor_ms + ms, here + (there - here) * ms // anchor_ms // CENT * CENT
    yield 3 * anchor_ms, prices[3]


def _quotes(bars: list[QuoteBar], trades: dict[int, Bar]) -> Iterator[Event]:
    for bar in bars:
        trade = trades.get(bar.start)
        falls = _falls_first(trade[1:5] if trade else bar.bid)
        bids = _steps(anchors(bar.bid, falls), _ANCHOR_MS, _STEP_MS)
        asks = _steps(anchors(bar.ask, falls), _ANCHOR_MS, _STEP_MS)
        for (ms, bid), (_, ask) in zip(bids, asks, strict=True):
            yield bar.start * SECOND + ms, _QUOTE, bid, ask, bar.bid_size, bar.ask_size


def _prints(start_ms: int, path: Iterable[tuple[int, int]], volume: int) -> Iterator[Event]:
    """Yield prints along a path, leaving out repetitions and sharing out the volume."""
    kept: list[tuple[int, int]] = []
    for ms, price in path:
        if not kept or kept[-1][1] != price:
            kept.append((ms, price))
    share, rest = divmod(volume, len(kept))
    for i, (ms, price) in enumerate(kept):
        yield start_ms + ms, _TRADE, price, share + (1 if i < rest else 0), 0, 0


def _minute_prints(bars: list[Bar]) -> Iterator[Event]:
    for bar in bars:
        prices = anchors(bar[1:5], _falls_first(bar[1:5]))
        yield from _prints(bar.start * SECOND, _steps(prices, _ANCHOR_MS, _STEP_MS), bar.volume)


def _second_prints(bars: list[Bar]) -> Iterator[Event]:
    for bar in bars:
        prices = anchors(bar[1:5], _falls_first(bar[1:5]))
        yield from _prints(bar.start * SECOND, zip((0, 250, 500, 750), prices, strict=True), bar.volume)


def _recorded_ticks(ticks: list[RawTick]) -> Iterator[Event]:
    bid = ask = bid_size = ask_size = 0
    for ms, kind, price, size in ticks:
        if kind == "T":
            yield ms, _TRADE, price, size, 0, 0
            continue
        if kind == "B":
            bid, bid_size = price, size
        else:
            ask, ask_size = price, size
        if 0 < bid < ask:
            yield ms, _QUOTE, bid, ask, bid_size, ask_size


def _half_day(symbol: str) -> Iterator[Event]:
    """Yield prints along hourly bars; the quote, a cent around and 500 shares deep, is made up."""
    end_of_day = 13 * 3600
    bars = half_day_hours(symbol)
    for bar, end in zip(bars, [*(each.start for each in bars[1:]), end_of_day], strict=True):
        anchor_ms = (end - bar.start) * SECOND // 4
        path = _steps(anchors(bar[1:5], _falls_first(bar[1:5])), anchor_ms, 10 * SECOND)
        for ms, kind, price, size, *_ in _prints(bar.start * SECOND, path, bar.volume):
            yield ms, _QUOTE, price - CENT, price + CENT, 500, 500
            yield ms, kind, price, size, 0, 0
