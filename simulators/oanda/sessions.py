"""Calendar of the currency week: Sunday 17:00 to Friday 17:00 in New York."""

from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
# week 0 is the fully recorded one
_WEEK_ZERO = date(2014, 5, 4)


def epoch_ms(moment: datetime) -> int:
    """Return epoch milliseconds of an aware time."""
    return int(moment.timestamp()) * 1000


def local_ms(day: date, hour: int, zone: ZoneInfo) -> int:
    """Return epoch milliseconds of ``hour`` o'clock on ``day`` in ``zone``."""
    return epoch_ms(datetime.combine(day, time_of_day(hour), zone))


@lru_cache(maxsize=4096)
def week_start(week: int) -> int:
    """Return the opening of a week, counted from the recorded one."""
    return local_ms(_WEEK_ZERO + timedelta(weeks=week), 17, NEW_YORK)


@lru_cache(maxsize=4096)
def week_close(week: int) -> int:
    """Return the Friday close of a week."""
    return local_ms(_WEEK_ZERO + timedelta(weeks=week, days=5), 17, NEW_YORK)


def week_of(ms: int) -> int:
    """Return the week that holds a time; its weekend belongs to it."""
    week = (ms - week_start(0)) // WEEK_MS
    # a week whose clocks change is an hour shorter or longer
    while week_start(week) > ms:
        week -= 1
    while week_start(week + 1) <= ms:
        week += 1
    return week


def is_open(ms: int) -> bool:
    """Tell whether the market trades at a time."""
    return ms < week_close(week_of(ms))


def day_bounds(ms: int, hour: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return the trading day around a time: from ``hour`` o'clock local to the next day's."""
    day = datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone).date()
    if _day_start(day, hour, zone) > ms:
        day -= timedelta(days=1)
    return _day_start(day, hour, zone), _day_start(day + timedelta(days=1), hour, zone)


@lru_cache(maxsize=8192)
def _day_start(day: date, hour: int, zone: ZoneInfo) -> int:
    return local_ms(day, hour, zone)
