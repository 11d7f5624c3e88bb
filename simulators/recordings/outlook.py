"""Forecasts of a climate day's high, as they stand at a moment.

The short-lead forecast is Open-Meteo's where it was recorded; elsewhere it is SYNTHETIC: the recorded high less the
measured bias of 0.31 °F and with a seeded normal error of 1.80 °F, which is what 110 recorded days of forecasts showed
against the official highs. Further ahead every forecast gets a further seeded error, which shrinks in steps of six
hours.
"""

import math
from datetime import date, datetime, timedelta

from simulators.recordings.climate import climate_day, midnight
from simulators.recordings.seeded import normal

BIAS_F, SPREAD_F = 0.31, 1.80
ISSUE = timedelta(hours=6)
# what a further day of lead adds, as a standard deviation
_DAY_F = 1.1


def is_recorded(day: date) -> bool:
    """Tell whether the short-lead forecast of a day is a recorded one."""
    return climate_day(day).forecast_f is not None


def short_lead_f(day: date) -> float:
    """Return the last forecast of a day's high."""
    recorded = climate_day(day)
    if recorded.forecast_f is not None:
        return recorded.forecast_f
    return round(recorded.high_f - BIAS_F + SPREAD_F * normal("forecast", day), 1)


def forecast_high_f(day: date, moment: datetime) -> float:
    """Return the forecast of a day's high that was the newest at a moment."""
    ahead = midnight(day) - issued(moment)
    steps = max(0, math.ceil(ahead / ISSUE))
    error = sum(normal("lead", day, step) for step in range(steps))
    return round(short_lead_f(day) + _DAY_F / 2 * error, 1)


def forecast_low_f(day: date, moment: datetime) -> float:
    """Return the forecast of a day's low: SYNTHETIC, the recorded low with a seeded error."""
    steps = max(0, math.ceil((midnight(day) - issued(moment)) / ISSUE))
    error = 1.5 * normal("low forecast", day) + 0.5 * sum(normal("low lead", day, step) for step in range(steps))
    return round(climate_day(day).low_f + error, 1)


def issued(moment: datetime) -> datetime:
    """Return when the newest forecast was issued: 00, 06, 12 or 18 UTC."""
    return moment.replace(hour=moment.hour - moment.hour % 6, minute=0, second=0, microsecond=0)
