"""The TWS/Gateway simulator as a process, its control pages, and clients that speak to it with the vendor's library."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any

import httpx

ROOT = Path(__file__).parents[2]
# a Tuesday, half an hour into the regular session
START = "2014-05-06T14:00:00Z"
ACCOUNT = "DU1000001"


@dataclass
class TwsSim:
    """``python -m simulators.tws``: ``port`` is the API's, ``url`` the control pages'."""

    process: subprocess.Popen[str]
    port: int
    url: str
    clock: str
    numbers: Any = field(default_factory=lambda: count(1))
    host: str = "127.0.0.1"
    # one client for all: each new one reads the certificates of the world
    pages: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.pages = httpx.Client(base_url=self.url, timeout=10)

    def state(self) -> Any:
        """Return the control page's account of everything."""
        return self.pages.get("/_sim/state").json()

    def requests(self, message: str | None = None) -> Any:
        """Return the last messages of clients, or those of one name."""
        asked = self.pages.get("/_sim/requests").json()["requests"]
        return [one for one in asked if message in (None, one["message"])]

    def fault(self, action: str, **fields: Any) -> str:
        """Add a fault and return its name; ``match`` and parameters as in simulators/README.md."""
        name = fields.pop("name", None) or f"{action}-{next(self.numbers)}"
        reply = self.pages.post("/_sim/faults", json={"name": name, "action": action, **fields})
        assert reply.status_code == 201, reply.text
        return name

    def fired(self, name: str) -> int:
        """Return how often a fault fired."""
        faults = self.pages.get("/_sim/faults").json()["faults"]
        return next(int(fault["fired"]) for fault in faults if fault["name"] == name)

    def clear(self, name: str | None = None) -> None:
        """Remove one fault, or all."""
        self.pages.delete("/_sim/faults", params={} if name is None else {"name": name})

    def trade(self, symbol: str, quantity: object, account: str = ACCOUNT) -> Any:
        """Trade signed shares by hand, outside any client."""
        body = {"account": account, "symbol": symbol, "quantity": str(quantity)}
        reply = self.pages.post("/_sim/trade", json=body)
        assert reply.status_code == 201, reply.text
        return reply.json()

    def stop(self) -> int:
        """End the process and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=10)
        self.pages.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def start(
    *,
    speed: float = 1,
    begin: str = START,
    anchor: float | None = None,
    accounts: str = f"{ACCOUNT}:100000",
    options: Iterable[object] = (),
    env: Mapping[str, str] | None = None,
    stderr: IO[str] | None = None,
) -> TwsSim:
    """Start a gateway.

    Args:
        speed: simulated seconds a second.
        begin: simulated time at the start.
        anchor: unix time at which it is ``begin``; now unless given.
        accounts: as on the command line.
        options: more of the command line, such as ``--state DIR``.
        env: more of the environment.
        stderr: where its error output goes; to that of the test unless given.
    """
    clock = f"sim:{begin}@{speed:g},anchor={time.time() if anchor is None else anchor:.3f}"
    command = [sys.executable, "-m", "simulators.tws", "--clock", clock, "--accounts", accounts, *map(str, options)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**os.environ, **(env or {})}
    )
    assert process.stdout is not None
    printed = process.stdout.readline()
    assert printed.startswith("simulators.tws listening on 127.0.0.1:"), printed
    address, _, url = printed.partition(", control on ")
    return TwsSim(process, int(address.rpartition(":")[2]), url.strip(), clock)


def wait_for(look: Callable[[], Any], seconds: float = 8) -> Any:
    """Return what ``look`` finds, asking until it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return found
