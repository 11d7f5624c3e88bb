"""The trading week and day of foreign exchange, both measured at 17:00 New York.

This module is the single authority for when the FX market is open. New York changes its clocks twice a year, so none
of these moments has a fixed UTC time: the week ends at 21:00 UTC in summer and at 22:00 in winter.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.clock import require_utc

NEW_YORK = ZoneInfo("America/New_York")
ROLL = time(17)
FRIDAY, SATURDAY, SUNDAY = 4, 5, 6
DAY = timedelta(days=1)


def is_open(moment: datetime) -> bool:
    """Tell whether FX trades: closed from Friday 17:00 to Sunday 17:00 New York, both as seen there."""
    local = require_utc(moment).astimezone(NEW_YORK)
    if local.weekday() == FRIDAY:
        return local.time() < ROLL
    if local.weekday() == SUNDAY:
        return local.time() >= ROLL
    return local.weekday() != SATURDAY


def next_open(moment: datetime) -> datetime:
    """Return the next Sunday 17:00 New York after ``moment``, in UTC."""
    return _next(moment, SUNDAY)


def next_close(moment: datetime) -> datetime:
    """Return the next Friday 17:00 New York after ``moment``, in UTC."""
    return _next(moment, FRIDAY)


def open_between(start: datetime, end: datetime) -> timedelta:
    """Return for how long FX trades between two moments."""
    total = timedelta(0)
    moment = require_utc(start)
    while moment < end:
        if not is_open(moment):
            moment = next_open(moment)
            continue
        until = min(next_close(moment), end)
        total, moment = total + (until - moment), until
    return total


def trading_day(moment: datetime) -> date:
    """Return the date of the trading day: from 17:00 New York on it is tomorrow's.

    Sunday evening belongs to Monday. The closed weekend counts as the Monday to come, so that nothing is booked on a
    day that never trades.
    """
    local = require_utc(moment).astimezone(NEW_YORK)
    day = local.date() + DAY if local.time() >= ROLL else local.date()
    while day.weekday() in (SATURDAY, SUNDAY):
        day += DAY
    return day


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """Return when a trading day starts and ends, in UTC; it lasts 23 or 25 hours when the clocks change in it.

    Monday starts on Sunday 17:00: the weekend before it is closed.
    """
    return _at_roll(day - DAY), _at_roll(day)


def _next(moment: datetime, weekday: int) -> datetime:
    moment = require_utc(moment)
    day = moment.astimezone(NEW_YORK).date()
    day += timedelta(days=(weekday - day.weekday()) % 7)
    found = _at_roll(day)
    return found if found > moment else _at_roll(day + timedelta(days=7))


def _at_roll(day: date) -> datetime:
    return datetime.combine(day, ROLL, NEW_YORK).astimezone(UTC)
