"""Recorded days, read from the bundled files."""

import csv
import gzip
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parent / "data"
# prices inside are 0.0001 dollars; the files hold cents
CENT = 100

_WEEK = (date(2013, 10, 7), date(2013, 10, 8), date(2013, 10, 9), date(2013, 10, 10), date(2013, 10, 4))
# symbol -> recorded day for each weekday from Monday
WEEKS: dict[str, tuple[date, ...]] = {
    "SPY": _WEEK,
    "IBM": _WEEK,
    "AIG": _WEEK,
    "AAPL": (date(2014, 6, 6),) * 5,
    "TWX": (date(2014, 6, 6),) * 5,
}
# what AAPL plays once it is split 7 for 1
AFTER_SPLIT = date(2014, 6, 9)
HALF_DAY = date(2013, 11, 29)
HALF_DAY_SYMBOLS = ("AAPL", "AIG", "SPY")
# the week that follows the daily history of each symbol
HISTORY_ENDS_BEFORE: dict[str, date] = {
    "SPY": date(2013, 10, 7),
    "AIG": date(2013, 10, 7),
    "AAPL": date(2014, 6, 9),
}


class Bar(NamedTuple):
    """Open, high, low, close from ``start`` (seconds after midnight New York)."""

    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int


class QuoteBar(NamedTuple):
    """A bar of bids and one of asks; sizes are those at its end."""

    start: int
    bid: tuple[int, int, int, int]
    ask: tuple[int, int, int, int]
    bid_size: int
    ask_size: int


class RawTick(NamedTuple):
    """One recorded print (T) or best bid (B) or ask (A), in milliseconds after midnight."""

    ms: int
    kind: str
    price: int
    size: int


def _rows(name: str) -> Iterator[list[str]]:
    path = DATA / name
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("ascii")
    reader = csv.reader(text.splitlines())
    next(reader)
    yield from reader


def minute_bars(symbol: str, day: date) -> tuple[list[Bar], list[QuoteBar]]:
    """Return the trade bars and the quote bars of a recorded day."""
    trades: list[Bar] = []
    quotes: list[QuoteBar] = []
    t_minute = t_close = q_minute = q_close = 0
    for kind, *cells in _rows(f"{symbol}_{day}_m1.csv.gz"):
        v = [int(cell) for cell in cells if cell]
        if kind == "T":
            t_minute += v[0]
            bar = _bar(t_minute * 60, t_close, v[1:])
            t_close = bar.close
            trades.append(bar)
        else:
            q_minute += v[0]
            bid_open = q_close + v[1] * CENT
            bid = _prices(bid_open, v[2], v[3], v[4])
            ask = _prices(bid_open + v[6] * CENT, v[7], v[8], v[9])
            q_close = bid[3]
            quotes.append(QuoteBar(q_minute * 60, bid, ask, v[5], v[10]))
    return trades, quotes


def second_bars(symbol: str, day: date) -> list[Bar]:
    """Return the trade bars of seconds of a recorded day; none where they are not recorded."""
    name = f"{symbol}_{day}_s1.csv.gz"
    bars: list[Bar] = []
    if not (DATA / name).exists():
        return bars
    second = close = 0
    for cells in _rows(name):
        v = [int(cell) for cell in cells]
        second += v[0]
        bar = _bar(second, close, v[1:])
        close = bar.close
        bars.append(bar)
    return bars


def raw_ticks(symbol: str, day: date) -> list[RawTick]:
    """Return the recorded ticks around an opening; none where they are not recorded."""
    name = f"{symbol}_{day}_ticks.csv.gz"
    ticks: list[RawTick] = []
    if not (DATA / name).exists():
        return ticks
    ms, prices = 0, {"T": 0, "B": 0, "A": 0}
    for step, kind, price, size in _rows(name):
        ms += int(step)
        prices[kind] += int(price)
        ticks.append(RawTick(ms, kind, prices[kind], int(size)))
    return ticks


def half_day_hours(symbol: str) -> list[Bar]:
    """Return the hourly bars of the recorded half day; the first begins at 09:30."""
    bars = []
    for name, hour, *cells in _rows(f"half_day_{HALF_DAY}.csv"):
        if name == symbol:
            opening, high, low, close, volume = (int(cell) for cell in cells)
            start = max(int(hour) * 3600, 9 * 3600 + 1800)
            bars.append(Bar(start, opening * CENT, high * CENT, low * CENT, close * CENT, volume))
    return bars


class DailyBars:
    """Daily history of a symbol: date ordinals with open, high, low, close and volume."""

    def __init__(self, symbol: str) -> None:
        self.days = array("i")
        self._prices = array("i")
        self._volumes = array("q")
        day = close = 0
        for cells in _rows(f"{symbol}_daily.csv.gz"):
            v = [int(cell) for cell in cells]
            day += v[0]
            opening = close + v[1]
            close = opening + v[4]
            self.days.append(day)
            self._prices.extend((opening, opening + v[2], opening - v[3], close))
            self._volumes.append(v[5])

    def on(self, day: date) -> tuple[int, int, int, int, int] | None:
        """Return open, high, low, close and volume of a date."""
        wanted = day.toordinal()
        index = _find(self.days, wanted)
        if index is None:
            return None
        a, b, c, d = self._prices[4 * index : 4 * index + 4]
        return a, b, c, d, self._volumes[index]


def _find(days: "array[int]", wanted: int) -> int | None:
    index = bisect_left(days, wanted)
    return index if index < len(days) and days[index] == wanted else None


def _bar(start: int, close_before: int, v: list[int]) -> Bar:
    opening = close_before + v[0] * CENT
    return Bar(start, *_prices(opening, v[1], v[2], v[3]), v[4])


def _prices(opening: int, up: int, down: int, move: int) -> tuple[int, int, int, int]:
    return opening, opening + up * CENT, opening - down * CENT, opening + move * CENT
