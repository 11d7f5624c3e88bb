"""How long a surface takes from a decision to a subscriber who has it, beside the disk that each step waits for.

python -m bench.latency [rounds]

The real loop with its real journals, a broker in memory that fills at once, the real feed in a process of its own, and
a subscriber in another one, parked in a long-poll over a socket. One entry is four durable writes (decision, intent,
fill, signal), so the figure to look at is what is left when four times a bare write + fdatasync of the same size,
measured between the rounds, is taken away.
"""

import http.client
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import msgspec

from audit.fold import SurfaceFold
from bench._peers import free_port
from bench.gates import ESTIMATE, candidate_at
from brokers.fake import FakeBroker
from domain.candidate import Candidate, Estimate
from domain.clock import RealClock
from domain.house import House
from domain.ids import new_id
from domain.quotes import Instrument, Quote
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import Mode, Surface
from feed import tokens
from feed.tokens import Scope, Subscriber
from journal import since
from journal.beat import Heartbeat
from journal.key_files import create_key
from journal.keys import Signer
from risk.limits import Limits
from surfaces.books import Books
from surfaces.loop import Loop
from surfaces.proposal import Proposal, judged

ROUNDS = 150
TARGET_MS = 5.0
APPENDS = 4
MARKET = "EUR_USD"
INSTRUMENT = Instrument(
    name=MARKET, base="EUR", quote_currency="USD", tick=Decimal("0.00001"), pip=Decimal("0.0001"),
    quantity_step=Decimal(1), quantity_min=Decimal(1), quantity_max=Decimal(100_000_000), margin_rate=Decimal("0.0333"),
)  # fmt: skip
WIDE = Limits(
    bankroll=Decimal(10**9), max_positions=10**6, max_market_notional=Decimal(10**12),
    max_group_notional=Decimal(10**12),
    max_concentration=Decimal(1), risk_fraction=Decimal("0.000001"), daily_loss=Decimal(10**8),
)  # fmt: skip


class OneAtATime:
    """A desk that proposes what stands in ``next``, once."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self.next: list[tuple[Candidate, Estimate]] = []

    def startup(self) -> None: ...

    def instrument(self, market: str) -> Instrument | None:
        return INSTRUMENT

    def quotes(self) -> Mapping[str, Quote]:
        return self._broker.quotes([MARKET])

    def scan(self, now: datetime) -> list[Proposal]:
        found, self.next = self.next, []
        return [judged(candidate, estimate) for candidate, estimate in found]

    def is_open(self, market: str, now: datetime) -> bool:
        return True

    def trading_day(self, now: datetime) -> date:
        return now.date()

    def day_start(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=UTC)

    def trouble(self) -> str:
        return ""

    def close(self) -> None: ...


class Surfaced:
    """The surface under measurement."""

    def __init__(self, house: House, clock: RealClock) -> None:
        self._clock = clock
        self.broker = FakeBroker(clock, [INSTRUMENT])
        self.desk = OneAtATime(self.broker)
        self.house = house
        create_key(house.keys, Surface.FX, clock.now())
        signer = Signer.load(house.keys, Surface.FX, clock.now())
        self.books = Books(house, Surface.FX, Mode.PAPER, clock, SurfaceFold(WIDE.bankroll, WIDE.currency), signer)
        self.reasons: list[str] = []
        self.loop = Loop(
            books=self.books, executor=self.broker, desk=self.desk, limits=WIDE,
            settings=SurfaceSettings(mode=Mode.PAPER), heartbeat=Heartbeat(house.heartbeat("oanda-fx"), clock),
            stop_reasons=lambda: self.reasons, stop=threading.Event(),
        )  # fmt: skip
        self.price()
        self.loop.startup()

    def price(self) -> None:
        self.broker.price(MARKET, "1.08500", "1.08512")

    def turn(self, *, propose: bool) -> float:
        """Turn once, with a candidate or without; return milliseconds."""
        self.price()
        if propose:
            now, quote = self._clock.now(), self.desk.quotes()[MARKET]
            self.desk.next = [
                (replace(candidate_at(quote, now), id=new_id("cnd", now), thesis=now.isoformat()), ESTIMATE)
            ]
        begun = time.monotonic_ns()
        if not self.loop.on_tick():
            raise SystemExit("the surface's turn failed; its log above says why")
        return (time.monotonic_ns() - begun) / 1e6


def main(rounds: int) -> int:
    """Print both tables; return 0 whether or not the target is met, 1 when a signal got lost."""
    clock = RealClock()
    with tempfile.TemporaryDirectory(prefix="bench-latency-", dir=".") as name:
        house = House(home=Path(name).resolve())
        with _feed(house, clock) as (port, token), _subscriber(port, token) as pipe:
            surface = Surfaced(house, clock)
            with surface.books:
                return _report(surface, pipe, Disk(house.home), rounds)


class Disk:
    """A file that grows by bare writes, each synced: what every append waits for, whoever makes it."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def sync(self, size: int = 1_200) -> float:
        """Write ``size`` bytes, sync them, and return milliseconds."""
        begun = time.monotonic_ns()
        os.write(self._fd, b"x" * (size - 1) + b"\n")
        os.fdatasync(self._fd)
        return (time.monotonic_ns() - begun) / 1e6


def _report(surface: Surfaced, pipe: Connection, disk: Disk, rounds: int) -> int:
    whole, turns, disks, idle, refused = [], [], [], [], []
    began = surface.books.now()
    arrived: dict[str, int] = {}
    for _ in range(rounds):
        idle.append(surface.turn(propose=False))
        turns.append(surface.turn(propose=True))
        if not pipe.poll(20):
            print("a signal never reached the subscriber")
            return 1
        signal_id, moment = pipe.recv()
        arrived[signal_id] = moment
        disks.append(disk.sync())
    surface.reasons.append("bench")
    refused = [surface.turn(propose=True) for _ in range(rounds)]
    decided = {
        entry.record["signal_id"]: int(entry.record["mono_ns"])
        for entry in since(surface.house.log("fx", "decisions"), began)
        if entry.record.get("signal_id")
    }
    whole = [(moment - decided[signal_id]) / 1e6 for signal_id, moment in arrived.items()]
    _print(whole, turns, disks, idle, refused)
    return 0


def _print(whole: list[float], turns: list[float], disks: list[float], idle: list[float], refused: list[float]) -> None:
    sync = median(disks)
    print("| ms | p50 | p99 | durable writes | beyond them, p50 |")
    print("|---|---|---|---|---|")
    rows = (
        ("bare write + fdatasync of 1,200 bytes", disks, 1),
        ("turn without a candidate", idle, 0),
        ("turn with a refused candidate", refused, 1),
        ("turn with an entry", turns, APPENDS),
        ("decision to subscriber", whole, APPENDS),
    )
    for name, figures, writes in rows:
        beyond = median(figures) - writes * sync
        p99 = sorted(figures)[int(len(figures) * 0.99)]
        print(f"| {name} | {median(figures):.2f} | {p99:.2f} | {writes} | {beyond:.2f} |")
    beyond = median(whole) - APPENDS * sync
    word = "met" if beyond <= TARGET_MS else "missed"
    print(f"target: at most {TARGET_MS:g} ms beyond the disk: {beyond:.2f} ms, {word}")


@contextmanager
def _feed(house: House, clock: RealClock) -> Iterator[tuple[int, str]]:
    token, token_id = tokens.create()
    reader = Subscriber(
        id=token_id, sha256=tokens.digest(token), label="bench", scopes=(Scope.FEED_READ,), surfaces=(Surface.FX,),
        created_at=clock.now(),
    )  # fmt: skip
    house.subscribers.parent.mkdir(parents=True, exist_ok=True)
    house.subscribers.touch(mode=0o600)
    house.subscribers.write_bytes(msgspec.json.encode([reader]))
    port = free_port()
    settings = {"FEED_CURSOR_SECRET": "bench only, never a real secret!", "FEED_PORT": str(port),
                "TBOT_HOME": str(house.home), "FEED_RATE_PER_MIN": "1000000", "FEED_BURST": "1000000"}  # fmt: skip
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen([sys.executable, "-m", "feed"], env=kept | settings, stdout=subprocess.DEVNULL)
    try:
        yield port, token
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def _subscriber(port: int, token: str) -> Iterator[Connection]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_follow, args=(port, token, theirs), daemon=True)
    process.start()
    ours.recv()  # the first poll is on its way
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def _follow(port: int, token: str, pipe: Connection) -> None:
    """Poll for ever and send (signal id, monotonic nanoseconds) of each open."""
    headers = {"Authorization": f"Bearer {token}"}
    link = _connected(port)
    place = "start=head"
    while True:
        link.request("GET", f"/api/signals/feed?{place}&wait={0 if place == 'start=head' else 50}", headers=headers)
        page = json.loads(link.getresponse().read())
        moment = time.monotonic_ns()  # CLOCK_MONOTONIC is one clock for all processes of a machine
        if place == "start=head":
            pipe.send("ready")
        for item in page["items"]:
            pipe.send((item["signal_id"], moment))
        place = f"cursor={page['next_cursor']}"


def _connected(port: int) -> http.client.HTTPConnection:
    deadline = time.monotonic() + 20
    while True:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            link.connect()
            return link
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
