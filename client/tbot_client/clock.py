"""What time it is: the machine's clock corrected by the feed's, or a simulated one.

    real
    sim:<ISO start>@<speed>[,anchor=<unix seconds>]

A simulated clock shows ``start + (unix time - anchor) * speed``; publisher, broker simulator and client agree when all
are given the same text. Only a real clock is corrected: a subscriber's machine may be minutes off, and a signal's end
of life is written in the publisher's time. Between two answers of the feed its time goes on by a clock nobody sets, so
that a step of the machine's own, by hand or by a time server, brings no signal back to life and ends none.
"""

import math
import time
from datetime import UTC, datetime, timedelta

from tbot_client.errors import Misconfigured

# The clock that also goes on while the machine sleeps, where there is one.
_TICKS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
# Below this a step is the work of two readings and a busy machine.
STEP_S = 1.0
# An answer that took longer says less about the feed's clock than the one before it.
TIGHT_S = 1.0
MOMENT = "a moment with offset, like 2026-03-02T09:00:00Z"
GRAMMAR = "'real' or 'sim:<ISO start>@<speed>[,anchor=<unix seconds>]'"


class Clock:
    """The only place that asks the machine what time it is."""

    def __init__(self, start: datetime | None = None, speed: float = 1.0, anchor: float = 0.0) -> None:
        self._start = start
        self._speed = speed
        self._anchor = anchor
        self._feed_lead_s: float | None = None
        self._bound_s = math.inf
        self._wall_lead_s = time.time() - ticks()
        self._floor: datetime | None = None
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
        if self._start is not None:
            return self._start + timedelta(seconds=(time.time() - self._anchor) * self._speed)
        lead = self._feed_lead_s
        moment = datetime.now(UTC) if lead is None else datetime.fromtimestamp(ticks() + lead, UTC)
        return moment if self._floor is None else max(moment, self._floor)

    def at_least(self, moment: datetime) -> None:
        """Never show an earlier time than this again; a simulated clock needs no telling."""
        if self.is_real:
            self._floor = moment if self._floor is None else max(self._floor, moment)

    @property
    def bound_s(self) -> float | None:
        """Return how far ``offset_s`` may be wrong: half of what the answer it stems from took; None before any."""
        return None if math.isinf(self._bound_s) else self._bound_s

    def correct(self, server_time: datetime, asked_s: float = 0.0, got_s: float = 0.0) -> None:
        """Take over the feed's time from an answer asked for and received at these `ticks`.

        The feed wrote its time between the two. An answer that was long in coming (a poll without news) was written
        just before it arrived, as far as one can tell, and only counts when it contradicts what is known.
        """
        if not self.is_real:
            return
        got = got_s or ticks()
        took = max(0.0, got - (asked_s or got))
        server = server_time.timestamp()
        if took <= TIGHT_S or self._feed_lead_s is None:
            lead, bound = server - got + min(took, TIGHT_S) / 2, took / 2
        else:
            # What is known is held within what this answer proves: written after the question, before the answer.
            lead = min(max(self._feed_lead_s, server - got), server - got + took)
            bound = self._bound_s
        self._feed_lead_s, self._bound_s = lead, bound
        self.offset_s = lead - (time.time() - ticks())

    def stepped_s(self) -> float:
        """Return by how many seconds the machine's clock was set since this was last asked; 0 for none."""
        lead = time.time() - ticks()
        step = lead - self._wall_lead_s
        self._wall_lead_s = lead
        if abs(step) < STEP_S:
            return 0.0
        self.offset_s -= step
        return step

    def monotonic(self) -> float:
        """Return seconds of a clock that never steps back, for timeouts and schedules: always real time."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait real seconds."""
        time.sleep(seconds)


def ticks() -> float:
    """Return seconds of a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(_TICKS)


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
