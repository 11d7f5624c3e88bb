"""Minute and hour summaries of quotes, kept in columns."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Bar(NamedTuple):
    """Prices of one span in points; ``mid`` is bid + ask, so twice the middle, to stay whole."""

    time: int
    bid: tuple[int, int, int, int]
    ask: tuple[int, int, int, int]
    mid: tuple[int, int, int, int]
    volume: int


def quote_bar(ms: int, bid: int, ask: int) -> Bar:
    """Return the bar of a single quote."""
    mid = bid + ask
    return Bar(ms, (bid,) * 4, (ask,) * 4, (mid,) * 4, 1)


def merged(first: Bar, then: Bar) -> Bar:
    """Return one bar covering two that follow each other."""
    return Bar(
        first.time,
        _join(first.bid, then.bid),
        _join(first.ask, then.ask),
        _join(first.mid, then.mid),
        first.volume + then.volume,
    )


def _join(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return a[0], a[1] if a[1] > b[1] else b[1], a[2] if a[2] < b[2] else b[2], b[3]


def grouped(bars: Iterable[Bar], width_ms: int) -> Iterator[Bar]:
    """Merge bars into spans of ``width_ms``, stamped with the start of the span."""
    current: Bar | None = None
    for bar in bars:
        start = bar.time - bar.time % width_ms
        if current is not None and current.time == start:
            current = merged(current, bar)
            continue
        if current is not None:
            yield current
        current = bar._replace(time=start)
    if current is not None:
        yield current


class BarColumns:
    """Bars of one week template, sorted by offset from the week's start."""

    def __init__(self, bars: Iterable[Bar]) -> None:
        self.offsets = array("q")
        self._columns = [array("i") for _ in range(13)]
        for bar in bars:
            self.offsets.append(bar.time)
            for column, value in zip(self._columns, (*bar.bid, *bar.ask, *bar.mid, bar.volume), strict=True):
                column.append(value)

    def between(self, start: int, end: int, shift: int) -> Iterator[Bar]:
        """Yield bars with start <= offset < end, their time moved by ``shift``."""
        for i in range(bisect_left(self.offsets, start), bisect_left(self.offsets, end)):
            v = [column[i] for column in self._columns]
            yield Bar(
                self.offsets[i] + shift,
                (v[0], v[1], v[2], v[3]),
                (v[4], v[5], v[6], v[7]),
                (v[8], v[9], v[10], v[11]),
                v[12],
            )
