"""Prices of crypto assets from the simulated exchange: closed minutes, no gaps filled in, nothing stale."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest
from coinbase_sim import start_coinbase

from brokers.coinbase.client import CoinbaseClient, _bar
from brokers.coinbase.config import CoinbaseConfig
from domain import settings
from domain.clock import parse_clock
from domain.errors import Misconfigured, Refuse, Retry

D = Decimal
BTC = "BTC-USD"


class Exchange:
    def __init__(self):
        self.spec = f"sim:2014-05-06T15:00:30Z@60,anchor={time.time()}"
        self.process = start_coinbase(self.spec)
        self.clock = parse_clock(self.spec)
        self._clients = []

    def client(self, **changes):
        made = CoinbaseClient(
            CoinbaseConfig(**({"url": self.process.url, "read_timeout_s": 2.0} | changes)), self.clock
        )
        self._clients.append(made)
        return made


@pytest.fixture(scope="module")
def running():
    exchange = Exchange()
    yield exchange
    exchange.process.stop()


@pytest.fixture
def exchange(running):
    yield running
    running.process.clear()
    while running._clients:
        running._clients.pop().close()


def test_minutes_are_closed_and_oldest_first(exchange):
    end = exchange.clock.now()
    bars = exchange.client().candles(BTC, end - timedelta(minutes=30), end + timedelta(minutes=5))

    assert [bar.start for bar in bars] == sorted({bar.start for bar in bars})
    assert len(bars) >= 28
    assert all(bar.start + timedelta(minutes=1) <= exchange.clock.now() for bar in bars)
    assert all(0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)


def test_more_minutes_than_one_answer_holds_are_read_whole(exchange):
    start = exchange.clock.now().replace(second=0, microsecond=0) - timedelta(hours=13)
    bars = exchange.client().candles(BTC, start, start + timedelta(hours=12))

    assert [bar.start for bar in bars] == [start + timedelta(minutes=n) for n in range(720)]


def test_minutes_without_a_trade_have_no_bar(exchange):
    exchange.process.fault("gap", minutes=10)
    end = exchange.clock.now()
    bars = exchange.client().candles(BTC, end - timedelta(minutes=60), end)

    assert 46 <= len(bars) <= 51
    assert exchange.process.fired("gap") >= 1


def test_last_trade_has_its_time(exchange):
    spot = exchange.client().price(BTC)

    assert spot.price > 0
    assert timedelta(0) <= exchange.clock.now() - spot.at < timedelta(minutes=3)


def test_stale_price_is_retry(exchange):
    exchange.process.fault("stale", minutes=30)

    with pytest.raises(Retry, match="s old"):
        exchange.client().price(BTC)
    assert exchange.process.fired("stale") == 1


def test_failure_that_stays_is_retry_and_an_unknown_product_refused(exchange):
    client = exchange.client()
    with pytest.raises(Refuse, match="404"):
        client.price("NO-USD")
    exchange.process.fault("status", status=500)
    with pytest.raises(Retry, match="status 500"):
        client.price(BTC)

    assert exchange.process.fired("status") == 2


@pytest.mark.parametrize(
    "row", [[], [0, 2, 1, 1, 1, 1], [0, 1, 2, 3, 1, 1], [0, 0, 1, 1, 1, 1], [0, "NaN", 1, 1, 1, 1], None]
)
def test_candle_that_cannot_be_is_no_candle(row):
    with pytest.raises(Retry):
        _bar(row)


@pytest.mark.parametrize(
    "given",
    [
        {"COINBASE_URL": "nowhere"},
        {"COINBASE_URL": "http://evil.example"},
        {"COINBASE_PRICE_MAX_AGE_S": "0"},
        {"COINBASE_X": "1"},
    ],
)
def test_settings_that_make_no_sense_name_their_key(given):
    with pytest.raises(Misconfigured, match="COINBASE_"):
        settings.load(CoinbaseConfig, given, prefix="COINBASE_", source="x")
