"""One day of an exchange, and the part of it in which a moment lies."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from domain.clock import require_utc


class Phase(StrEnum):
    """Where a moment lies in an exchange's day: before the opening, in it, after the close, or outside all three."""

    PRE = "pre"
    REGULAR = "regular"
    POST = "post"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A day on which the exchange trades, in UTC; an opening belongs to the part it starts, a close to the next one.

    ``pre_open`` equals ``open`` and ``post_close`` equals ``close`` where there is no trading around the regular hours.
    """

    day: date
    pre_open: datetime
    open: datetime
    close: datetime
    post_close: datetime
    is_half_day: bool

    def __post_init__(self) -> None:
        for moment in (self.pre_open, self.open, self.close, self.post_close):
            require_utc(moment, "Session")
        if not self.pre_open <= self.open < self.close <= self.post_close:
            raise ValueError(f"the session of {self.day} must run pre-market, open, close, post-market, found {self!r}")

    def phase(self, moment: datetime) -> Phase:
        """Return the part of this session in which ``moment`` lies."""
        if not self.pre_open <= moment < self.post_close:
            return Phase.CLOSED
        if moment < self.open:
            return Phase.PRE
        return Phase.REGULAR if moment < self.close else Phase.POST


def may_trade(calendar_open: bool, broker_open: bool | None) -> bool:
    """Tell whether a market counts as open: the calendar and the broker's own flag must both say so.

    A broker that says nothing (None) leaves it to the calendar.
    """
    return calendar_open and broker_open is not False
