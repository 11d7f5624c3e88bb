"""Whether IBKR can be traded with: the worst of the troubles that are on now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from brokers.ibkr.windows import ResetWindow, upcoming
from domain.clock import Clock
from domain.errors import Retry
from domain.vocabulary import Link

_SEVERITY = {Link.UP: 0, Link.DEGRADED: 1, Link.DOWN: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that keeps us from trading; ``link`` is how bad it is, ``words`` say it to a person."""

    link: Link
    words: str
    since: datetime


class LinkState:
    """Collects troubles by name. A connection begins with one, ``session``, which its first full refresh clears.

    Inside a reset window an absence is explained, for ``longest_s`` at most; in the last ``quiet_s`` before one the
    link is DEGRADED, so that no order is under way when the servers go. May be used from any thread.
    """

    def __init__(self, clock: Clock, windows: tuple[ResetWindow, ...], *, quiet_s: float, longest_s: float) -> None:
        self._clock = clock
        self._windows = windows
        self._quiet = timedelta(seconds=quiet_s)
        self._longest = timedelta(seconds=longest_s)
        self._lock = Lock()
        self._troubles: dict[str, Trouble] = {}
        self.trouble("session", Link.DOWN, "not connected yet")

    def trouble(self, name: str, link: Link, words: str) -> bool:
        """Note a trouble, or new words for one that is on; tell whether it is new."""
        with self._lock:
            before = self._troubles.get(name)
            since = before.since if before else self._clock.now()
            self._troubles[name] = Trouble(link=link, words=words, since=since)
            return before is None

    def settled(self, name: str) -> bool:
        """Note that a trouble is over; tell whether it was on."""
        with self._lock:
            return self._troubles.pop(name, None) is not None

    def has(self, name: str) -> bool:
        return name in self._troubles

    def names(self) -> list[str]:
        """Return the names of the troubles that are on."""
        with self._lock:
            return list(self._troubles)

    def state(self) -> tuple[Link, str]:
        """Return the link's state, and in words what troubles it ("" when nothing does)."""
        with self._lock:
            troubles = sorted(self._troubles.values(), key=lambda one: -_SEVERITY[one.link])
        now = self._clock.now()
        window = upcoming(self._windows, now)
        if not troubles:
            return self._before(window, now)
        words = "; ".join(one.words for one in troubles)
        return troubles[0].link, words + self._explained(min(one.since for one in troubles), window, now)

    def require_up(self, what: str) -> None:
        """Raise Retry unless the link is UP: nothing was sent."""
        link, words = self.state()
        if link is not Link.UP:
            raise Retry(f"a link that is UP for {what}", f"{link}: {words}", "try again when it is UP")

    def _before(self, window: tuple[datetime, datetime] | None, now: datetime) -> tuple[Link, str]:
        if window is not None and window[0] - self._quiet <= now < window[0]:
            return Link.DEGRADED, f"IBKR's reset begins at {window[0]:%H:%M} UTC"
        return Link.UP, ""

    def _explained(self, since: datetime, window: tuple[datetime, datetime] | None, now: datetime) -> str:
        """Say whether an absence is that of a reset window, and whether it has outlived it."""
        if now - since > self._longest:
            return f" (since {since:%Y-%m-%d %H:%M} UTC: longer than any reset takes; a person must look)"
        if window is not None and window[0] <= now:
            return f" (IBKR's reset, until {window[1]:%H:%M} UTC)"
        return ""
