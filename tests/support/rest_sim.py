"""The read-only simulators, weather and Coinbase: in this process with a hand-moved clock, or over loopback."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from simulators.oanda.transport import Request
from simulators.rest.service import Service

ROOT = Path(__file__).parents[2]
AGENT = "tbot tests"


@dataclass
class HandClock:
    """A clock that stands still until a test moves it."""

    moment: datetime

    def now_ms(self):
        return round(self.moment.timestamp() * 1000)


class Lab:
    """A service without a socket: requests are handed straight to it."""

    def __init__(self, kind, start):
        self.clock = HandClock(datetime.fromisoformat(start))
        self.service = Service(kind, self.clock)

    def at(self, text):
        self.clock.moment = datetime.fromisoformat(text)
        return self

    def send(self, path, method="GET", agent=AGENT, body=b"", **query):
        headers = {"host": "127.0.0.1:1", **({} if agent is None else {"user-agent": agent})}
        asked = {name: str(value) for name, value in query.items()}
        return asyncio.run(self.service.handle(Request(method, path, asked, headers, body)))

    def get(self, path, **query):
        response = self.send(path, **query)
        assert response.status == 200, response.body
        return json.loads(response.body)

    def fault(self, action, **params):
        self.service.faults.add({"name": action, "action": action, **params})

    def fired(self, name):
        return next(fault.fired for fault in self.service.faults.faults if fault.name == name)


class Process:
    """A read-only simulator as users start it."""

    def __init__(self, module, clock, *arguments, env=None):
        chosen = [] if clock is None else ["--clock", clock]
        line = [sys.executable, "-m", module, *chosen, *arguments]
        self.process = subprocess.Popen(
            line, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
        )
        printed = self.process.stdout.readline()
        assert printed.startswith(f"{module} listening on http://127.0.0.1:"), printed
        self.url = printed.split()[-1]

    def get(self, path, **query):
        return httpx.get(self.url + path, params=query, headers={"User-Agent": AGENT}, timeout=10)

    def fault(self, action, **params):
        reply = httpx.post(f"{self.url}/_sim/faults", json={"name": action, "action": action, **params})
        assert reply.status_code == 201, reply.text

    def fired(self, name):
        faults = httpx.get(f"{self.url}/_sim/faults").json()["faults"]
        return next(fault["fired"] for fault in faults if fault["name"] == name)

    def clear(self):
        httpx.delete(f"{self.url}/_sim/faults")

    def stop(self):
        """End the process and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=10)
        self.process.stdout.close()
        return code
