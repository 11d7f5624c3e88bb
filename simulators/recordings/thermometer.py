"""SYNTHETIC temperatures of Central Park between the recorded low and high of each climate day.

Nothing but the two extremes is recorded. The curve runs from each morning's low to the afternoon's high and on to the
next low, with a little seeded unrest between. The hours of both extremes are seeded, at 51 minutes past so that the
hourly report shows them; the curve touches both exactly and passes neither.
"""

import math
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate

from simulators.recordings.climate import EST, climate_day, date_of, midnight
from simulators.recordings.seeded import pick, share

STEP = timedelta(minutes=5)
# reports come every five minutes, and the hourly one at :51
_MINUTES = sorted({*range(0, 24 * 60, 5), *range(51, 24 * 60, 60)})
_UNREST_F = 0.7
# a moment and the temperature the curve has then
_Node = tuple[datetime, float]
_LATE_SHARE = 1 / 12


def low_time(day: date) -> datetime:
    """Return when the low of a day is reached."""
    return midnight(day) + timedelta(hours=4 + pick(3, "low", day), minutes=51)


def high_time(day: date) -> datetime:
    """Return when the high of a day is reached: in the afternoon, or on one day in twelve late in the evening."""
    if share("evening high", day) < _LATE_SHARE:
        return midnight(day) + timedelta(hours=19, minutes=51)
    return midnight(day) + timedelta(hours=12 + pick(5, "high", day), minutes=51)


def temperature_f(moment: datetime) -> float:
    """Return the temperature at a moment."""
    day = date_of(moment)
    today = climate_day(day)
    (start, first), (end, last) = _around(moment, day)
    part = (moment - start) / (end - start)
    # the unrest dies at both ends, so that the extremes stay what was recorded
    unrest = min(_UNREST_F, abs(last - first) / 8) * math.sin(math.pi * part)
    curve = _eased(first, last, part) + unrest * math.sin(2 * math.pi * (3 * part + share("unrest", start)))
    return min(max(curve, float(today.low_f)), float(today.high_f))


def _eased(first: float, last: float, part: float) -> float:
    return first + (last - first) * (1 - math.cos(math.pi * part)) / 2


def _around(moment: datetime, day: date) -> tuple[_Node, _Node]:
    """Return the fixed points of the curve before a moment and after it."""
    if low_time(day) <= moment < high_time(day):
        return _low(day), _high(day)
    evening = day if moment >= high_time(day) else day - timedelta(days=1)
    before, after = _high(evening), _low(evening + timedelta(days=1))
    between = _at_midnight(evening, before, after)
    if between is None:
        return before, after
    return (before, between) if moment < between[0] else (between, after)


def _low(day: date) -> _Node:
    return low_time(day), float(climate_day(day).low_f)


def _high(day: date) -> _Node:
    return high_time(day), float(climate_day(day).high_f)


def _at_midnight(evening: date, before: _Node, after: _Node) -> _Node | None:
    """Return what a sudden change needs between evening and morning: a point inside the extremes of both days."""
    end = midnight(evening + timedelta(days=1))
    days = climate_day(evening), climate_day(evening + timedelta(days=1))
    bottom, top = float(max(day.low_f for day in days)), float(min(day.high_f for day in days))
    straight = _eased(before[1], after[1], (end - before[0]) / (after[0] - before[0]))
    if bottom <= straight <= top or bottom > top:
        return None
    return end, min(max(straight, bottom), top)


@lru_cache(maxsize=256)
def _day_table(day: date) -> tuple[list[float], list[float], list[float]]:
    start = midnight(day)
    readings = [temperature_f(start + timedelta(minutes=minute)) for minute in _MINUTES]
    return readings, list(accumulate(readings, max)), list(accumulate(readings, min))


def report_times(day: date) -> list[datetime]:
    """Return when the station reports on a climate day."""
    start = midnight(day)
    return [start + timedelta(minutes=minute) for minute in _MINUTES]


def observed(moment: datetime) -> tuple[float, float, float]:
    """Return the last report of the climate day at a moment, the highest and the lowest so far."""
    local = moment.astimezone(EST)
    minute = local.hour * 60 + local.minute
    index = minute // 5 + (minute + 9) // 60  # so many of each kind lie before this minute
    while index >= len(_MINUTES) or _MINUTES[index] > minute:
        index -= 1
    readings, highs, lows = _day_table(local.date())
    return readings[index], highs[index], lows[index]
