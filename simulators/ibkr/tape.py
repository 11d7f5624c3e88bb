"""Endless tape: recorded days laid on the clock, weekday by weekday, and the splits between prices."""

from collections.abc import Iterator
from datetime import date, time, timedelta
from functools import lru_cache
from typing import NamedTuple

from simulators.ibkr.clock import Clock, local_date
from simulators.ibkr.day_tape import DayTape, recorded_day
from simulators.ibkr.recording import (
    AFTER_SPLIT,
    CENT,
    HALF_DAY,
    HALF_DAY_SYMBOLS,
    HISTORY_ENDS_BEFORE,
    WEEKS,
    Bar,
    DailyBars,
    QuoteBar,
    minute_bars,
)
from simulators.ibkr.sessions import Session, local_ms, session_at, session_before, session_of

SPLIT_SYMBOL, SPLIT_NEW, SPLIT_OLD = "AAPL", 7, 1
SPLIT_ON = date(2014, 6, 9)
_MIDNIGHT = time(0)


class Tick(NamedTuple):
    """Prices at one moment: times in epoch milliseconds, prices in 0.0001 dollars, sizes in shares.

    ``is_trade`` says that ``last`` was printed now; ``source`` is when this was recorded. A missing price is 0.
    """

    time: int
    symbol: str
    bid: int
    ask: int
    bid_size: int
    ask_size: int
    last: int
    last_size: int
    is_trade: bool
    source: int


class Split(NamedTuple):
    """``new`` shares for ``old`` from a moment on; ``planned`` where the recording itself changes its price."""

    symbol: str
    at: int
    new: int
    old: int
    planned: bool


class DaySummary(NamedTuple):
    """What a day showed until a time; 0 where nothing was printed."""

    opening: int
    high: int
    low: int
    volume: int


class Tape:
    """Ticks and bars at any time of any stock with a recording.

    Args:
        week: a date in the week that the daily history leads up to; without it the venue takes the one in which its
            clock begins.
        split_on: the date from which AAPL plays the prices after its 7:1 split.
    """

    def __init__(self, week: date | None = None, split_on: date = SPLIT_ON) -> None:
        self.week: date | None = None
        if week is not None:
            self.lead_up_to(week)
        self.split_on = split_on
        self.splits: list[Split] = [Split(SPLIT_SYMBOL, local_ms(split_on, _MIDNIGHT), SPLIT_NEW, SPLIT_OLD, True)]
        self._history = {name: DailyBars(name) for name in HISTORY_ENDS_BEFORE}

    def lead_up_to(self, day: date) -> None:
        """Let the daily history end before the week of a date."""
        self.week = day - timedelta(days=day.weekday())

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(WEEKS)

    def add_split(self, symbol: str, at: int, new: int, old: int) -> None:
        """Let every price of a stock from a moment on be the one after a split."""
        self.splits.append(Split(symbol, at, new, old, planned=False))

    def played(self, symbol: str, day: date) -> date | None:
        """Return which recorded day a date plays; None when there is no session or no recording."""
        session = session_of(day)
        if session is None or symbol not in WEEKS:
            return None
        is_split = symbol == SPLIT_SYMBOL and day >= self.split_on
        if session.is_half and symbol in HALF_DAY_SYMBOLS and not is_split:
            return HALF_DAY
        return AFTER_SPLIT if is_split else WEEKS[symbol][day.weekday()]

    # -- ticks
    def last(self, symbol: str, ms: int) -> Tick | None:
        """Return the latest tick at or before a time, in the units of that time."""
        session = _begun(ms)
        for _ in range(2):
            tape = self._day(symbol, session.day)
            if tape is None:
                return None
            index = tape.index_at(min(ms, _end(session) - 1) - session.midnight)
            if index >= 0:
                tick = self._tick(symbol, session, tape, index)._replace(last_size=tape.last_size(index))
                return self._in_units_of(ms, tick)
            session = session_before(session.day)
        return None

    def between(self, symbol: str, after: int, until: int) -> Iterator[Tick]:
        """Yield ticks with after < time <= until."""
        day, last = local_date(after), local_date(until)
        while day <= last:
            session = session_of(day)
            has_begun = session is not None and session.pre_open <= until
            tape = self._day(symbol, day) if has_begun else None
            if session is not None and tape is not None:
                end = min(until, _end(session) - 1)
                for index in tape.rows_between(after - session.midnight, end - session.midnight):
                    yield self._tick(symbol, session, tape, index)
            day += timedelta(days=1)

    def summary(self, symbol: str, ms: int) -> DaySummary:
        """Return what the session's day of a time showed so far; before 04:00 that of the day before."""
        session = _begun(ms)
        tape = self._day(symbol, session.day)
        offset = min(ms, _end(session) - 1) - session.midnight
        index = -1 if tape is None else tape.index_at(offset)
        if tape is None or index < 0:
            return DaySummary(0, 0, 0, 0)
        opening = tape.opening if tape.opening is not None and tape.opening_ms <= offset else 0
        since = session.midnight

        def price(points: int) -> int:
            return self.rebased(symbol, since, ms, points)

        return DaySummary(price(opening), price(tape.highs[index]), price(tape.lows[index]), tape.volumes[index])

    def close_before(self, symbol: str, ms: int) -> int:
        """Return the close of the session before the one of a time; 0 without a recording."""
        session = session_at(ms)
        day = session_before(session.day if session and ms >= session.pre_open else local_date(ms))
        if session is None or ms < session.pre_open:
            # the last session's own figures still stand, so its close is not yet the one before
            day = session_before(day.day)
        bars = self.minutes(symbol, day.day)[0]
        closes = [bar.close for bar in bars if bar.start * 1000 < day.close - day.midnight]
        return self.rebased(symbol, day.midnight, ms, closes[-1]) if closes else 0

    def _tick(self, symbol: str, session: Session, tape: DayTape, i: int) -> Tick:
        ms = tape.times[i]
        size = tape.sizes[i]
        source = local_ms(tape.recorded, _MIDNIGHT) + ms
        tick = Tick(
            session.midnight + ms, symbol, tape.bids[i], tape.asks[i], tape.bid_sizes[i], tape.ask_sizes[i],
            tape.lasts[i], max(size, 0), size >= 0, source,
        )  # fmt: skip
        new, old = self._made(symbol, tick.time)
        return tick if new == old else _scaled(tick, new, old)

    def _day(self, symbol: str, day: date) -> DayTape | None:
        recorded = self.played(symbol, day)
        if recorded is None:
            return None
        return recorded_day(symbol, recorded)

    # -- splits
    def _made(self, symbol: str, ms: int) -> tuple[int, int]:
        """Return the ratio of splits by hand that a recorded price of a time knows nothing of."""
        new = old = 1
        for split in self.splits:
            if split.symbol == symbol and not split.planned and split.at <= ms:
                new, old = new * split.new, old * split.old
        return new, old

    def ratio(self, symbol: str, since: int, until: int) -> tuple[int, int]:
        """Return new and old shares of all splits with since < at <= until."""
        new = old = 1
        for split in self.splits:
            if split.symbol == symbol and since < split.at <= until:
                new, old = new * split.new, old * split.old
        return new, old

    def _in_units_of(self, ms: int, tick: Tick) -> Tick:
        new, old = self.ratio(tick.symbol, tick.time, ms)
        return tick if new == old else _scaled(tick, new, old)

    def rebased(self, symbol: str, since: int, until: int, price: int) -> int:
        """Return a price recorded for one time in the units of a later one."""
        made_new, made_old = self._made(symbol, since)
        new, old = self.ratio(symbol, since, until)
        return scaled(price, made_new * new, made_old * old)

    # -- bars
    def minutes(self, symbol: str, day: date) -> tuple[list[Bar], list[QuoteBar]]:
        """Return the recorded minute bars a date plays, as recorded (splits by hand not applied)."""
        recorded, session = self.played(symbol, day), session_of(day)
        if recorded is None or session is None:
            return [], []
        trades, quotes = _minutes(symbol, recorded)
        end = (_end(session) - session.midnight) // 1000
        return [bar for bar in trades if bar.start < end], [bar for bar in quotes if bar.start < end]

    def prints(self, symbol: str, day: date, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield offset, price and size of a date's trades; offsets are milliseconds after midnight."""
        tape, session = self._day(symbol, day), session_of(day)
        if tape is not None and session is not None:
            yield from tape.prints(start, min(end, _end(session) - session.midnight))

    def shown(self, symbol: str, day: date, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield offset, bid and ask of a date's quotes, the one that stood at the start first."""
        tape, session = self._day(symbol, day), session_of(day)
        if tape is not None and session is not None:
            yield from tape.shown(start, min(end, _end(session) - session.midnight))

    def history(self, symbol: str, day: date) -> tuple[int, int, int, int, int] | None:
        """Return the daily bar of a date before the tape's week: recorded, moved by whole weeks."""
        if self.week is None or not self.has_history(symbol, day):
            return None
        return self._history[symbol].on(day + (HISTORY_ENDS_BEFORE[symbol] - self.week))

    def has_history(self, symbol: str, day: date) -> bool:
        """Tell whether a date's daily bar comes from the daily history and not from the tape."""
        return symbol in self._history and self.week is not None and day < self.week


def first_day(clock: Clock) -> date:
    """Return the New York date a clock begins on, or shows now where it tells no beginning."""
    start = getattr(clock, "start", None)
    return local_date(int(start * 1000) if start else clock.now_ms())


def scaled(price: int, new: int, old: int) -> int:
    """Return a price after a split, in whole cents."""
    return price if new == old else round(price * old / new / CENT) * CENT


def _scaled(tick: Tick, new: int, old: int) -> Tick:
    bid, ask, last = (scaled(price, new, old) for price in (tick.bid, tick.ask, tick.last))
    return tick._replace(bid=bid, ask=max(ask, bid + CENT) if ask else 0, last=last)


def _begun(ms: int) -> Session:
    """Return the latest session whose early trading has begun: what comes before that is not worth building a day."""
    session = session_at(ms)
    return session if session is not None and ms >= session.pre_open else session_before(local_date(ms))


def _end(session: Session) -> int:
    # nothing is recorded after the close of a half day
    return session.close if session.is_half else session.post_close + 1


@lru_cache(maxsize=12)
def _minutes(symbol: str, recorded: date) -> tuple[list[Bar], list[QuoteBar]]:
    return _from_path(recorded_day(symbol, recorded)) if recorded == HALF_DAY else minute_bars(symbol, recorded)


def _from_path(tape: DayTape) -> tuple[list[Bar], list[QuoteBar]]:
    bars: list[Bar] = []
    for ms, price, size in tape.prints(0, 86_400_000):
        start = ms // 60_000 * 60
        if bars and bars[-1].start == start:
            b = bars[-1]
            bars[-1] = Bar(start, b.open, max(b.high, price), min(b.low, price), price, b.volume + size)
        else:
            bars.append(Bar(start, price, price, price, price, size))
    quotes = [QuoteBar(b.start, _moved(b, -CENT), _moved(b, CENT), 500, 500) for b in bars]
    return bars, quotes


def _moved(bar: Bar, by: int) -> tuple[int, int, int, int]:
    return bar.open + by, bar.high + by, bar.low + by, bar.close + by
