"""Trading hours of the New York exchanges: regular, half days, holidays."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from simulators.ibkr.clock import NEW_YORK, local_date

_DAY = timedelta(days=1)
_MONDAY, _THURSDAY = 0, 3


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day, in epoch milliseconds: extended hours around the regular ones."""

    day: date
    midnight: int
    pre_open: int
    open: int
    close: int
    post_close: int
    is_half: bool

    def is_regular(self, ms: int) -> bool:
        """Tell whether the regular market is open."""
        return self.open <= ms < self.close

    def is_extended(self, ms: int) -> bool:
        """Tell whether the market is open at all, before and after hours included."""
        return self.pre_open <= ms < self.post_close


@lru_cache(maxsize=1024)
def session_of(day: date) -> Session | None:
    """Return the session of a date; None on weekends and holidays."""
    if day.weekday() > 4 or day in holidays(day.year):
        return None
    half = day in half_days(day.year)
    return Session(
        day=day,
        midnight=local_ms(day, time(0)),
        pre_open=local_ms(day, time(4)),
        open=local_ms(day, time(9, 30)),
        close=local_ms(day, time(13) if half else time(16)),
        post_close=local_ms(day, time(17) if half else time(20)),
        is_half=half,
    )


def session_at(ms: int) -> Session | None:
    """Return the session of the New York date of a time."""
    return session_of(local_date(ms))


def next_session(day: date) -> Session:
    """Return the first session after a date."""
    while True:
        day += _DAY
        found = session_of(day)
        if found is not None:
            return found


def session_before(day: date) -> Session:
    """Return the last session before a date."""
    while True:
        day -= _DAY
        found = session_of(day)
        if found is not None:
            return found


def local_ms(day: date, at: time) -> int:
    """Return a New York wall-clock time in epoch milliseconds."""
    return int(datetime.combine(day, at, NEW_YORK).timestamp() * 1000)


@lru_cache(maxsize=64)
def holidays(year: int) -> frozenset[date]:
    """Return the days of a year without trading, by the exchange's rules since 1998 (special closings left out)."""
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if year >= 2022:
        fixed.append(date(year, 6, 19))
    observed = [_observed(day) for day in fixed]
    new_year = date(year, 1, 1)
    # a New Year's Day on a Saturday is not made up for on the Friday of the old year
    if new_year.weekday() != 5:
        observed.append(_observed(new_year))
    moving = [
        _nth(year, 1, _MONDAY, 3),
        _nth(year, 2, _MONDAY, 3),
        _easter(year) - 2 * _DAY,
        _last_monday_of_may(year),
        _nth(year, 9, _MONDAY, 1),
        _nth(year, 11, _THURSDAY, 4),
    ]
    return frozenset(observed + moving)


@lru_cache(maxsize=64)
def half_days(year: int) -> frozenset[date]:
    """Return the days that close at 13:00: after Thanksgiving, and before Independence Day and Christmas."""
    eves = [date(year, 7, 3), date(year, 12, 24)]
    kept = [day for day in eves if day.weekday() <= 3 and day not in holidays(year)]
    return frozenset([_nth(year, 11, _THURSDAY, 4) + _DAY, *kept])


def _observed(day: date) -> date:
    return day + {5: -_DAY, 6: _DAY}.get(day.weekday(), timedelta(0))


def _nth(year: int, month: int, weekday: int, count: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _easter(year: int) -> date:
    # the anonymous Gregorian computus
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)
