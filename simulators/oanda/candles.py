"""Candles folded from the same tape that prices and fills come from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain

from simulators.oanda.bars import Bar, merged, quote_bar
from simulators.oanda.granularity import LENGTHS, Alignment
from simulators.oanda.instruments import Instrument
from simulators.oanda.sessions import HOUR_MS, MINUTE_MS
from simulators.oanda.tape import Tape
from simulators.oanda.wire import Json, from_points, price, rfc3339

MAXIMUM_COUNT = 5000
DEFAULT_COUNT = 500
# far enough back for any count over weekends; an instrument without quotes must not search for ever
_MAXIMUM_DOUBLINGS = 6


@dataclass(frozen=True, slots=True)
class CandleQuery:
    """What was asked for; times in epoch milliseconds, ``end`` exclusive."""

    instrument: Instrument
    granularity: str = "S5"
    price: str = "M"
    count: int | None = None
    start: int | None = None
    end: int | None = None
    include_first: bool = True
    alignment: Alignment = field(default_factory=Alignment)


@dataclass(frozen=True, slots=True)
class _Span:
    bar: Bar
    end: int


def candles(tape: Tape, query: CandleQuery, now: int) -> list[Json]:
    """Return wire candles; periods without a quote are left out, the newest is complete once a later quote exists."""
    end = now + 1 if query.end is None else min(query.end, now + 1)
    spans = _from_start(tape, query, end) if query.start is not None else _up_to(tape, query, end)
    last = tape.last(query.instrument.name, now)
    latest = now if last is None else last.time
    return [_wire(span, query, complete=span.end <= latest) for span in spans]


def _from_start(tape: Tape, query: CandleQuery, end: int) -> list[_Span]:
    asked = query.start or 0
    first = query.alignment.span(query.granularity, asked)[0]
    limit = query.count or MAXIMUM_COUNT + 1
    spans = []
    for span in _spans(tape, query, first, end):
        if span.bar.time == first and not query.include_first:
            continue
        spans.append(span)
        if len(spans) == limit:
            break
    return spans


def _up_to(tape: Tape, query: CandleQuery, end: int) -> list[_Span]:
    count = query.count or DEFAULT_COUNT
    back = count * LENGTHS[query.granularity]
    spans: list[_Span] = []
    for _ in range(_MAXIMUM_DOUBLINGS):
        first = query.alignment.span(query.granularity, end - 1 - back)[0]
        spans = list(_spans(tape, query, first, end))
        if len(spans) >= count:
            break
        # the shortest step that surely crosses a weekend
        back = max(back * 2, back + 3 * 24 * HOUR_MS)
    return spans[-count:]


def _spans(tape: Tape, query: CandleQuery, first: int, end: int) -> Iterator[_Span]:
    current: _Span | None = None
    for bar in _atoms(tape, query, first, end):
        if current is not None and bar.time < current.end:
            current = _Span(merged(current.bar, bar), current.end)
            continue
        if current is not None:
            yield current
        start, stop = query.alignment.span(query.granularity, bar.time)
        current = _Span(bar._replace(time=start), stop)
    if current is not None:
        yield current


def _atoms(tape: Tape, query: CandleQuery, first: int, end: int) -> Iterator[Bar]:
    """Yield hour bars, then minute bars, then quotes: the coarsest that fit before ``end``."""
    name = query.instrument.name
    length = LENGTHS[query.granularity]
    parts: list[Iterator[Bar]] = []
    at = first
    for width in (HOUR_MS, MINUTE_MS):
        stop = end - end % width
        if length >= width and first % width == 0 and stop > at:
            parts.append(tape.bars(name, width, at, stop))
            at = stop
    quotes = (quote_bar(q.time, q.bid, q.ask) for q in tape.between(name, at - 1, end - 1))
    return chain(*parts, quotes)


def _wire(span: _Span, query: CandleQuery, complete: bool) -> Json:
    candle: Json = {"complete": complete, "volume": span.bar.volume, "time": rfc3339(span.bar.time)}
    sides = {"B": ("bid", span.bar.bid, 1), "M": ("mid", span.bar.mid, 2), "A": ("ask", span.bar.ask, 1)}
    for letter, (name, values, divisor) in sides.items():
        if letter in query.price:
            prices = [price(from_points(v) / Decimal(divisor), query.instrument.precision) for v in values]
            candle[name] = dict(zip("ohlc", prices, strict=True))
    return candle
