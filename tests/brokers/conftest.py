"""A simulated OANDA, an account of its own for each test, and orders to send it."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import simulator as simulator_process

from brokers.dry_run.executor import DryRunExecutor
from brokers.fake import FakeBroker
from brokers.fake_market import FakeMarket
from brokers.oanda.client import OandaExecutor, OandaMarketData, connect
from brokers.oanda.config import OandaConfig
from domain.clock import Clock, FakeClock, parse_clock
from domain.ids import client_order_id, new_id
from domain.order import OrderIntent
from domain.quotes import Bar, Instrument, Ohlc, Quote
from domain.settings import Secret
from domain.vocabulary import Leg, Mode, Side, Surface

TOKEN = "sesame-7f3a9c"
ACCOUNTS = [f"101-001-{number:03d}-001" for number in range(120)]
EUR_ACCOUNT = "101-002-001-001"
PIP = Decimal("0.0001")


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Return the first true answer of ``condition``, asked again and again before a deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")


class Simulator(simulator_process.Simulator):
    """The simulator's process and its control page."""

    def __init__(self, start: str = "2014-05-06T12:00:00Z") -> None:
        accounts = [f"{account}:{TOKEN}:USD:100000" for account in ACCOUNTS] + [f"{EUR_ACCOUNT}:{TOKEN}:EUR:100000"]
        listed = [word for account in accounts for word in ("--account", account)]
        super().__init__("simulators.oanda", simulator_process.clock_of(start, 60), listed)
        self.accounts = iter(ACCOUNTS)

    def close(self) -> None:
        self.stop()


class Venue:
    """One account at the simulator: faults for it, and adapters connected to it."""

    def __init__(self, simulator: Simulator, account_id: str) -> None:
        self.simulator = simulator
        self.account_id = account_id
        self.clock: Clock = parse_clock(simulator.clock)
        self.token = TOKEN
        self._closers: list[Callable[[], None]] = []
        self._faults: list[str] = []

    def config(self, **changes: Any) -> OandaConfig:
        settings: dict[str, Any] = {
            "account_id": self.account_id,
            "token": Secret(TOKEN),
            "api_url": self.simulator.url,
            "read_timeout_s": 1.0,
            "fresh_order_grace_s": 0.4,
            "poll_interval_s": 0.05,
            "quote_max_age_s": 86_400.0,
        }
        return OandaConfig(**(settings | changes))

    def connect(self, **changes: Any) -> tuple[OandaMarketData, OandaExecutor]:
        data, executor = connect(self.config(**changes), self.clock)
        self._closers += [data.close, executor.close]
        return data, executor

    def fault(self, action: str, *, market_wide: bool = False, **params: Any) -> str:
        match = {} if market_wide else {"match": {"account": self.account_id, **params.pop("match", {})}}
        times = {} if market_wide or "times" in params else {"times": 1}
        self._faults.append(self.simulator.fault(action, **times, **match, **params))
        return self._faults[-1]

    def clear(self, name: str) -> None:
        self.simulator.clear(name)
        self._faults.remove(name)

    def fired(self, name: str) -> int:
        return self.simulator.fired(name)

    def requests(self, method: str, ending: str) -> list[dict[str, Any]]:
        rows = self.simulator.requests()
        return [row for row in rows if row["method"] == method and row["path"].endswith(f"{self.account_id}{ending}")]

    def close(self) -> None:
        for name in list(self._faults):
            self.clear(name)
        for close in self._closers:
            close()


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with closing(Simulator()) as running:
        yield running


@pytest.fixture
def venue(simulator: Simulator) -> Iterator[Venue]:
    with closing(Venue(simulator, next(simulator.accounts))) as account:
        yield account


@pytest.fixture
def busy_venue() -> Iterator[Venue]:
    """An account a minute after the US payrolls of 2 May 2014, when EUR_USD moved 5 pips within a simulated minute.

    Measured on the recording: 0.2 to 0.8 real seconds, and at most 6.1 for a test that begins up to 10 s late.
    """
    with closing(Simulator("2014-05-02T12:31:15Z")) as running, closing(Venue(running, ACCOUNTS[0])) as account:
        yield account


@pytest.fixture
def euro_venue(simulator: Simulator) -> Iterator[Venue]:
    with closing(Venue(simulator, EUR_ACCOUNT)) as account:
        yield account


@pytest.fixture
def eventually() -> Callable[..., Any]:
    return until


def make_entry(quote: Quote, *, side: Side = Side.BUY, pips: int = 100, **changes: Any) -> OrderIntent:
    """Build an entry whose stop and target lie ``pips`` away from the quote."""
    signal_id = new_id("sig", quote.received_at)
    away = pips * PIP * side.sign
    facts: dict[str, Any] = {
        "client_order_id": client_order_id(Surface.FX, signal_id, Leg.ENTRY, 1),
        "signal_id": signal_id,
        "surface": Surface.FX,
        "mode": Mode.PAPER,
        "market": quote.market,
        "leg": Leg.ENTRY,
        "attempt": 1,
        "side": side,
        "quantity": Decimal(1000),
        "price_bound": quote.entry_price(side) + 20 * PIP * side.sign,
        "stop_loss": quote.exit_price(side) - away,
        "take_profit": quote.entry_price(side) + away,
    }
    return OrderIntent(**(facts | changes))


def make_exit(entry: OrderIntent, trade_id: str, *, attempt: int = 1, quantity: Decimal | None = None) -> OrderIntent:
    return OrderIntent(
        client_order_id=client_order_id(entry.surface, entry.signal_id, Leg.EXIT, attempt),
        signal_id=entry.signal_id,
        surface=entry.surface,
        mode=entry.mode,
        market=entry.market,
        leg=Leg.EXIT,
        attempt=attempt,
        side=entry.side.opposite,
        quantity=quantity or entry.quantity,
        broker_trade_id=trade_id,
    )


@pytest.fixture
def entry() -> Callable[..., OrderIntent]:
    return make_entry


@pytest.fixture
def desk(venue: Venue, entry: Callable[..., OrderIntent]) -> tuple[OandaExecutor, OrderIntent]:
    """An executor at OANDA and an entry of EUR_USD to send it."""
    data, executor = venue.connect()
    quote = data.quotes(["EUR_USD"])["EUR_USD"]
    return executor, entry(quote)


@pytest.fixture
def exit_of() -> Callable[..., OrderIntent]:
    return make_exit


NOON = datetime(2014, 5, 6, 12, 0, tzinfo=UTC)
SIZES = {"quantity_step": Decimal(1), "quantity_min": Decimal(1), "quantity_max": Decimal(100_000_000)}
PRICES = {"tick": Decimal("0.00001"), "pip": PIP, "margin_rate": Decimal("0.02")}
EUR_USD = Instrument(name="EUR_USD", base="EUR", quote_currency="USD", **SIZES, **PRICES)


@pytest.fixture
def fake() -> FakeBroker:
    made = FakeBroker(FakeClock(NOON), [EUR_USD])
    made.price("EUR_USD", "1.10000", "1.10010")
    return made


class DryRun:
    """A dry run on prices that the test sets, on a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOON)
        self.data = FakeMarket(self.clock, [EUR_USD])
        self.data.price("EUR_USD", "1.10000", "1.10010")
        self.executor = DryRunExecutor(self.data, self.clock, balance=Decimal(100_000), currency="USD")

    def quote(self) -> Quote:
        return self.data.quotes(["EUR_USD"])["EUR_USD"]

    def bar(self, low: str, high: str, *, open_: str, close: str, minutes: int = 1, spread: str = "0.00010") -> Bar:
        """Build the one-minute bar that starts ``minutes`` from now; prices are bids."""
        bid = Ohlc(open=Decimal(open_), high=Decimal(high), low=Decimal(low), close=Decimal(close))
        wide = Decimal(spread)
        ask = Ohlc(open=bid.open + wide, high=bid.high + wide, low=bid.low + wide, close=bid.close + wide)
        start = self.clock.now() + timedelta(minutes=minutes)
        return Bar(market="EUR_USD", start=start, period_s=60, bid=bid, ask=ask, volume=1)


@pytest.fixture
def dry_run() -> DryRun:
    return DryRun()
