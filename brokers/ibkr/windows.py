"""The hours at which IBKR resets its servers, told in New York time."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_WINDOW = re.compile(rf"(?:(?P<day>[A-Za-z]{{3}}) )?(?P<begin>{_TIME})-(?P<end>{_TIME})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetWindow:
    """A stretch of local time, each day or on one ``weekday`` (0 is Monday); it may run past midnight."""

    weekday: int | None
    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "ResetWindow":
        """Read ``[day ]HH:MM-HH:MM``; raises ValueError for anything else."""
        found = _WINDOW.fullmatch(text.strip())
        day = (found["day"] or "").lower() if found else ""
        if found is None or (day and day not in _DAYS):
            raise ValueError(f"reset_windows must be '[Mon…Sun ]HH:MM-HH:MM' each, in New York's time, found {text!r}")
        return cls(
            weekday=_DAYS.index(day) if day else None,
            begin=time.fromisoformat(found["begin"]),
            end=time.fromisoformat(found["end"]),
        )

    def nearest(self, moment: datetime) -> tuple[datetime, datetime] | None:
        """Return when this window begins and ends that is open at ``moment`` or opens within a day, in UTC."""
        local = moment.astimezone(NEW_YORK)
        for days in (-1, 0, 1):
            date = local.date() + timedelta(days=days)
            if self.weekday is not None and date.weekday() != self.weekday:
                continue
            begin = datetime.combine(date, self.begin, NEW_YORK)
            last_day = date if self.end > self.begin else date + timedelta(days=1)
            end = datetime.combine(last_day, self.end, NEW_YORK)
            if moment < end.astimezone(moment.tzinfo):
                return begin.astimezone(moment.tzinfo), end.astimezone(moment.tzinfo)
        return None


def upcoming(windows: tuple[ResetWindow, ...], moment: datetime) -> tuple[datetime, datetime] | None:
    """Return begin and end of the window that is open at ``moment`` or opens next, None when none does within a day."""
    found = [times for window in windows if (times := window.nearest(moment)) is not None]
    return min(found, default=None)
