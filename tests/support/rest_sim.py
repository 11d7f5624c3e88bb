"""The read-only simulators, weather and Coinbase: in this process with a hand-moved clock, or over loopback."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime

import httpx
from simulator import Simulator

from simulators.rest.service import Service
from simulators.rest.transport import Request

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


class Process(Simulator):
    """A read-only simulator as users start it; a fault is called what it does."""

    def get(self, path, **query):
        return httpx.get(self.url + path, params=query, headers={"User-Agent": AGENT}, timeout=10)

    def fault(self, action, **params):
        return super().fault(action, name=action, **params)
