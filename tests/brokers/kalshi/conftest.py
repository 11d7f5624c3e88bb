"""A simulated Kalshi, an account of its own for each test, and orders to send it."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import simulator as simulator_process
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from brokers.kalshi.client import KalshiData, KalshiExecutor, connect
from brokers.kalshi.config import KalshiConfig
from domain.clock import Clock, iso, parse_clock, parse_iso
from domain.ids import client_order_id, new_id
from domain.order import OrderIntent
from domain.settings import Secret
from domain.vocabulary import Leg, Mode, Side, Surface

START, SPEED, FAST = parse_iso("2014-05-06T12:00:00Z"), 120, 600
TICKER = "KXTEST-14MAY06-T1"
ACCOUNTS = 90
BALANCE = Decimal(1000)
D = Decimal


def ending_markets() -> list[dict[str, Any]]:
    """Return markets of which one closes every two minutes, YES and NO by turns, paid 40 seconds later."""
    found = []
    for number in range(400):
        close = START + timedelta(minutes=2 * (number + 1))
        found.append(
            {
                "ticker": f"KXEND-14MAY06-E{number}",
                "open_time": iso(START - timedelta(hours=2)),
                "close_time": iso(close),
                "determined_at": iso(close + timedelta(seconds=20)),
                "settled_at": iso(close + timedelta(seconds=40)),
                "result": "yes" if number % 2 else "no",
                "fair": 0.55,
            }
        )
    return found


def catalogue(*, ending: bool) -> dict[str, Any]:
    lasting = {"open_time": iso(START - timedelta(hours=6)), "close_time": iso(START + timedelta(hours=12))}
    markets = [
        {"ticker": TICKER, "result": "yes", "fair": 0.42, "event_title": "Will it be tested?", **lasting},
        *({"ticker": f"KXTEST-14MAY06-M{n}", "result": "no", "fair": 0.3 + n / 50, **lasting} for n in range(20)),
        {"ticker": "KXDRIFT-14MAY06-D", "result": "no", "fair": drifting(), **lasting},
    ]
    series = [{"ticker": "KXTEST", "title": "Tests", "settlement_sources": [["Tester", "https://test.example"]]}]
    return {"series": series, "markets": [*markets, *(ending_markets() if ending else ())]}


def drifting() -> list[list[Any]]:
    """Return a worth that moves every minute."""
    return [[iso(START + timedelta(minutes=n)), 0.3 + (n * 7 % 40) / 100] for n in range(400)]


class Simulator(simulator_process.Simulator):
    """The simulator's process and its control page; one key signs for all its accounts."""

    def __init__(self, folder: Path, *, wire: str = "both", speed: int = SPEED) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.pem = key.private_bytes(serialization.Encoding.PEM, *private).decode()
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        names = [f"key-{number:03d}" for number in range(ACCOUNTS)]
        rows = [{"key_id": n, "public_key_pem": public.decode(), "balance": "1000.00", "tier": "prime"} for n in names]
        rows.append({**rows[0], "key_id": "key-basic", "tier": "basic"})
        accounts, markets = folder / "accounts.json", folder / "catalogue.json"
        accounts.write_text(json.dumps(rows))
        markets.write_text(json.dumps(catalogue(ending=speed == FAST)))
        words = ("--wire", wire, "--account-file", accounts, "--catalogue", markets)
        super().__init__("simulators.kalshi", simulator_process.clock_of(iso(START), speed), words)
        self.accounts = iter(names)

    def close(self) -> None:
        self.stop()


class Venue:
    """One account at the simulator: faults for it, and adapters connected to it."""

    def __init__(self, simulator: Simulator, key_id: str | None = None) -> None:
        self.simulator = simulator
        self.key_id = key_id or next(simulator.accounts)
        self.clock: Clock = parse_clock(simulator.clock)
        self._closers: list[Callable[[], None]] = []
        self._faults: list[str] = []

    def config(self, **changes: Any) -> KalshiConfig:
        settings: dict[str, Any] = {
            "key_id": self.key_id,
            "private_key": Secret(self.simulator.pem),
            "api_url": f"{self.simulator.url}/trade-api/v2",
            "read_timeout_s": 1.0,
            "fresh_order_grace_s": 0.4,
            "late_fill_s": 1.0,
            "poll_interval_s": 0.05,
            "quote_max_age_s": 86_400.0,
            "rate_share": 1.0,
        }
        return KalshiConfig(**(settings | changes))

    def connect(self, **changes: Any) -> tuple[KalshiData, KalshiExecutor]:
        data, executor = connect(self.config(**changes), self.clock)
        self._closers += [data.close, executor.close]
        return data, executor

    def fault(self, action: str, *, match: dict[str, str] | None = None, **params: Any) -> str:
        """Add a fault; one of a market holds for a span, any other is this account's and fires once."""
        whole = action in MARKET_FAULTS
        times = {} if whole or "times" in params else {"times": 1}
        where = {**({} if whole else {"account": self.key_id}), **(match or {})}
        self._faults.append(self.simulator.fault(action, **times, **({"match": where} if where else {}), **params))
        return self._faults[-1]

    def clear(self, name: str) -> None:
        self.simulator.clear(name)
        self._faults.remove(name)

    def fired(self, name: str) -> int:
        return self.simulator.fired(name)

    def requests(self, method: str, ending: str) -> list[dict[str, Any]]:
        rows = self.simulator.requests()
        mine = [row for row in rows if row["account"] == self.key_id]
        return [row for row in mine if row["method"] == method and row["path"].endswith(ending)]

    def next_ending(self, *, result: str, minutes: float = 6.0) -> tuple[str, datetime]:
        """Return the market of this result that closes soonest, but not before ``minutes`` from now."""
        for market in ending_markets():
            close = parse_iso(market["close_time"])
            if market["result"] == result and close >= self.clock.now() + timedelta(minutes=minutes):
                return market["ticker"], close
        raise AssertionError("the simulator has run out of ending markets")

    def close(self) -> None:
        for name in list(self._faults):
            self.clear(name)
        for close in self._closers:
            close()


MARKET_FAULTS = frozenset(
    {"exchange_paused", "market_paused", "stale_quotes", "early_close", "disputed_result", "late_settlement"}
)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with closing(Simulator(tmp_path_factory.mktemp("kalshi"))) as running:
        yield running


@pytest.fixture(scope="module")
def older_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A venue of the generation before: neither today's order paths nor its fields."""
    with closing(Simulator(tmp_path_factory.mktemp("older"), wire="older")) as running:
        yield running


@pytest.fixture(scope="module")
def current_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A venue of today alone: no older order paths and no cents."""
    with closing(Simulator(tmp_path_factory.mktemp("current"), wire="current")) as running:
        yield running


@pytest.fixture
def venue(simulator: Simulator) -> Iterator[Venue]:
    with closing(Venue(simulator)) as account:
        yield account


@pytest.fixture(scope="module")
def fast_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A venue in which ten minutes pass each second, and a market closes every two."""
    with closing(Simulator(tmp_path_factory.mktemp("fast"), speed=FAST)) as running:
        yield running


@pytest.fixture
def fast_venue(fast_simulator: Simulator) -> Iterator[Venue]:
    with closing(Venue(fast_simulator)) as account:
        yield account


@pytest.fixture
def venue_of() -> Iterator[Callable[[Simulator], Venue]]:
    """A way to open an account at another simulator."""
    opened: list[Venue] = []

    def open_(running: Simulator) -> Venue:
        opened.append(Venue(running))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


@pytest.fixture
def basic_venue(simulator: Simulator) -> Iterator[Venue]:
    """An account of the smallest tier: 20 questions and 10 orders a second."""
    with closing(Venue(simulator, "key-basic")) as account:
        yield account


@pytest.fixture(params=["current", "older"])
def wire_venue(request: pytest.FixtureRequest) -> Iterator[tuple[Venue, str]]:
    """One account on a venue of each generation."""
    running = request.getfixturevalue(f"{request.param}_simulator")
    with closing(Venue(running)) as account:
        yield account, request.param


def make_entry(clock: Clock, market: str = TICKER, *, side: Side = Side.BUY, **changes: Any) -> OrderIntent:
    """Build an entry with a bound that meets any synthetic book."""
    signal_id = new_id("sig", clock.now())
    surface = changes.pop("surface", Surface.ST)
    facts: dict[str, Any] = {
        "client_order_id": client_order_id(surface, signal_id, Leg.ENTRY, 1),
        "signal_id": signal_id,
        "surface": surface,
        "mode": Mode.PAPER,
        "market": market,
        "leg": Leg.ENTRY,
        "attempt": 1,
        "side": side,
        "quantity": D(10),
        "price_bound": D("0.90") if side is Side.BUY else D("0.10"),
        "stop_loss": D(0) if side is Side.BUY else D(1),
        "take_profit": D(1) if side is Side.BUY else D(0),
    }
    return OrderIntent(**(facts | changes))


@pytest.fixture
def entry() -> Callable[..., OrderIntent]:
    return make_entry
