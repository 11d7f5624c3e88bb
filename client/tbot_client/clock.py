"""What time it is: the machine's clock corrected by the feed's, or a simulated one.

    real
    sim:<ISO start>@<speed>[,anchor=<unix seconds>]

A simulated clock shows ``start + (unix time - anchor) * speed``; publisher, broker simulator and client agree when all
are given the same text. Only a real clock is corrected: a subscriber's machine may be minutes off, and a signal's end
of life is written in the publisher's time.
"""

import math
import time
from datetime import UTC, datetime, timedelta

from tbot_client.errors import Misconfigured

GRAMMAR = "'real' or 'sim:<ISO start>@<speed>[,anchor=<unix seconds>]'"


class Clock:
    """The only place that asks the machine what time it is."""

    def __init__(self, start: datetime | None = None, speed: float = 1.0, anchor: float = 0.0) -> None:
        self._start = start
        self._speed = speed
        self._anchor = anchor
        self.offset_s = 0.0

    @property
    def speed(self) -> float:
        """Return how many of its seconds pass in a real one."""
        return self._speed

    @property
    def is_real(self) -> bool:
        return self._start is None

    def now(self) -> datetime:
        """Return the current time, aware, in UTC, as the feed sees it."""
        if self._start is None:
            return datetime.now(UTC) + timedelta(seconds=self.offset_s)
        return self._start + timedelta(seconds=(time.time() - self._anchor) * self._speed)

    def correct(self, server_time: datetime) -> None:
        """Take over the feed's time; a simulated clock needs no correction."""
        if self.is_real:
            self.offset_s = (server_time - datetime.now(UTC)).total_seconds()

    def monotonic(self) -> float:
        """Return seconds of a clock that never steps back, for timeouts and schedules: always real time."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait real seconds."""
        time.sleep(seconds)


def iso(moment: datetime) -> str:
    """Write ``moment`` as UTC ISO-8601 with microseconds and ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_iso(text: str) -> datetime:
    """Read an ISO-8601 moment that names its offset; ValueError otherwise."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no offset")
    return moment.astimezone(UTC)


def parse_clock(spec: str) -> Clock:
    """Build the clock that ``[clock] spec`` names.

    Raises:
        Misconfigured: the text does not follow the grammar above.
    """
    if spec == "real":
        return Clock()
    try:
        return _simulated(spec)
    except ValueError as error:
        raise Misconfigured(f"[clock] spec as {GRAMMAR}", f"{spec!r} ({error})", "correct the config file") from error


def _simulated(spec: str) -> Clock:
    head, _, tail = spec.partition(",anchor=")
    scheme, _, rest = head.partition(":")
    start, _, speed = rest.rpartition("@")
    if scheme != "sim" or not start or not speed:
        raise ValueError("not of that form")
    if not (math.isfinite(float(speed)) and 0 < float(speed) <= 10_000):
        raise ValueError("speed must lie in (0, 10000]")
    return Clock(parse_iso(start), float(speed), float(tail) if tail else time.time())
