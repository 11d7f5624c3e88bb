"""The moment at which a position is sold because its session ends."""

from datetime import datetime, timedelta

from domain.ledger.position import Position
from market.calendar import DailyCalendar


class SessionEnd:
    """Tells when a position is to be flat: some minutes before the close of the session it was opened in or before.

    Args:
        minutes: how long before the close; None leaves positions alone overnight.
    """

    def __init__(self, calendar: DailyCalendar, minutes: int | None) -> None:
        self._calendar = calendar
        self._minutes = minutes

    def __call__(self, position: Position) -> datetime | None:
        """Return the moment, None where the strategy holds overnight or the session is not known."""
        if self._minutes is None:
            return None
        close = self._calendar.today().next_close(position.opened_at)
        return None if close is None else close - timedelta(minutes=self._minutes)
