"""Recorded minutes of BTC-USD, three days chained in a cycle that has no end.

Minute by minute the moves are those of Coinbase on 3 and 4 September 2017 and 5 April 2018 (UTC); each day of the clock
shows one of them, moved by whole days. The LEVEL is chained: the third day begins where the second ended, and the move
that is missing between the end of the cycle and its beginning is spread over all its minutes (0.002 % each), so that
the chain closes. The level of any date is therefore that of September 2017.
"""

import csv
import gzip
import math
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parent / "data"
MINUTE, DAY_MINUTES = timedelta(minutes=1), 24 * 60
SOURCES = (date(2017, 9, 3), date(2017, 9, 4), date(2018, 4, 5))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Bar(NamedTuple):
    """One minute, stamped with its beginning; prices in dollars, volume in bitcoin."""

    start: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


def source_of(day: date) -> date:
    """Return the recorded date a UTC date of the clock shows."""
    return SOURCES[_place(day)]


def bar_at(start: datetime) -> Bar:
    """Return the bar of the minute that holds a moment."""
    start = start.astimezone(UTC).replace(second=0, microsecond=0)
    minute = _place(start.date()) * DAY_MINUTES + start.hour * 60 + start.minute
    return Bar(start, *_cycle()[minute])


def last_close(moment: datetime) -> float:
    """Return the price at a moment: the close of the last minute that is over."""
    return bar_at(moment - MINUTE).close


def bars(start: datetime, end: datetime) -> list[Bar]:
    """Return the minutes that begin in ``[start, end)``."""
    first = -((_EPOCH - start) // MINUTE)
    count = -((_EPOCH - end) // MINUTE) - first
    return [bar_at(_EPOCH + (first + step) * MINUTE) for step in range(count)]


def trailing_volatility(moment: datetime, minutes: int = 60) -> float:
    """Return the root mean square of the one-minute returns before a moment."""
    end = moment.replace(second=0, microsecond=0)
    past = bars(end - minutes * MINUTE, end)
    returns = [math.log(bar.close / bar.open) for bar in past]
    return math.sqrt(sum(step * step for step in returns) / len(returns))


def _place(day: date) -> int:
    # the phase puts 3 September 2017 on 6 May 2014
    return (day.toordinal() + 1) % len(SOURCES)


@cache
def _cycle() -> list[tuple[float, float, float, float, float]]:
    recorded = _recorded()
    chained, level = [], recorded[0][0]
    for minute, (start, high, low, close, volume) in enumerate(recorded):
        previous = recorded[minute - 1][3] if minute else start
        # the jump between two recorded days that do not follow each other is no return
        opening = level * (1.0 if minute == 2 * DAY_MINUTES else start / previous)
        scale = opening / start
        chained.append((opening, high * scale, low * scale, close * scale, volume))
        level = close * scale
    return _closed(chained)


def _closed(chained: list[tuple[float, float, float, float, float]]) -> list[tuple[float, float, float, float, float]]:
    step = math.log(chained[0][0] / chained[-1][3]) / len(chained)
    closed = []
    for minute, (start, high, low, close, volume) in enumerate(chained):
        first, last = start * math.exp(step * minute), close * math.exp(step * (minute + 1))
        top = max(high * math.exp(step * minute), first, last)
        bottom = min(low * math.exp(step * minute), first, last)
        closed.append((round(first, 2), round(top, 2), round(bottom, 2), round(last, 2), volume))
    return closed


def _recorded() -> list[tuple[float, float, float, float, float]]:
    with gzip.open(DATA / "btc_usd_m1.csv.gz", "rt", encoding="ascii", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [
        (float(row["open"]), float(row["high"]), float(row["low"]), float(row["close"]), float(row["volume"]))
        for row in rows
    ]
