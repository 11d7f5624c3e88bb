"""A real feed process to be ill-treated, journals behind it, and connections that say exactly what they are told."""

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
import warm_start

from domain.clock import Clock, RealClock
from domain.house import House
from domain.ids import new_id
from domain.signal import SignalClose, SignalOpen
from domain.vocabulary import ExitReason, Mode, Side, Surface
from feed.token_store import TokenStore
from feed.tokens import Scope
from journal import Journal, Receipt

SECRET = "0123456789abcdef" * 2
FEED = "/api/signals/feed"
T = TypeVar("T")
BOTH = (Scope.FEED_READ, Scope.CALLBACK_WRITE)
NO_LIMITS = {
    "FEED_RATE_PER_MIN": "60000000", "FEED_BURST": "1000000", "FEED_PARKED_PER_TOKEN": "100000",
    "FEED_WRONG_TOKENS": "1000000",
}  # fmt: skip


def until(what: str, holds: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come to be within {seconds} s"
        time.sleep(0.005)


class Answer(NamedTuple):
    """What came back; status 0 stands for a connection that was closed without a word."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> list[str]:
        assert self.status == 200, self
        return [item["id"] for item in self.json["items"]]


class Wire:
    """One connection, kept alive and read by hand: a client library costs more per request than the feed does."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port = port
        self._token = token
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        _wires.append(self)

    async def ask(self, method: str, path: str, body: bytes = b"", token: str | None = None) -> Answer:
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n"
        if token or self._token:
            head += f"authorization: Bearer {token or self._token}\r\n"
        if method == "POST":
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        return await self.send(head.encode() + b"\r\n" + body)

    async def send(self, raw: bytes) -> Answer:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
        self._writer.write(raw)
        return await self._answer()

    async def poll(self, **params: object) -> Answer:
        return await self.ask("GET", f"{FEED}?" + "&".join(f"{name}={value}" for name, value in params.items()))

    async def report(self, signal_id: str, stage: str, report: Any) -> Answer:
        return await self.ask("POST", f"/api/signals/{signal_id}/{stage}", json.dumps(report).encode())

    async def _answer(self) -> Answer:
        assert self._reader is not None
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            self.close()
            return Answer(0, {}, b"")
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(first.split()[1]), headers, body)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            _closed.append(self._writer)
        self._reader = self._writer = None


_wires: list[Wire] = []
_closed: list[asyncio.StreamWriter] = []


def play(scene: Coroutine[Any, Any, T], seconds: float = 100.0) -> T:
    """Run a scene to its end, then close every connection that it opened."""

    async def whole() -> T:
        try:
            return await asyncio.wait_for(scene, seconds)
        finally:
            for wire in _wires:
                wire.close()
            await asyncio.gather(*(writer.wait_closed() for writer in _closed), return_exceptions=True)
            _wires.clear()
            _closed.clear()

    return asyncio.run(whole())


async def first_done(tasks: list["asyncio.Task[T]"], number: int) -> tuple[list[T], list["asyncio.Task[T]"]]:
    """Return the results of the first ``number`` tasks to end, and the others."""
    pending = set(tasks)
    while len(tasks) - len(pending) < number:
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    return [task.result() for task in tasks if task.done()], [task for task in tasks if not task.done()]


class Publisher:
    """One surface and its resolver, writing the two logs the feed serves."""

    def __init__(self, house: House, surface: Surface, clock: Clock) -> None:
        self.house, self.surface, self.clock = house, surface, clock
        self.resume()

    def resume(self) -> None:
        self.signals = Journal.open(self.house.log(self.surface, "signals"), clock=self.clock, durable=False)
        self.resolutions = Journal.open(self.house.log(self.surface, "resolutions"), clock=self.clock, durable=False)

    def open(self, *, ttl_s: float = 600, thesis: str = "a cross") -> str:
        now = self.clock.now()
        signal_id = new_id("sig", now)
        opened = SignalOpen(
            id=signal_id, signal_id=signal_id, surface=self.surface, mode=Mode.PAPER, market="EUR_USD", side=Side.BUY,
            strategy="ema", sub_strategy="cross", thesis=thesis, quantity=Decimal(1000), edge_bp=Decimal("2.5"),
            reference_price=Decimal("1.10000"), stop_loss=Decimal("1.09"), take_profit=Decimal("1.12"),
            trailing_distance=None, quote_currency="USD", confidence=Decimal("0.7"), eta_hours=Decimal(2),
            decision_id=new_id("dec", now), opened_at=now, published_at=now,
            expires_at=now + timedelta(seconds=ttl_s),
        )  # fmt: skip
        return self._write(self.signals, opened).id

    def close(self, signal_id: str) -> str:
        now = self.clock.now()
        closed = SignalClose(
            id=new_id("cls", now), signal_id=signal_id, surface=self.surface, mode=Mode.PAPER, market="EUR_USD",
            side=Side.SELL, exit_price=Decimal("1.12"), reason=ExitReason.TAKE_PROFIT, closed_at=now, published_at=now,
        )  # fmt: skip
        return self._write(self.resolutions, closed).id

    def private(self) -> Receipt:
        return self.signals.append("order_event", surface=self.surface, mode="paper", fields={"secret": "detail"})

    def end(self) -> None:
        self.signals.close()
        self.resolutions.close()

    def _write(self, journal: Journal, value: Any) -> Receipt:
        return journal.append("signal", surface=value.surface, mode=value.mode, id=value.id, fields=value)


class Feed:
    """``python -m feed``; what it says goes to a file, so that no pipe can fill up."""

    def __init__(self, home: Path, port: int, env: dict[str, str]) -> None:
        self.port = port
        self.log = home / "feed.err"
        kept = {"PATH": os.environ["PATH"], "HOME": str(home)}
        base = {"FEED_CURSOR_SECRET": SECRET, "FEED_PORT": str(port), "TBOT_HOME": str(home), "FEED_SURFACES": "fx,st"}
        self.process = warm_start.start(["-m", "feed"], env={**kept, **base, **env}, log=self.log)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return self.talk(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").startswith(b"HTTP/1.1 ")

    def wait_up(self) -> "Feed":
        until("the feed", self.is_up, 90)  # one that reads a million records from the beginning takes its time
        return self

    def talk(self, raw: bytes, *, timeout_s: float = 20.0, end: bool = False) -> bytes:
        """Send bytes, then read until the other side ends the connection or ``timeout_s`` passes in silence."""
        found = b""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
                connection.sendall(raw)
                if end:
                    connection.shutdown(socket.SHUT_WR)
                while data := connection.recv(65_536):
                    found += data
        except (ConnectionError, TimeoutError):
            pass
        return found

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def rss_mib(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


class Stage:
    """Everything one test needs, in one place."""

    def __init__(self, home: Path) -> None:
        self.house = House(home=home)
        self.clock = RealClock()
        self.store = TokenStore(self.house.subscribers)
        self.feeds: list[Feed] = []
        self.publishers: dict[Surface, Publisher] = {}

    def token(self, *surfaces: Surface, scopes: tuple[Scope, ...] = BOTH, **dates: datetime) -> str:
        made, _ = self.store.add(
            label="t", scopes=scopes, surfaces=surfaces or (Surface.FX,), now=self.clock.now(), **dates
        )
        return made

    def publisher(self, surface: Surface = Surface.FX) -> Publisher:
        if surface not in self.publishers:
            self.publishers[surface] = Publisher(self.house, surface, self.clock)
        return self.publishers[surface]

    def feed(self, port: int | None = None, **env: str) -> Feed:
        """Start a feed and return when it answers; without limits unless ``env`` sets some."""
        started = Feed(self.house.home, port or free_port(), {**NO_LIMITS, **env})
        self.feeds.append(started)
        return started.wait_up()

    def callback_lines(self) -> list[dict[str, Any]]:
        """Return what stands in the journal of callbacks, read as plain JSON."""
        folder = self.house.log("feed", "callbacks")
        raw = b"".join(path.read_bytes() for path in sorted(folder.glob("0*.jsonl")))
        return [line for line in map(json.loads, raw.splitlines()) if line["kind"].startswith("callback")]

    def stored(self) -> list[dict[str, Any]]:
        return [line for line in self.callback_lines() if line["kind"] == "callback"]

    def end(self) -> None:
        for feed in self.feeds:
            feed.kill()  # nothing is asked of it any more, and an orderly end takes a quarter of a second
        for publisher in self.publishers.values():
            publisher.end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def staged(home: Path) -> Iterator[Stage]:
    made = Stage(home)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests of a module, for those that leave nothing behind."""
    with staged(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def wire() -> Callable[..., Wire]:
    """Make connections: ``wire(port, token)``; to be used inside `run`."""
    return Wire


@pytest.fixture(name="run")
def runner() -> Callable[..., Any]:
    return play


@pytest.fixture(name="first_done")
def first() -> Callable[..., Any]:
    return first_done


@pytest.fixture(name="free_port")
def port_finder() -> Callable[[], int]:
    return free_port


@pytest.fixture
def wait_until() -> Callable[..., None]:
    return until
