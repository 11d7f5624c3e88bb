"""When an exchange is open, read from the small file that is computed once a day.

This module is the single authority for the sessions of exchanges; ``market.sessions`` is for foreign exchange. It must
not import exchange_calendars: with pandas that costs a loop 80 MiB. What is not known is closed, never open.
"""

import json
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from domain.clock import Clock, iso, require_utc
from domain.errors import Misconfigured, Retry
from market.calendar_file import FRESH, Timetable, canonical, path_of, read
from market.exchange_session import Phase, Session

__all__ = ["Calendar", "DailyCalendar", "Phase", "Session"]

COMPUTE_S = 120.0
AGAIN = timedelta(minutes=15)
# A child process computes it and needs nothing of ours: neither settings nor secrets. One thread is enough for numpy.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
_DAY = timedelta(days=1)
_SATURDAY = 5


class Calendar:
    """The sessions of one exchange; closed throughout where they are not known.

    Attributes:
        name: what it is filed under (XNYS for NYSE and Nasdaq).
        trouble: why it knows nothing, or is older than it should be; empty when all is well.
    """

    def __init__(self, name: str, timetable: Timetable | None, *, trouble: str = "") -> None:
        self.name = name
        self.trouble = trouble
        self._table = timetable
        self._sessions = timetable.sessions if timetable else ()
        self._by_day = {session.day: session for session in self._sessions}
        self._days = tuple(self._by_day)
        self._opens = tuple(session.open for session in self._sessions)
        self._closes = tuple(session.close for session in self._sessions)
        self._ends = tuple(session.post_close for session in self._sessions)

    @classmethod
    def load(cls, directory: Path, name: str) -> "Calendar":
        """Read the calendar kept in ``directory``; a missing or damaged file gives one that is closed throughout."""
        path = path_of(directory, name)
        try:
            found = read(path)
        except Retry as error:
            return cls(canonical(name), None, trouble=str(error))
        if found.name != canonical(name):
            return cls(
                canonical(name), None, trouble=f"expected the calendar of {name} in {path}, found {found.name}'s"
            )
        return cls(found.name, found)

    @classmethod
    def ensure(cls, directory: Path, name: str, clock: Clock) -> "Calendar":
        """Return the calendar of today, computing it in a child process when the one kept is missing or a day old.

        Several processes may do so at once. One that cannot be computed leaves the older one, with its ``trouble``.

        Raises:
            Misconfigured: none is kept, and there is none of that name.
        """
        found, now = cls.load(directory, name), clock.now()
        if found.is_fresh(now):
            return found
        command = _command(directory, name, now)
        try:
            done = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, timeout=COMPUTE_S, check=False)
            complaint = _last_line(done.stderr) if done.returncode else ""
            if done.returncode == Misconfigured.exit_code and found.computed_at is None:
                raise Misconfigured(*json.loads(done.stdout))
        except (OSError, subprocess.TimeoutExpired) as error:
            complaint = str(error)
        return cls.load(directory, name)._unless_fresh(now, complaint)

    @property
    def computed_at(self) -> datetime | None:
        """When it was computed, on the clock of the process that asked; None when nothing is known."""
        return self._table.computed_at if self._table else None

    @property
    def sessions(self) -> Sequence[Session]:
        return self._sessions

    def is_fresh(self, now: datetime) -> bool:
        """Tell whether it was computed within a day of ``now`` and knows the days around it."""
        return self._table is not None and self._table.is_fresh(now)

    def covers(self, moment: datetime) -> bool:
        """Tell whether the sessions around ``moment`` are known; outside everything is closed."""
        return self._table is not None and self._table.covers(moment)

    def session(self, day: date) -> Session | None:
        """Return the session of ``day``, None on a weekend or holiday and where the days are not known."""
        return self._by_day.get(day)

    def session_at(self, moment: datetime) -> Session | None:
        """Return the session in whose hours, pre and post market included, ``moment`` lies."""
        session = self._coming(moment)
        return session if session is not None and moment >= session.pre_open else None

    def phase(self, moment: datetime) -> Phase:
        session = self._coming(moment)
        return Phase.CLOSED if session is None else session.phase(moment)

    def is_open(self, moment: datetime, *, extended: bool = False) -> bool:
        """Tell whether it trades in regular hours, or, ``extended``, in pre or post market as well."""
        phase = self.phase(moment)
        return phase is Phase.REGULAR or (extended and phase is not Phase.CLOSED)

    def next_open(self, moment: datetime) -> datetime | None:
        """Return the next regular opening after ``moment``, None where it is not known."""
        return _after(self._opens, moment)

    def next_close(self, moment: datetime) -> datetime | None:
        """Return the next regular close after ``moment``, None where it is not known."""
        return _after(self._closes, moment)

    def open_between(self, start: datetime, end: datetime) -> timedelta:
        """Return for how long it is open in regular hours between two moments."""
        total = timedelta(0)
        for session in self._sessions[bisect_right(self._closes, start) : bisect_right(self._opens, end)]:
            total += max(timedelta(0), min(end, session.close) - max(start, session.open))
        return total

    def trading_day(self, moment: datetime) -> date:
        """Return the day that ``moment`` is booked on: that of the session it lies in, else of the one to come.

        An evening after the post market, a weekend and a holiday belong to the next session, so that nothing is booked
        on a day that never trades. Where no session is known it is the next weekday, in UTC.
        """
        session = self._coming(moment)
        return session.day if session is not None and self.covers(moment) else _weekday(moment)

    def day_bounds(self, day: date) -> tuple[datetime, datetime]:
        """Return when the trading day starts, with the end of the session before, and when it ends, in UTC."""
        index = bisect_right(self._days, day) - 1
        if index < 1 or self._days[index] != day:
            start = datetime.combine(day, time(), UTC)
            return start, start + _DAY
        return self._ends[index - 1], self._ends[index]

    def days(self, last: date, count: int) -> tuple[date, ...]:
        """Return the ``count`` latest session days up to and including ``last``, oldest first; fewer if not known."""
        end = bisect_right(self._days, last)
        return self._days[max(0, end - count) : end]

    def _coming(self, moment: datetime) -> Session | None:
        """Return the first session that has not ended at ``moment``; it may lie ahead."""
        index = bisect_right(self._ends, require_utc(moment))
        return self._sessions[index] if index < len(self._sessions) else None

    def _unless_fresh(self, now: datetime, complaint: str) -> "Calendar":
        if self.is_fresh(now):
            return self
        return Calendar(self.name, self._table, trouble=complaint or self.trouble or "the calendar kept is too old")


class DailyCalendar:
    """A calendar for a process that runs for months: computed anew every day, without ever waiting for it.

    Only the first look waits for the child process that computes it. ``key`` is the setting its name comes from.

    Raises:
        Misconfigured: there is no calendar of that name.
    """

    def __init__(self, directory: Path, name: str, clock: Clock, *, key: str = "a name") -> None:
        self._directory, self._name, self._clock = directory, name, clock
        try:
            self._calendar = Calendar.ensure(directory, name, clock)
        except Misconfigured as error:
            raise Misconfigured(f"{key} as {error.expected}", error.found, error.todo) from error
        self._child: subprocess.Popen[bytes] | None = None
        self._ask_at = self._due(clock.now())

    def today(self) -> Calendar:
        """Return the newest calendar; a child process begins to compute the next one when this is a day old."""
        now = self._clock.now()
        if self._child is not None:
            self._take()
        elif now >= self._ask_at or self._ask_at - now > 2 * FRESH:  # a clock that was set back is another day too
            self._begin(now)
        return self._calendar

    def _begin(self, now: datetime) -> None:
        # Another process may have computed it already: the child looks before it works.
        self._ask_at = now + AGAIN
        try:
            command = _command(self._directory, self._name, now)
            self._child = subprocess.Popen(
                command,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            self._calendar = self._calendar._unless_fresh(now, str(error))

    def _take(self) -> None:
        assert self._child is not None
        if self._child.poll() is None:
            return
        failed, self._child = self._child.returncode, None
        fresh = Calendar.load(self._directory, self._name)
        if fresh.trouble or failed:
            complaint = fresh.trouble or f"the calendar could not be computed anew (exit {failed})"
            self._calendar = self._calendar._unless_fresh(self._clock.now(), complaint)
        else:
            self._calendar = fresh
        self._ask_at = self._due(self._clock.now())

    def _due(self, now: datetime) -> datetime:
        """Return when to compute it next: a day after the last time, or soon when that did not work."""
        computed_at = self._calendar.computed_at
        return computed_at + FRESH if computed_at and self._calendar.is_fresh(now) else now + AGAIN


def _command(directory: Path, name: str, now: datetime) -> list[str]:
    # -W ignore: exchange_calendars meets deprecations of pandas, which are none of a process log's business.
    source = [sys.executable, "-W", "ignore", "-m", "market.calendar_source"]
    return [*source, canonical(name), "--directory", str(directory.resolve()), "--at", iso(now)]


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "the calendar could not be computed, without a word why"


def _after(moments: Sequence[datetime], moment: datetime) -> datetime | None:
    index = bisect_right(moments, require_utc(moment))
    return moments[index] if index < len(moments) else None


def _weekday(moment: datetime) -> date:
    day = moment.date()
    while day.weekday() >= _SATURDAY:
        day += _DAY
    return day
