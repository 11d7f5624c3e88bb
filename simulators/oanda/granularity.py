"""Candle spans of the API and where each begins."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from simulators.oanda.sessions import DAY_MS, HOUR_MS, MINUTE_MS, NEW_YORK, day_bounds

_SECOND = 1000
# name -> nominal length; hours above one, days, weeks and months follow the alignment
LENGTHS = {
    **{f"S{n}": n * _SECOND for n in (5, 10, 15, 30)},
    **{f"M{n}": n * MINUTE_MS for n in (1, 2, 4, 5, 10, 15, 30)},
    **{f"H{n}": n * HOUR_MS for n in (1, 2, 3, 4, 6, 8, 12)},
    "D": DAY_MS,
    "W": 7 * DAY_MS,
    "M": 31 * DAY_MS,
}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where a trading day begins: ``hour`` o'clock in ``zone``; weeks begin on ``weekday`` (0 = Monday)."""

    hour: int = 17
    zone: ZoneInfo = NEW_YORK
    weekday: int = 4

    def span(self, granularity: str, ms: int) -> tuple[int, int]:
        """Return start and end of the candle that holds a time."""
        length = LENGTHS[granularity]
        if length <= HOUR_MS:
            start = ms - ms % length
            return start, start + length
        if granularity == "W":
            return self._week(ms)
        if granularity == "M":
            return self._month(ms)
        day, next_day = day_bounds(ms, self.hour, self.zone)
        start = day + (ms - day) // length * length
        # a day of 23 or 25 hours ends its last candle with the day
        return start, min(start + length, next_day)

    def _local_date(self, ms: int) -> date:
        return datetime.fromtimestamp(ms / 1000, UTC).astimezone(self.zone).date()

    def _week(self, ms: int) -> tuple[int, int]:
        day = self._local_date(day_bounds(ms, self.hour, self.zone)[0])
        first = day - timedelta(days=(day.weekday() - self.weekday) % 7)
        return self._day(first), self._day(first + timedelta(days=7))

    def _month(self, ms: int) -> tuple[int, int]:
        # a trading day belongs to the month in which it ends; at hour 0 it starts and ends on one date
        day = self._local_date(day_bounds(ms, self.hour, self.zone)[1] - 1)
        first = day.replace(day=1)
        following = (first + timedelta(days=32)).replace(day=1)
        back = timedelta(days=1 if self.hour else 0)
        return self._day(first - back), self._day(following - back)

    def _day(self, day: date) -> int:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=self.zone)
        ms = int(noon.timestamp()) * 1000
        start, end = day_bounds(ms, self.hour, self.zone)
        return start if self._local_date(start) == day else end
