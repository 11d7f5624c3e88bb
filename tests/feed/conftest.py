"""A real feed on a free port, real journals behind it, and a publisher that writes them."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.clock import FakeClock
from domain.house import House
from domain.ids import new_id
from domain.resolution import Resolution
from domain.settings import Secret
from domain.signal import SignalAmend, SignalClose, SignalOpen
from domain.vocabulary import ExitReason, Mode, ResolutionSource, Side, Surface
from feed.config import FeedConfig
from feed.server import Server
from feed.service import Service
from feed.token_store import TokenStore
from feed.tokens import Scope
from journal import Journal, Receipt

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BOTH = (Scope.FEED_READ, Scope.CALLBACK_WRITE)


class Publisher:
    """One surface and its resolver, writing the two logs the feed serves."""

    def __init__(self, house: House, surface: Surface, clock: FakeClock) -> None:
        self.surface = surface
        self.clock = clock
        self.signals = Journal.open(house.log(surface, "signals"), clock=clock, durable=False)
        self.resolutions = Journal.open(house.log(surface, "resolutions"), clock=clock, durable=False)

    def open(self, *, ttl_s: float = 600, side: Side = Side.BUY, mode: Mode = Mode.PAPER, **changes: Any) -> str:
        now = self.clock.now()
        signal_id = new_id("sig", now)
        values = {
            "id": signal_id, "signal_id": signal_id, "surface": self.surface, "mode": mode, "market": "EUR_USD",
            "side": side, "strategy": "ema", "sub_strategy": "cross", "thesis": "a cross", "quantity": Decimal(1000),
            "reference_price": Decimal("1.10000"), "stop_loss": Decimal("1.09"), "take_profit": Decimal("1.12"),
            "trailing_distance": None, "quote_currency": "USD", "edge_bp": Decimal("2.5"), "confidence": Decimal("0.7"),
            "eta_hours": Decimal(2), "decision_id": new_id("dec", now), "opened_at": now, "published_at": now,
            "expires_at": now + timedelta(seconds=ttl_s), **changes,
        }  # fmt: skip
        self._write(self.signals, "signal", SignalOpen(**values))
        return signal_id

    def amend(self, signal_id: str) -> Receipt:
        now = self.clock.now()
        amend = SignalAmend(
            id=new_id("amd", now), signal_id=signal_id, surface=self.surface, mode=Mode.PAPER, market="EUR_USD",
            stop_loss=Decimal("1.095"), take_profit=Decimal("1.12"), trailing_distance=None, reason="trail",
            published_at=now,
        )  # fmt: skip
        return self._write(self.signals, "signal", amend)

    def close(self, signal_id: str) -> Receipt:
        now = self.clock.now()
        close = SignalClose(
            id=new_id("cls", now), signal_id=signal_id, surface=self.surface, mode=Mode.PAPER, market="EUR_USD",
            side=Side.SELL, exit_price=Decimal("1.12"), reason=ExitReason.TAKE_PROFIT, closed_at=now, published_at=now,
        )  # fmt: skip
        return self._write(self.resolutions, "signal", close)

    def resolve(self, signal_id: str, *, provisional: bool = False) -> Receipt:
        now = self.clock.now()
        resolution = Resolution(
            id=new_id("res", now), signal_id=signal_id, surface=self.surface, mode=Mode.PAPER, market="EUR_USD",
            side=Side.BUY, strategy="ema", sub_strategy="cross", quantity=Decimal(1000), entry_price=Decimal("1.1"),
            exit_price=Decimal("1.12"), reason=ExitReason.TAKE_PROFIT, resolution_source=ResolutionSource.SIM,
            realised=Decimal("20.00"), fees=Decimal(0), currency="USD", mae=Decimal(0), mfe=Decimal("0.02"),
            opened_at=now, resolved_at=now, eta_hours=Decimal(2), actual_hours=Decimal(1), late=False,
            provisional=provisional,
        )  # fmt: skip
        return self._write(self.resolutions, "resolution", resolution)

    def private(self, kind: str = "order_event") -> Receipt:
        return self.signals.append(kind, surface=self.surface, mode="paper", fields={"secret": "strategy detail"})

    def end(self) -> None:
        self.signals.close()
        self.resolutions.close()

    def _write(self, journal: Journal, kind: str, value: Any) -> Receipt:
        return journal.append(kind, surface=value.surface, mode=value.mode, id=value.id, fields=value)


class RunningFeed:
    """A server in a thread of its own."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.server = _Announcing(service)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> "RunningFeed":
        self.service.open()
        self._thread.start()
        assert self.server.is_up.wait(10), self.failure
        self.url = f"http://127.0.0.1:{self.server.port}"
        return self

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()

    def call(self, function: Callable[[], Any]) -> Any:
        """Run something on the server's own loop and return what it returns."""
        done: threading.Event = threading.Event()
        found: list[Any] = []
        self.server.loop.call_soon_threadsafe(lambda: (found.append(function()), done.set()))
        assert done.wait(5)
        return found[0]

    def until_waiting(self, number: int) -> None:
        """Return when this many polls are parked."""
        until(lambda: self.call(lambda: len(self.service.poll.lot)) == number)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self.server.config.get_loop_factory()) as runner:
                runner.run(self.server.serve())
        except BaseException as error:
            self.failure = error
            raise


class _Announcing(Server):
    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.is_up = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.is_up.set()

    async def main_loop(self) -> None:
        """Look whether to end more often than uvicorn's ten times a second: hundreds of tests wait for that look."""
        while not await self.on_tick(0):  # noqa: ASYNC110  the flag is a plain one, set from another thread
            await asyncio.sleep(0.01)


def until(holds: Callable[[], bool], attempts: int = 10_000) -> None:
    for _ in range(attempts):
        if holds():
            return
        threading.Event().wait(0.003)
    raise AssertionError("it never came to hold")


class Stage:
    """Everything one test needs, in one place."""

    def __init__(self, home: Path) -> None:
        self.house = House(home=home)
        self.clock = FakeClock(START)
        self.store = TokenStore(self.house.subscribers)
        self.running: list[RunningFeed] = []
        self.clients: list[httpx.Client] = []
        self.publishers: dict[Surface, Publisher] = {}
        self.until = until

    def config(self, **changes: Any) -> FeedConfig:
        values = {
            "cursor_secret": Secret("0123456789abcdef" * 2), "port": 0, "rate_per_min": 1e6, "burst": 100_000,
            "parked_per_token": 1000, "wrong_tokens": 100_000, "surfaces": (Surface.FX, Surface.ST), **changes,
        }  # fmt: skip
        return FeedConfig(**values)

    def publisher(self, surface: Surface = Surface.FX) -> Publisher:
        if surface not in self.publishers:
            self.publishers[surface] = Publisher(self.house, surface, self.clock)
        return self.publishers[surface]

    def token(self, *surfaces: Surface, scopes: tuple[Scope, ...] = BOTH, **dates: Any) -> str:
        surfaces = surfaces or (Surface.FX,)
        token, _ = self.store.add(label="a test", scopes=scopes, surfaces=surfaces, now=self.clock.now(), **dates)
        for one in self.running:  # what housekeeping does twice a second
            one.call(one.service.guard.refresh)
        return token

    def feed(
        self,
        open_journal: Callable[[], Journal] | None = None,
        open_access: Callable[[], Journal] | None = None,
        **changes: Any,
    ) -> RunningFeed:
        service = Service(
            self.config(**changes), self.house, self.clock, open_journal=open_journal, open_access=open_access
        )
        running = RunningFeed(service).start()
        self.running.append(running)
        return running

    def client(self, running: RunningFeed, token: str | None, **headers: str) -> httpx.Client:
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        client = httpx.Client(base_url=running.url, headers=headers, timeout=20)
        self.clients.append(client)
        return client

    def stop(self, running: RunningFeed) -> None:
        self.running.remove(running)
        running.stop()

    def callback_lines(self) -> list[dict[str, Any]]:
        folder = self.house.log("feed", "callbacks")
        raw = b"".join(path.read_bytes() for path in sorted(folder.glob("0*.jsonl")))
        return [line for line in map(json.loads, raw.splitlines()) if line["kind"].startswith("callback")]

    def end(self) -> None:
        for client in self.clients:
            client.close()
        for running in list(self.running):
            self.stop(running)
        for publisher in self.publishers.values():
            publisher.end()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests of a module, for those that leave nothing behind."""
    made = Stage(tmp_path_factory.mktemp("house"))
    yield made
    made.end()
