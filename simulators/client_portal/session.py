"""The two sessions of the gateway: the outer one a person signs in to, and the brokerage session inside it.

Idle time is wall-clock time, since a client's keep-alive runs on the wall clock. The token, the daily reset and the
weekly login belong to the calendar, so they follow the simulated clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from enum import StrEnum
from uuid import uuid4
from zoneinfo import ZoneInfo

from simulators.client_portal.conversation import Conversation

NEW_YORK = ZoneInfo("America/New_York")
RESET_AT = time_of_day(1)
TOKEN_LIFE = timedelta(hours=24)
_SUNDAY = 6


class Standing(StrEnum):
    """What the gateway can do now."""

    UP = "up"
    UNAUTHENTICATED = "unauthenticated"
    COMPETING = "competing"
    RESETTING = "resetting"
    NO_SESSION = "no session"
    NEEDS_LOGIN = "needs login"


@dataclass(slots=True)
class Brokerage:
    """What the gateway remembers during one brokerage session and forgets with it.

    ``preflights`` are the contracts a snapshot has been asked for, ``suppressed`` the questions not to ask.
    """

    accounts_read: bool = False
    orders_read: bool = False
    trades_read: bool = False
    preflights: set[int] = field(default_factory=set)
    suppressed: set[str] = field(default_factory=set)
    pending: Conversation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """How long sessions last: idle in wall-clock seconds, the daily reset in simulated ones.

    Without ``calendar`` there is no daily reset, no weekly login and no end of the token.
    """

    idle_seconds: float = 300.0
    reset_seconds: float = 120.0
    calendar: bool = True


class Session:
    """Where both sessions stand, and what moves them."""

    def __init__(self, now: datetime, lives: Lives, wall: Callable[[], float] = time.monotonic) -> None:
        self._lives = lives
        self._wall = wall
        self._looked = now
        self._busy_at = wall()
        self._resetting_until: datetime | None = None
        self.needs_login = False
        self.competing = False
        self.portfolio_read = False
        self.brokerage: Brokerage | None = None
        self.token_until = now
        self.key = ""
        self.sign_in(now)

    @property
    def standing(self) -> Standing:
        """Return what the gateway can do, as of the last ``look``."""
        if self.needs_login:
            return Standing.NEEDS_LOGIN
        if self._resetting_until is not None:
            return Standing.RESETTING
        if self._looked >= self.token_until:
            return Standing.NO_SESSION
        if self.competing:
            return Standing.COMPETING
        return Standing.UP if self.brokerage is not None else Standing.UNAUTHENTICATED

    def sign_in(self, now: datetime) -> None:
        """Begin anew, as a person at the login page does; the only way out of ``needs login``."""
        self.needs_login = self.competing = False
        self._resetting_until = None
        self.portfolio_read = False
        self.key = uuid4().hex
        self._looked = now
        self._open(now)

    def look(self, now: datetime) -> Standing:
        """Let time pass; return where the sessions stand."""
        if self._lives.calendar:
            for reset in _resets(self._looked, now):
                self.reset(reset)
                self.needs_login = self.needs_login or reset.astimezone(NEW_YORK).weekday() == _SUNDAY
        else:
            self.token_until = now + TOKEN_LIFE
        self._looked = max(now, self._looked)
        if self._resetting_until is not None and now >= self._resetting_until:
            self._resetting_until = None
        if self._wall() - self._busy_at > self._lives.idle_seconds:
            self.brokerage = None
        return self.standing

    def keep_alive(self) -> None:
        """Note traffic, without which the brokerage session ends."""
        self._busy_at = self._wall()

    def authenticate(self, now: datetime, *, compete: bool) -> bool:
        """Open the brokerage session again; tell whether that worked."""
        if self.standing not in (Standing.UP, Standing.UNAUTHENTICATED, Standing.COMPETING):
            return False
        if self.competing and not compete:
            return False
        self.competing = False
        if self.brokerage is None:
            self._open(now)
        return True

    def _open(self, now: datetime) -> None:
        self.brokerage = Brokerage()
        self.token_until = now + TOKEN_LIFE
        self.keep_alive()

    def expire(self) -> None:
        """End the brokerage session and nothing else."""
        self.brokerage = None

    def log_out(self) -> None:
        """End both sessions: who signs out of the gateway has to sign in again, in a browser."""
        self.competing = False
        self.require_login()

    def lose_to_another(self) -> None:
        """End the brokerage session because the user signed in elsewhere."""
        self.brokerage, self.competing = None, True

    def require_login(self) -> None:
        """End both sessions until a person signs in."""
        self.brokerage, self.needs_login = None, True

    def reset(self, now: datetime, seconds: float | None = None) -> None:
        """Be away for a while, then without a brokerage session."""
        self.brokerage = None
        away = timedelta(seconds=self._lives.reset_seconds if seconds is None else seconds)
        self._resetting_until = now + away
        # the outer session outlives the reset; only the weekly one needs a person
        self.token_until = max(self.token_until, now + away + timedelta(hours=1))

    def expires_in_ms(self, now: datetime) -> int:
        """Return how long the token lasts."""
        return max(0, round((self.token_until - now).total_seconds() * 1000))


def _resets(after: datetime, until: datetime) -> list[datetime]:
    """Return the daily resets in a span, the last eight at most."""
    day = max(after, until - timedelta(days=8)).astimezone(NEW_YORK).date()
    found = []
    while (moment := datetime.combine(day, RESET_AT, NEW_YORK).astimezone(UTC)) <= until:
        if moment > after:
            found.append(moment)
        day += timedelta(days=1)
    return found
