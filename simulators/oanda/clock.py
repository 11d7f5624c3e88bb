"""Simulated time read from a clock specification."""

import re
import time
from dataclasses import dataclass
from datetime import datetime

GRAMMAR = "'real' or 'sim:<ISO start with offset>@<speed>[,anchor=<unix seconds>]'"
_SIM = re.compile(r"sim:(?P<start>[^@,]+)@(?P<speed>[^@,]+)(?:,anchor=(?P<anchor>[^@,]+))?\Z")


class ClockError(ValueError):
    """A clock specification that does not follow the grammar."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A linear clock: ``start + (unix time - anchor) * speed``, all in seconds since 1970."""

    start: float
    speed: float
    anchor: float

    def now_ms(self) -> int:
        """Return the simulated time in epoch milliseconds."""
        return int((self.start + (time.time() - self.anchor) * self.speed) * 1000)


def parse_clock(text: str) -> Clock:
    """Read a clock specification.

    Raises:
        ClockError: the text does not follow the grammar; the message says what to write.
    """
    if text == "real":
        # start == anchor at speed 1 is the machine's own clock
        return Clock(start=0.0, speed=1.0, anchor=0.0)
    found = _SIM.match(text)
    if found is None:
        raise _problem(text, "this is neither form")
    anchor_text = found["anchor"]
    anchor = time.time() if anchor_text is None else _number(text, "anchor", anchor_text)
    speed = _number(text, "speed", found["speed"])
    if speed <= 0:
        raise _problem(text, f"speed {found['speed']} is not above 0")
    return Clock(start=_start(text, found["start"]), speed=speed, anchor=anchor)


def _start(text: str, value: str) -> float:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as exc:
        raise _problem(text, f"start {value!r} is not an ISO-8601 time") from exc
    if moment.tzinfo is None:
        raise _problem(text, f"start {value!r} names no offset; add Z")
    return moment.timestamp()


def _number(text: str, name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError as exc:
        raise _problem(text, f"{name} {value!r} is not a number") from exc
    if number != number or number in (float("inf"), float("-inf")):
        raise _problem(text, f"{name} {value!r} is not finite")
    return number


def _problem(text: str, what: str) -> ClockError:
    return ClockError(
        f"clock: expected {GRAMMAR}; found {text!r} ({what}); "
        "set TBOT_CLOCK or --clock, e.g. sim:2014-05-02T12:20:00Z@120"
    )
