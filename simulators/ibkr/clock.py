"""Simulated time of the venue, and the time of New York."""

from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

# one clock grammar for all simulators
from simulators.oanda.clock import ClockError, parse_clock

__all__ = ["NEW_YORK", "Clock", "ClockError", "local_date", "moment", "parse_clock"]

NEW_YORK = ZoneInfo("America/New_York")


class Clock(Protocol):
    """What the venue asks the time: ``parse_clock`` gives one, tests move one by hand."""

    def now_ms(self) -> int:
        """Return the simulated time in epoch milliseconds."""


def moment(ms: int) -> datetime:
    """Return epoch milliseconds as an aware UTC time."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def local_date(ms: int) -> date:
    """Return the date in New York."""
    return moment(ms).astimezone(NEW_YORK).date()
