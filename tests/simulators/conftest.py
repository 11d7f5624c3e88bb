"""Venues to test against: one in this process with a hand-moved clock, one over loopback."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import httpx
import oandapyV20.oandapyV20 as core
import pytest
from hand_clock import HandClock
from simulator import ROOT, Simulator

from simulators.oanda.account import Account
from simulators.oanda.api import Api
from simulators.oanda.recording import load_recordings
from simulators.oanda.tape import Tape
from simulators.oanda.venue import Venue
from simulators.oanda.wire import parse_time
from simulators.rest.transport import Request

ACCOUNT, TOKEN = "101-001-1-001", "token-one"


@dataclass
class Lab:
    """The venue without a socket: requests are handed straight to the API."""

    venue: Venue
    clock: HandClock
    account: str = ACCOUNT
    token: str = TOKEN
    api: Api = field(init=False)

    def __post_init__(self):
        self.api = Api(self.venue)

    def at(self, text):
        self.clock.ms = parse_time(text)
        return self

    def send(self, method, path, body=None, headers=None, **query):
        names = {"authorization": f"Bearer {self.token}", **(headers or {})}
        raw = b"" if body is None else json.dumps(body).encode()
        request = Request(method, path, {k: str(v) for k, v in query.items()}, names, raw)
        response = asyncio.run(self.api.handle(request))
        return response.status, json.loads(response.body)

    def get(self, path, **query):
        return self.send("GET", f"/v3/accounts/{self.account}/{path}", **query)[1]

    def put(self, path, body=None):
        return self.send("PUT", f"/v3/accounts/{self.account}/{path}", body)

    def order(self, units, kind="MARKET", instrument="EUR_USD", **fields):
        order = {"type": kind, "instrument": instrument, "units": str(units), **fields}
        return self.send("POST", f"/v3/accounts/{self.account}/orders", {"order": order})

    def transactions(self, after=0):
        return self.get("transactions/sinceid", id=after)["transactions"]

    def quote(self, instrument="EUR_USD"):
        price = self.get("pricing", instruments=instrument)["prices"][0]
        return Decimal(price["bids"][0]["price"]), Decimal(price["asks"][0]["price"])

    def summary(self):
        return self.get("summary")["account"]


@pytest.fixture(scope="session")
def recordings():
    return load_recordings()


@pytest.fixture(scope="session")
def tape(recordings):
    return Tape(recordings)


@pytest.fixture
def make_lab(tape):
    def make(start="2014-05-02T10:00:00Z", accounts=None, store=None, **options):
        clock = HandClock(parse_time(start))
        listed = accounts or [Account(ACCOUNT, TOKEN, "USD", Decimal(100_000))]
        return Lab(Venue(clock, options.get("tape", tape), listed, store), clock)

    return make


@pytest.fixture
def lab(make_lab):
    return make_lab()


class Running(Simulator):
    """A simulator process."""

    def __init__(self, *words):
        super().__init__("simulators.oanda", *words)
        self.sessions = []

    def client(self, token=TOKEN, **options):
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=10, **options)

    def sdk(self, timeout=10):
        core.TRADING_ENVIRONMENTS[self.url] = {"api": self.url, "stream": self.url}
        api = core.API(access_token=TOKEN, environment=self.url, request_params={"timeout": timeout})
        self.sessions.append(api.client)
        return api

    def tidy(self):
        """Remove every fault and close what the library leaves open."""
        self.clear()
        while self.sessions:
            self.sessions.pop().close()


def command(*arguments):
    return [sys.executable, "-m", "simulators.oanda", *arguments]


@pytest.fixture(scope="module")
def start_process():
    started = []

    def start(clock, *arguments, env=None):
        started.append(Running(clock, ("--account", f"{ACCOUNT}:{TOKEN}:USD:100000", *arguments), env))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="module")
def _slow(start_process):
    return start_process("sim:2014-05-02T12:40:00Z@1")


@pytest.fixture
def slow(_slow):
    """A venue at the speed of the wall clock, without faults left by another test."""
    yield _slow
    _slow.tidy()


@pytest.fixture(scope="module")
def _fast(start_process):
    return start_process("sim:2014-05-01T06:00:00Z@600")


@pytest.fixture
def fast(_fast):
    """A venue in which ten minutes pass each second, without faults left by another test."""
    yield _fast
    _fast.tidy()


@pytest.fixture
def eventually():
    def wait(look, seconds=30):
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, "it did not happen in time"
        return found

    return wait


@pytest.fixture(scope="session")
def run_command():
    def run(*arguments, **env):
        return subprocess.run(
            command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=20, env={**os.environ, **env}
        )

    return run


@pytest.fixture(scope="session")
def shapes():
    return json.loads(Path(__file__).with_name("oanda_shapes.json").read_text())


@pytest.fixture
def conforms(shapes):
    """A check that an object has only the fields, and the JSON types, of a definition of the v20 specification."""
    kinds = {"string": str, "integer": int, "boolean": bool}

    def check(value, definition):
        if isinstance(definition, list):
            assert isinstance(value, list), (value, definition)
            for item in value:
                check(item, definition[0])
        elif definition in kinds:
            assert type(value) is kinds[definition], (value, definition)
        elif definition in ("Transaction", "Order"):
            words = value["type"] if definition == "Transaction" else value["type"] + "_ORDER"
            name = "".join(word.title() for word in words.split("_"))
            check(value, name if definition == "Order" or name.endswith("Transaction") else name + "Transaction")
        else:
            fields = shapes[definition]
            assert set(value) <= set(fields), (definition, set(value) - set(fields))
            for key, item in value.items():
                check(item, fields[key])
        return True

    return check


@pytest.fixture
def raw():
    """A way to send bytes as they are and read until the other side closes."""

    def send(url, data):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    return send
