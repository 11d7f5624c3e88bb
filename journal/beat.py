"""Heartbeat files: proof that a process's loop still turns, readable without asking the process."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domain.clock import Clock, RealClock, iso
from domain.errors import Halt, Misconfigured, TBotError
from domain.house import House

STOPPED = "stopped"
MISCONFIGURED = "misconfigured"
HALTED = "halted"
NO_CRASH = frozenset({STOPPED, MISCONFIGURED, HALTED})


class Heartbeat:
    """Replaces one small JSON file atomically, at most once every ``every_s`` real seconds.

    The file is advisory: when it can't be written the loop goes on, and the stale file says so to whoever watches.
    """

    def __init__(self, path: Path, clock: Clock, *, every_s: float = 1.0) -> None:
        self._path = path
        self._clock = clock
        self._every_ns = int(every_s * 1e9)
        self._next_ns = 0
        self._seq = 0

    def beat(self, **facts: Any) -> None:
        """Write the heartbeat if it is due; ``facts`` are shown beside it (text, numbers, lists of text)."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._next_ns:
            self._write(now_ns, facts)

    def stopped(self) -> None:
        """Say that the process ends on purpose, so that the launcher does not take it for a crash."""
        self._write(self._clock.monotonic_ns(), {"phase": STOPPED})

    def misconfigured(self) -> None:
        """Say that the process ends because of a setting, which is no crash either."""
        self._write(self._clock.monotonic_ns(), {"phase": MISCONFIGURED})

    def halted(self) -> None:
        """Say that the process ends because going on is unsafe: a person is called, not a back-off begun."""
        self._write(self._clock.monotonic_ns(), {"phase": HALTED})

    def _write(self, now_ns: int, facts: Mapping[str, Any]) -> None:
        self._next_ns = now_ns + self._every_ns
        self._seq += 1
        content = {"ts": iso(self._clock.now()), "seq": self._seq, "mono_ns": str(now_ns), "pid": os.getpid(), **facts}
        scratch = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(content) + "\n")
            scratch.replace(self._path)
        except OSError:
            return


def note_end(environ: Mapping[str, str], program: str, error: TBotError) -> None:
    """Leave a note for the launcher when ``error`` is a wrong setting or a halt; without a ``run/`` nobody launched us.

    After either the next start must say the same thing again, and not that there were too many crashes.
    """
    path = House(home=Path(environ.get("TBOT_HOME", "."))).heartbeat(program)
    if not path.parent.is_dir():
        return
    heartbeat = Heartbeat(path, RealClock())  # the process's own clock may be the setting that is wrong
    if isinstance(error, Misconfigured):
        heartbeat.misconfigured()
    elif isinstance(error, Halt):
        heartbeat.halted()
