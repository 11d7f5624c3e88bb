"""A simulator as the process its users start, and its control pages."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import IO, Any

import httpx

ROOT = Path(__file__).parents[2]


def clock_of(begin: str, speed: float = 1, anchor: float | None = None) -> str:
    """Return a clock of which it is ``begin`` at the unix time ``anchor``, now unless given."""
    return f"sim:{begin}@{speed:g},anchor={time.time() if anchor is None else anchor:.3f}"


class Simulator:
    """One process; ``url`` is where it answers, ``pages`` a client of its control pages.

    Args:
        module: what is run, such as ``simulators.nws``.
        clock: value of ``--clock``; the machine's own time when None.
        arguments: more of the command line.
        env: more of the environment.
        stderr: where its error output goes; to that of the test unless given.
    """

    def __init__(
        self,
        module: str,
        clock: str | None,
        arguments: Iterable[object] = (),
        env: Mapping[str, str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        self.clock = clock
        self.numbers = count(1)
        chosen = [] if clock is None else ["--clock", clock]
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *chosen, *map(str, arguments)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**os.environ, **(env or {})},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.printed = self.process.stdout.readline()
        assert self.printed.startswith(f"{module} listening on "), self.printed
        self.url = self.printed.split()[-1]
        # One client for all: each new one reads the certificates of the world. The portal signs its own.
        self.pages = httpx.Client(base_url=self.url, timeout=10, verify=self.url.startswith("http:"))

    def state(self) -> Any:
        """Return the control page's account of everything."""
        return self.pages.get("/_sim/state").json()

    def requests(self, **query: Any) -> Any:
        """Return the last requests it saw, oldest first."""
        return self.pages.get("/_sim/requests", params=query).json()["requests"]

    def fault(self, action: str, *, name: str | None = None, **fields: Any) -> str:
        """Add a fault and return its name; ``match`` and parameters as in simulators/README.md."""
        name = name or f"{action}-{next(self.numbers)}"
        reply = self.pages.post("/_sim/faults", json={"name": name, "action": action, **fields})
        assert reply.status_code == 201, reply.text
        return name

    def fired(self, name: str) -> int:
        """Return how often a fault fired, by the simulator's own count."""
        faults = self.pages.get("/_sim/faults").json()["faults"]
        return next(int(fault["fired"]) for fault in faults if fault["name"] == name)

    def clear(self, name: str | None = None) -> None:
        """Remove one fault, or all."""
        self.pages.delete("/_sim/faults", params={} if name is None else {"name": name})

    def stop(self) -> int:
        """End the process and return its exit code."""
        self.pages.close()
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=10)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code
