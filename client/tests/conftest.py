"""Fixtures: a fake feed, a fake broker, and a client wired to both."""

import contextlib
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tbot_client import loop
from tbot_client.book import Book
from tbot_client.brokers.ibkr import IbkrBroker
from tbot_client.brokers.kalshi import KalshiBroker
from tbot_client.brokers.oanda import OandaBroker
from tbot_client.clock import Clock, parse_clock
from tbot_client.config import Broker, parse
from tbot_client.home import Home
from tbot_client.loop import Loop

# Importlib mode puts no test folder on the path, and these two are used by most tests here.
sys.path.insert(0, str(Path(__file__).parent / "support"))
from fake_broker import FakeBroker
from fake_feed import TOKEN, FakeFeed
from kalshi_venue import KalshiVenue
from portal_venue import ACCOUNT as PORTAL_ACCOUNT
from portal_venue import PortalVenue
from venue import ACCOUNT, ROOT, Venue
from venue import TOKEN as VENUE_TOKEN

CONFIG = """
[feed]
url = "{url}"
token = "{token}"
[broker]
kind = "paper"
[size]
rule = "fixed"
units = 1000
max_units = 5000
[poll]
wait_s = 1
broker_s = 0.05
retry_s = 0.05
retry_max_s = 0.2
settle_s = 0.1
"""


class Client:
    """One home with a client that can be run, stopped and run again, all within the test's process."""

    def __init__(self, path, feed, broker):
        self.home = Home(path)
        self.feed = feed
        self.broker = broker
        self.clock = Clock()
        self.text = CONFIG.format(url=feed.url, token=TOKEN)
        self.changes = {}

    def with_(self, **sections):
        """Change settings: section -> dict of its fields."""
        self.changes |= sections
        return self

    @property
    def config(self):
        config = parse(self.text, self.home.path)
        for section, fields in self.changes.items():
            config = replace(config, **{section: replace(getattr(config, section), **fields)})
        return config

    def write_config(self, text=None):
        self.home.path.mkdir(parents=True, exist_ok=True)
        self.home.config.write_text(text or self.text)
        self.home.config.chmod(0o600)
        return self.home.path

    def run_once(self):
        """Run like `run --once` on a fresh fold of the journal; return the exit code."""
        book = Book(self.home.journal, self.clock)
        turning = Loop(self.config, self.home, self.clock, book, self.broker, is_dry=False)
        turning._listen_to_signals = lambda: None
        try:
            return turning.run(once=True, for_s=None)
        finally:
            self.state = book.state
            book.close()

    @contextlib.contextmanager
    def running(self):
        """Run like `run` in a thread of its own until the block ends; ``loop`` is at hand meanwhile."""
        book = Book(self.home.journal, self.clock)
        self.loop = Loop(self.config, self.home, self.clock, book, self.broker, is_dry=False)
        self.loop._listen_to_signals = lambda: None
        self.state, self.failed = book.state, []

        def work():
            try:
                self.loop.run(once=False, for_s=None)
            except BaseException as error:  # noqa: BLE001 - the test that waits must hear of anything
                self.failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield self
        finally:
            self.loop._is_stopping = True
            thread.join(20)
            book.close()
            self.feed.answer_waiting()
            for each in [t for t in threading.enumerate() if t.name == "poller"]:
                each.join(20)
        assert self.failed == []

    def until(self, holds, seconds=40):
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it never came to hold"
            assert self.failed == []
            time.sleep(0.01)

    def skipped(self):
        return {name: n for name, n in self.state.counts.items() if name.startswith("skipped:")}


@pytest.fixture(autouse=True)
def short_ticks(monkeypatch):
    """Let loops look about them ten times as often as in earnest: most of a test would be waiting for a tick."""
    monkeypatch.setattr(loop, "TICK_S", 0.025)


@pytest.fixture
def feed():
    server = FakeFeed()
    yield server
    server.close()


@pytest.fixture
def broker():
    return FakeBroker()


@pytest.fixture
def client(tmp_path, feed, broker):
    return Client(tmp_path / "home", feed, broker)


@pytest.fixture
def make_client(tmp_path_factory):
    """Return a maker of clients, each on a home of its own."""
    return lambda feed, broker: Client(tmp_path_factory.mktemp("home"), feed, broker)


@pytest.fixture(scope="module")
def _venue():
    if not (ROOT / "simulators" / "oanda" / "__main__.py").exists():
        pytest.skip("the venue simulator is part of the whole repository")
    venue = Venue()
    yield venue
    venue.close()


@pytest.fixture
def venue(_venue):
    yield _venue
    _venue.reset()


@pytest.fixture
def oanda(venue):
    """Return the real adapter on the simulator."""
    settings = Broker(kind="oanda", account_id=ACCOUNT, token=VENUE_TOKEN, api_url=venue.url, stream_url=venue.url)
    broker = OandaBroker(settings)
    yield broker
    broker.shut()


@pytest.fixture
def live(client, feed, venue, oanda):
    """Return the client trading on the simulator, feed and venue on one clock."""
    client.broker = oanda
    client.clock = parse_clock(venue.spec)
    feed.now = client.clock.now
    return client


@pytest.fixture(scope="module")
def _kalshi_venue(tmp_path_factory):
    if not (ROOT / "simulators" / "kalshi" / "__main__.py").exists():
        pytest.skip("the venue simulator is part of the whole repository")
    venue = KalshiVenue(tmp_path_factory.mktemp("kalshi"))
    yield venue
    venue.close()


@pytest.fixture
def kalshi_venue(_kalshi_venue):
    _kalshi_venue.next_account()
    yield _kalshi_venue
    _kalshi_venue.reset()


@pytest.fixture
def make_kalshi(kalshi_venue, client):
    """Return a maker of adapters on the test's account and home; each is as one after a restart."""
    made = []

    def make(grace_s=2.0):
        settings = Broker(
            kind="kalshi", account_id=kalshi_venue.key_id, token=kalshi_venue.pem, api_url=kalshi_venue.api_url
        )
        made.append(KalshiBroker(settings, client.home.kalshi, client.clock, grace_s=grace_s))
        return made[-1]

    yield make
    for broker in made:
        broker.shut()


@pytest.fixture
def kalshi(make_kalshi):
    return make_kalshi()


@pytest.fixture(scope="module")
def _portal_venue():
    if not (ROOT / "simulators" / "client_portal" / "__main__.py").exists():
        pytest.skip("the venue simulator is part of the whole repository")
    venue = PortalVenue()
    yield venue
    venue.close()


@pytest.fixture
def portal_venue(_portal_venue):
    yield _portal_venue
    _portal_venue.reset()


@pytest.fixture
def make_ibkr(portal_venue, client):
    """Return a maker of adapters on the test's home; each is as one after a restart."""
    made = []

    def make(account=PORTAL_ACCOUNT, **given):
        more = {name: given.pop(name) for name in ("confirm", "compete", "penalty_s") if name in given}
        settings = Broker(kind="ibkr", account_id=account, api_url=portal_venue.api_url, page_pause_s=0.0, **more)
        waits = {"grace_s": 0.6, "fill_s": 0.4, "late_s": 0.1} | given
        made.append(IbkrBroker(settings, client.home.ibkr, client.clock, **waits))
        return made[-1]

    yield make
    for broker in made:
        broker.shut()
