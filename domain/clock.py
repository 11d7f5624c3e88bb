"""Time: the only place that asks the machine what time it is.

``TBOT_CLOCK`` chooses the clock of a whole fleet:

    real
    sim:<ISO start>@<speed>[,anchor=<unix seconds>]

A simulated clock shows ``start + (unix time - anchor) * speed``: the same formula in each process, so that all of
them agree without talking to each other. Without an anchor the moment of construction is the anchor.
"""

import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from domain.errors import Misconfigured

GRAMMAR = "'real' or 'sim:<ISO start>@<speed>[,anchor=<unix seconds>]'"


class Clock(Protocol):
    """What every process is handed instead of calling ``now()`` itself."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never steps back; real time even under a simulated clock."""

    def real_seconds(self, clock_seconds: float) -> float:
        """Return how many real seconds pass while this clock passes ``clock_seconds``."""


def require_utc(moment: datetime, name: str = "time") -> datetime:
    """Return ``moment`` in UTC; a naive one is a programming error."""
    if moment.tzinfo is None:
        raise ValueError(f"{name} must be timezone-aware, found naive {moment.isoformat()}")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def iso(moment: datetime) -> str:
    """Write ``moment`` as fixed-width UTC ISO-8601 with microseconds and ``Z`` (27 characters)."""
    # Not strftime: its %Y has no leading zeros before the year 1000.
    return require_utc(moment).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse_iso(text: str) -> datetime:
    """Read an ISO-8601 moment that names its offset.

    Raises:
        ValueError: the text is no ISO-8601 moment, or names no offset.
    """
    return require_utc(datetime.fromisoformat(text))


class RealClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def real_seconds(self, clock_seconds: float) -> float:
        return clock_seconds


@dataclass(frozen=True, slots=True)
class SimulatedClock:
    """A clock that starts at ``start`` when Unix time is ``anchor`` and runs ``speed`` times as fast."""

    start: datetime
    speed: float
    anchor: float = field(default_factory=time.time)

    def now(self) -> datetime:
        return self.start + timedelta(seconds=(time.time() - self.anchor) * self.speed)

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def real_seconds(self, clock_seconds: float) -> float:
        return clock_seconds / self.speed


class FakeClock:
    """A clock for tests that moves only when told to."""

    def __init__(self, start: datetime) -> None:
        self._now = require_utc(start)
        self._mono = 1_000_000_000

    def now(self) -> datetime:
        return self._now

    def monotonic_ns(self) -> int:
        return self._mono

    def real_seconds(self, clock_seconds: float) -> float:
        return 0.0

    def advance(self, seconds: float) -> None:
        """Move forward; a negative number steps the wall time back but never the monotonic one."""
        self._now += timedelta(seconds=seconds)
        self._mono += max(0, int(seconds * 1e9))


def parse_clock(spec: str) -> Clock:
    """Build the clock that ``TBOT_CLOCK`` names.

    Raises:
        Misconfigured: the text does not follow the grammar above.
    """
    if spec == "real":
        return RealClock()
    try:
        return _simulated(spec)
    except (ValueError, OverflowError) as error:
        raise Misconfigured(f"TBOT_CLOCK as {GRAMMAR}", f"{spec!r} ({error})", "correct TBOT_CLOCK") from error


def _simulated(spec: str) -> SimulatedClock:
    head, anchored, tail = spec.partition(",anchor=")
    scheme, _, rest = head.partition(":")
    start, _, speed = rest.partition("@")
    if scheme != "sim" or not start or not speed:
        raise ValueError("not the form asked for")
    if not 0 < float(speed) <= 10_000:
        raise ValueError("speed must lie in (0, 10000]")
    anchor = float(tail) if anchored else time.time()
    if not math.isfinite(anchor):
        raise ValueError("anchor must be finite")
    return SimulatedClock(parse_iso(start), float(speed), anchor)
