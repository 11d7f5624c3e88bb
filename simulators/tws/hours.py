"""Trading hours in the words of contract details."""

from collections.abc import Sequence
from datetime import date

from simulators.ibkr.clock import NEW_YORK, moment
from simulators.ibkr.sessions import session_of


def trading_hours(days: Sequence[date], *, liquid: bool) -> str:
    """Return the hours of some days; ``liquid`` are the regular ones, else those before and after count too."""
    return ";".join(_hours(day, liquid) for day in days)


def _hours(day: date, liquid: bool) -> str:
    session = session_of(day)
    if session is None:
        return f"{day:%Y%m%d}:CLOSED"
    first, last = (session.open, session.close) if liquid else (session.pre_open, session.post_close)
    return f"{_text(first)}-{_text(last)}"


def _text(ms: int) -> str:
    return f"{moment(ms).astimezone(NEW_YORK):%Y%m%d:%H%M}"
