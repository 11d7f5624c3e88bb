"""Endless tape of quotes: the recording, and its full week repeated before and after it."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from typing import NamedTuple

from simulators.oanda.bars import Bar, BarColumns, grouped, quote_bar
from simulators.oanda.recording import Recording
from simulators.oanda.sessions import HOUR_MS, MINUTE_MS, week_close, week_of, week_start


class Quote(NamedTuple):
    """A quote as replayed; ``source`` is the time it was recorded. Prices in points."""

    time: int
    instrument: str
    bid: int
    ask: int
    source: int


@dataclass(frozen=True, slots=True)
class WeekTemplate:
    """Quotes of one week by offset from its start; ``covered_until`` is where the recording stops."""

    offsets: "array[int]"
    bids: "array[int]"
    asks: "array[int]"
    sources: "array[int]"
    covered_until: int
    minutes: BarColumns
    hours: BarColumns


class Tape:
    """Quotes at any time of any instrument with a recording.

    Weeks are shifted in New York time, so opening and close keep their local hour in winter as well.
    """

    def __init__(self, recordings: dict[str, Recording], shift_weeks: int = 0) -> None:
        self.shift_weeks = shift_weeks
        self._templates = {name: _templates(recording) for name, recording in recordings.items()}

    @property
    def instruments(self) -> tuple[str, ...]:
        return tuple(self._templates)

    def _template(self, instrument: str, week: int) -> WeekTemplate:
        templates = self._templates[instrument]
        return templates.get(week - self.shift_weeks, templates[0])

    def last(self, instrument: str, ms: int) -> Quote | None:
        """Return the latest quote at or before a time; None for an instrument without a recording."""
        if instrument not in self._templates:
            return None
        week = week_of(ms)
        index = bisect_right(self._template(instrument, week).offsets, ms - week_start(week)) - 1
        if index < 0:
            week -= 1
            index = len(self._template(instrument, week).offsets) - 1
        return self._quote(instrument, week, index)

    def _quote(self, instrument: str, week: int, index: int) -> Quote:
        t = self._template(instrument, week)
        return Quote(week_start(week) + t.offsets[index], instrument, t.bids[index], t.asks[index], t.sources[index])

    def between(self, instrument: str, after: int, until: int) -> Iterator[Quote]:
        """Yield quotes with after < time <= until."""
        if instrument not in self._templates:
            return
        for week in range(week_of(after), week_of(until) + 1):
            start = week_start(week)
            offsets = self._template(instrument, week).offsets
            for index in range(bisect_right(offsets, after - start), bisect_right(offsets, until - start)):
                yield self._quote(instrument, week, index)

    def merged(self, instruments: tuple[str, ...], after: int, until: int) -> Iterator[Quote]:
        """Yield the quotes of several instruments in time order."""
        yield from merge(*(self.between(name, after, until) for name in instruments))

    def is_covered(self, instrument: str, ms: int) -> bool:
        """Tell whether the market is open and the recording reaches this time of the week."""
        if instrument not in self._templates:
            return False
        week = week_of(ms)
        covered = week_start(week) + self._template(instrument, week).covered_until
        return ms < min(week_close(week), covered)

    def bars(self, instrument: str, width_ms: int, start: int, end: int) -> Iterator[Bar]:
        """Yield minute or hour bars with start <= time < end."""
        if instrument not in self._templates:
            return
        for week in range(week_of(start), week_of(end) + 1):
            template = self._template(instrument, week)
            columns = template.hours if width_ms == HOUR_MS else template.minutes
            opening = week_start(week)
            yield from columns.between(start - opening, end - opening, opening)


def automatic_shift(recordings: dict[str, Recording], start_ms: int) -> int:
    """Return the whole weeks that put ``start_ms`` inside the recorded span; 0 when it already is."""
    first = min(recording.times[0] for recording in recordings.values())
    last = max(recording.times[-1] for recording in recordings.values())
    return 0 if first <= start_ms <= last else week_of(start_ms)


def _templates(recording: Recording) -> dict[int, WeekTemplate]:
    """Return week -> template: the recorded week 0, and the partly recorded weeks around it."""
    main = _recorded(recording, 0)
    before, after = _recorded(recording, -1), _recorded(recording, 1)
    first = before[0][0] // MINUTE_MS * MINUTE_MS if before else 0
    end = _minute_end(after[-1][0]) if after else 0
    rows = {
        -1: [row for row in main if before and row[0] < first] + (before or main),
        0: main,
        1: after + [row for row in main if row[0] >= end],
    }
    return {week: _template_of(items) for week, items in rows.items()}


Row = tuple[int, int, int, int]


def _recorded(recording: Recording, week: int) -> list[Row]:
    start = week_start(week)
    low = bisect_left(recording.times, start)
    high = bisect_left(recording.times, week_start(week + 1))
    times, bids, asks = recording.times, recording.bids, recording.asks
    return [(times[i] - start, bids[i], asks[i], times[i]) for i in range(low, high)]


def _minute_end(ms: int) -> int:
    return (ms // MINUTE_MS + 1) * MINUTE_MS


def _template_of(rows: list[Row]) -> WeekTemplate:
    minutes = list(grouped((quote_bar(offset, bid, ask) for offset, bid, ask, _ in rows), MINUTE_MS))
    return WeekTemplate(
        offsets=array("q", (row[0] for row in rows)),
        bids=array("i", (row[1] for row in rows)),
        asks=array("i", (row[2] for row in rows)),
        sources=array("q", (row[3] for row in rows)),
        covered_until=_minute_end(rows[-1][0]),
        minutes=BarColumns(minutes),
        hours=BarColumns(grouped(minutes, HOUR_MS)),
    )
