"""A SYNTHETIC market's idea of a day's high: a normal around its own forecast, cut off by what was observed so far.

It begins with the newest forecast and an error of its own, and turns to what the thermometer shows between 9 and 16:30
of standard time. It reads the recorded high only through the observations made until then.
"""

import math
from datetime import date, datetime, timedelta
from functools import lru_cache

from simulators.kalshi.catalogue.chances import below, kept_open
from simulators.recordings.climate import midnight
from simulators.recordings.outlook import forecast_high_f
from simulators.recordings.seeded import normal
from simulators.recordings.thermometer import observed

# the market's own error at the opening and in the morning of the day, in °F
_EARLY_F, _LATE_F = 0.9, 0.6
_OVERNIGHT_SPREAD_F, _DAWN_SPREAD_F, _SETTLED_SPREAD_F = 2.4, 1.9, 0.4
_DAWN, _WARMEST = 9.0, 16.5
# the evening may still bring the high: this chance at 16:30, none any more at 22:00
_LATE_RISE, _LATE_END, _LATE_SPREAD_F = 0.06, 22.0, 2.0
_MINUTE = timedelta(minutes=1)


def first_guess_f(day: date, moment: datetime) -> float:
    """Return the market's forecast before the day has begun."""
    return forecast_high_f(day, moment) + _own_error_f(day, moment)


def _own_error_f(day: date, moment: datetime) -> float:
    opening, dawn = midnight(day) - timedelta(hours=15), midnight(day) + timedelta(hours=_DAWN)
    part = min(max((moment - opening) / (dawn - opening), 0.0), 1.0)
    return (1 - part) * _EARLY_F * normal("market early", day) + part * _LATE_F * normal("market late", day)


def chance_between(day: date, lowest: int | None, highest: int | None, moment: datetime) -> float:
    """Return the market's chance that the high is ``lowest`` to ``highest`` whole degrees; None is without end."""
    moment = moment.replace(second=0, microsecond=0)
    centre, spread, seen = _view(day, moment)
    floor = -math.inf if seen is None else float(round(seen)) - 0.5
    left = floor if lowest is None else max(lowest - 0.5, floor)
    right = math.inf if highest is None else highest + 0.5
    if right <= left:
        return kept_open(0.0)
    narrow = _share(left, right, centre, spread, floor)
    late = _late_rise(day, moment)
    return kept_open((1 - late) * narrow + late * _share(left, right, centre + 1, _LATE_SPREAD_F, floor))


def _share(left: float, right: float, centre: float, spread: float, floor: float) -> float:
    """Return the chance of ``left`` to ``right`` for a normal number that is known to be above ``floor``."""
    possible = 1 - below((floor - centre) / spread)
    return (below((right - centre) / spread) - below((left - centre) / spread)) / possible


def _late_rise(day: date, moment: datetime) -> float:
    """Return the chance the market gives, after the warmest hours, to a high that comes in the evening."""
    hour = (moment - midnight(day)) / timedelta(hours=1)
    if hour < _WARMEST:
        return 0.0
    return _LATE_RISE * max(0.0, (_LATE_END - hour) / (_LATE_END - _WARMEST))


@lru_cache(maxsize=4096)
def _view(day: date, moment: datetime) -> tuple[float, float, float | None]:
    """Return centre and spread of the market's idea and the high observed so far."""
    guess = first_guess_f(day, moment)
    hour = (moment - midnight(day)) / timedelta(hours=1)
    if hour < 0:
        return guess, _OVERNIGHT_SPREAD_F, None
    last, high, low = observed(min(moment, midnight(day) + timedelta(hours=24) - _MINUTE))
    turned = min(max((hour - _DAWN) / (_WARMEST - _DAWN), 0.0), 1.0)
    spread = _DAWN_SPREAD_F + turned * (_SETTLED_SPREAD_F - _DAWN_SPREAD_F)
    centre = (1 - turned) * guess + turned * _extrapolated(hour, last, high, low)
    # a floor far above the centre would leave nothing to divide by
    return max(centre, high - 2 * spread), spread, high


def _extrapolated(hour: float, last: float, high: float, low: float) -> float:
    """Return the high that a usual day would still reach from here."""
    usual = math.sin(math.pi / 2 * min(max((hour - 6) / (_WARMEST - 6), 0.3), 1.0))
    return max(high, low + (last - low) / usual)
