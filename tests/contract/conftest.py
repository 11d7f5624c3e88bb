"""A real feed process, journals written as a surface writes them, and the subscriber's own command line."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import warm_start

from domain.clock import Clock, RealClock
from domain.house import House
from domain.ids import new_id
from domain.resolution import Resolution
from domain.signal import SignalAmend, SignalClose, SignalOpen
from domain.vocabulary import ExitReason, Mode, ResolutionSource, Side, Surface
from feed.token_store import TokenStore
from feed.tokens import Scope
from journal import Journal
from journal.key_files import create_key, rotate_key
from journal.keys import Signer

SECRET = "0123456789abcdef" * 2
Record = dict[str, Any]
Done = subprocess.CompletedProcess[str]


def until(what: str, holds: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)


class Publisher:
    """Writes the two logs that a surface and its resolver write, signed with the key in ``keys`` beside the logs."""

    def __init__(self, logs: Path, clock: Clock, new: Callable[[str, datetime], str] = new_id) -> None:
        self.clock = clock
        self._new = new
        self._logs = logs
        self.keys = logs.parent / "keys"
        if not self.keys.exists():
            create_key(self.keys, "fx", clock.now())
        self.begin()

    def begin(self) -> None:
        """Open both logs with the key in force now."""
        signer = Signer.load(self.keys, "fx", self.clock.now())
        self.signals, self.resolutions = (
            Journal.open(self._logs / "fx" / stream, clock=self.clock, durable=False, signer=signer, sign_lines=True)
            for stream in ("signals", "resolutions")
        )

    def rotate(self) -> str:
        """Put a new key in force, as `tbot keys rotate` does while the surface rests; return its id."""
        self.shut()
        entry = rotate_key(self.keys, "fx", self.clock.now())
        self.begin()
        return entry.key

    def open(self, **changes: Any) -> str:
        now = self.clock.now()
        signal_id = self._new("sig", now)
        values: Record = {
            "id": signal_id, "signal_id": signal_id, "surface": Surface.FX, "mode": Mode.PAPER, "market": "EUR_USD",
            "side": Side.BUY, "strategy": "fx", "sub_strategy": "breakout", "thesis": "breakout:up",
            "reference_price": Decimal("1.10000"), "stop_loss": Decimal("1.09000"), "take_profit": Decimal("1.12000"),
            "trailing_distance": None, "quantity": Decimal(1000), "quote_currency": "USD", "edge_bp": Decimal("2.5"),
            "confidence": Decimal("0.7"), "eta_hours": Decimal(2), "decision_id": self._new("dec", now),
            "opened_at": now, "published_at": now, "expires_at": now + timedelta(seconds=600), **changes,
        }  # fmt: skip
        self._write(self.signals, "signal", SignalOpen(**values))
        return signal_id

    def amend(self, signal_id: str, stop: str = "1.09500", **changes: Any) -> None:
        now = self.clock.now()
        values: Record = {
            "id": self._new("amd", now), "signal_id": signal_id, "surface": Surface.FX, "mode": Mode.PAPER,
            "market": "EUR_USD", "stop_loss": Decimal(stop), "take_profit": Decimal("1.12000"),
            "trailing_distance": None, "reason": "trail", "published_at": now, **changes,
        }  # fmt: skip
        self._write(self.signals, "signal", SignalAmend(**values))

    def close(self, signal_id: str, price: str = "1.12000") -> None:
        now = self.clock.now()
        close = SignalClose(
            id=self._new("cls", now), signal_id=signal_id, surface=Surface.FX, mode=Mode.PAPER, market="EUR_USD",
            side=Side.BUY, exit_price=Decimal(price), reason=ExitReason.TAKE_PROFIT, closed_at=now, published_at=now,
        )  # fmt: skip
        self._write(self.resolutions, "signal", close)

    def resolve(self, signal_id: str) -> None:
        now = self.clock.now()
        resolution = Resolution(
            id=self._new("res", now), signal_id=signal_id, surface=Surface.FX, mode=Mode.PAPER, market="EUR_USD",
            side=Side.BUY, strategy="fx", sub_strategy="breakout", quantity=Decimal(1000),
            entry_price=Decimal("1.10000"), exit_price=Decimal("1.12000"), reason=ExitReason.TAKE_PROFIT,
            resolution_source=ResolutionSource.OANDA_CANDLES, realised=Decimal("20.00"), fees=Decimal("0.00"),
            currency="USD", mae=Decimal("0.00100"), mfe=Decimal("0.02000"), opened_at=now, resolved_at=now,
            eta_hours=Decimal(2), actual_hours=Decimal("1.5"), late=False,
        )  # fmt: skip
        self._write(self.resolutions, "resolution", resolution)

    def end(self, signal_id: str, price: str = "1.12000") -> None:
        self.close(signal_id, price)
        self.resolve(signal_id)

    def shut(self) -> None:
        self.signals.close()
        self.resolutions.close()

    def _write(self, journal: Journal, kind: str, value: Any) -> None:
        journal.append(kind, surface=value.surface, mode=value.mode, id=value.id, fields=value)


class Feed:
    """``python -m feed`` on a port that stays the same over restarts."""

    def __init__(self, house: House) -> None:
        self.house = house
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: Any = None

    def start(self, secret: str = SECRET) -> "Feed":
        values = {
            "TBOT_HOME": str(self.house.home), "FEED_PORT": str(self.port), "FEED_CURSOR_SECRET": secret,
            "FEED_RATE_PER_MIN": "6000", "FEED_BURST": "1000", "FEED_COHORT_MIN": "1",
        }  # fmt: skip
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.house.home), **values}
        self.process = warm_start.start(["-m", "feed"], env=environment, log=self.house.logs / "feed.log")
        until("the feed to answer", self.is_up)
        return self

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.house.logs / "feed.log").read_text()
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)
            self.process = None


class Subscriber:
    """A home of the subscriber's client, set up and run by its own command line; it trades on its paper broker."""

    def __init__(self, home: Path, feed: Feed, token: str, *options: str) -> None:
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home.parent),
            "TBOT_FEED_TOKEN": token,
        }
        defaults = ["--non-interactive", "--broker=paper", "--size-rule=fixed", "--size-value=1000", "--wait-s=1"]
        self.token = token
        done = self.run("init", *defaults, "--broker-s=0.2", "--surface=fx", f"--feed-url={feed.url}", *options)
        assert done.returncode == 0, done.stderr

    def command(self, *words: str) -> list[str]:
        return ["-m", "tbot_client", *words, "--home", str(self.home)]

    def run(self, *words: str) -> Done:
        return warm_start.run(self.command(*words), env=self.environment)

    def start(self) -> Any:
        return warm_start.start(self.command("run"), env=self.environment, log=self.home / "said")

    def status(self) -> Record:
        found: Record = json.loads(self.run("status", "--json").stdout)
        return found


class Stage:
    """Everything one test needs."""

    until = staticmethod(until)

    def __init__(self, home: Path) -> None:
        self.house = House(home=home)
        for name in ("logs", "run", "state"):
            (home / name).mkdir()
        self.publisher = Publisher(self.house.logs, RealClock())
        self.feed = Feed(self.house)
        self.store = TokenStore(self.house.subscribers)

    def token(self, *scopes: Scope) -> str:
        wanted = scopes or (Scope.FEED_READ, Scope.CALLBACK_WRITE)
        token, _ = self.store.add(label="a test", scopes=wanted, surfaces=(Surface.FX,), now=datetime.now(UTC))
        return token

    def subscriber(self, *options: str, token: str | None = None, name: str = "subscriber") -> Subscriber:
        return Subscriber(self.house.home / name, self.feed, token or self.token(), *options)

    def reports(self, signal_id: str, stage: str = "") -> list[Record]:
        """Return what the feed stored about a signal, read from its journal's lines."""
        raw = b"".join(path.read_bytes() for path in sorted(self.house.log("feed", "callbacks").glob("0*.jsonl")))
        lines = [json.loads(line) for line in raw[: raw.rfind(b"\n") + 1].splitlines()]
        found = [line for line in lines if line.get("signal_id") == signal_id and line["kind"] == "callback"]
        return [line for line in found if stage in ("", line["stage"])]

    def stages(self, signal_id: str) -> list[str]:
        return [report["stage"] for report in self.reports(signal_id)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    made.feed.start()
    yield made
    made.feed.stop(signal.SIGKILL)
    made.publisher.shut()


@pytest.fixture(scope="session")
def publisher_class() -> type[Publisher]:
    return Publisher
