"""Named places at which a test can make a process die, fail or stall; free while nothing is armed.

A site reads ``if failpoints.armed: failpoints.reach("before_fsync")``: one attribute while off. Only the environment
key ``TBOT_FAILPOINTS`` arms them, the launcher hands it to nobody, and a surface in mode ``live`` refuses to start with
it.

    TBOT_FAILPOINTS=before_fsync=kill@3,mid_rotate=eio,before_ack=sleep:10@2-4,log=run/fired

``@3`` is the third time the place is reached, ``@2-4`` the second to the fourth, without it each time. ``log`` names a
file that gets one line before each failure, so that a test can see that its fault really happened.
"""

import errno
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from domain.errors import Misconfigured, did_you_mean

KEY = "TBOT_FAILPOINTS"
POINTS = (
    "before_write", "after_write", "before_fsync", "after_fsync", "before_ack",
    "mid_rotate", "mid_checkpoint", "before_order", "after_order",
)  # fmt: skip
_ERRORS = {"eio": errno.EIO, "enospc": errno.ENOSPC, "eintr": errno.EINTR}
_EXAMPLE = "before_fsync=kill@3,mid_rotate=eio,before_ack=sleep:10"

armed = False


class _Failure(NamedTuple):
    action: str
    first: int
    last: float


_failures: dict[str, _Failure] = {}
_reached: Counter[str] = Counter()
_log = ""


def arm(environ: Mapping[str, str]) -> None:
    """Arm what ``TBOT_FAILPOINTS`` asks for; without the key, disarm everything.

    Raises:
        Misconfigured: the key does not read as the module's own words show.
    """
    global armed, _log
    _failures.clear()
    _reached.clear()
    parts = dict(_split(part) for part in environ.get(KEY, "").split(",") if part)
    _log = parts.pop("log", "")
    for point, what in parts.items():
        _failures[point] = _parse(point, what)
    armed = bool(_failures)


def reach(point: str) -> None:
    """Do what is armed at ``point``: end the process, raise OSError, or sleep.

    Raises:
        OSError: the armed error.
    """
    failure = _failures.get(point)
    if failure is None:
        return
    _reached[point] += 1
    if failure.first <= _reached[point] <= failure.last:
        _note(f"{point} {failure.action} {_reached[point]} {os.getpid()}")
        _fail(failure.action)


def _split(part: str) -> tuple[str, str]:
    point, equals, what = part.partition("=")
    if not equals:
        raise Misconfigured(f"{KEY} like {_EXAMPLE}", repr(part), "correct it, or leave the key out")
    return point, what


def _parse(point: str, what: str) -> _Failure:
    action, _, times = what.partition("@")
    is_known = action == "kill" or action in _ERRORS or action.removeprefix("sleep:").replace(".", "", 1).isdecimal()
    if point not in POINTS or not is_known:
        hint = did_you_mean(point, POINTS) if point not in POINTS else "actions: kill, eio, enospc, eintr, sleep:<s>"
        raise Misconfigured(f"{KEY} like {_EXAMPLE}", f"{point}={what}", hint or f"points: {', '.join(POINTS)}")
    first, dash, last = times.partition("-")
    if times and not (first.isdecimal() and (last.isdecimal() or not dash)):
        raise Misconfigured("times like @3 or @2-4", repr(times), f"correct {KEY}")
    if not times:
        return _Failure(action, 1, float("inf"))
    return _Failure(action, int(first), int(last or first))


def _note(line: str) -> None:
    if _log:
        fd = os.open(_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, f"{line}\n".encode())
        finally:
            os.close(fd)


def _fail(action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action in _ERRORS:
        code = _ERRORS[action]
        raise OSError(code, f"{os.strerror(code)} (failpoint)")
    else:
        time.sleep(float(action.removeprefix("sleep:")))
