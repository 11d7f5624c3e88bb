"""The Client Portal adapter at its simulator: an account of its own for each test, and orders to send it."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

from portal_sim import SPY, PortalSim, start_portal

from brokers.ibkr.config import IbkrConfig, Transport
from brokers.ibkr.portal.client import connect
from domain.clock import parse_clock
from domain.errors import Retry
from domain.ids import client_order_id, new_id
from domain.order import OrderIntent
from domain.vocabulary import Leg, Link, Mode, Side, Surface, TimeInForce

ACCOUNTS = [f"DU{number}" for number in range(1, 101)]
CASH = Decimal(100_000)
CONIDS = {"SPY": SPY}
D = Decimal


def started(*arguments: str, speed: float = 20) -> Iterator[PortalSim]:
    """Start a gateway with a hundred accounts, and end it."""
    accounts = ",".join(f"{name}:{CASH}:margin" for name in ACCOUNTS)
    chosen = ("--limits", "off", "--no-calendar", *arguments)
    gateway = start_portal(*chosen, speed=speed, accounts=accounts)
    gateway.accounts = iter(ACCOUNTS)
    try:
        yield gateway
    finally:
        gateway.stop()


def desks(gateway: PortalSim) -> Iterator["PortalDesk"]:
    """Give a test an account nobody has used, and lift afterwards what it did to the gateway."""
    desk = PortalDesk(gateway, next(gateway.accounts))
    try:
        yield desk
    finally:
        desk.close()
        gateway.clear()
        gateway.release()
        gateway.login()


class PortalDesk:
    """One account at the gateway; connections to it are made by the test and closed here."""

    def __init__(self, gateway: PortalSim, account: str) -> None:
        self.gateway = gateway
        self.account = account
        self.clock = parse_clock(gateway.clock)
        self.data = self.executor = None
        self._closers = []

    def config(self, **changes):
        settings = {
            "account": self.account,
            "transport": Transport.PORTAL,
            "portal_url": self.gateway.base_url,
            "portal_requests_per_s": 500,
            "portal_page_pause_s": 0.05,
            "portal_late_fill_s": 0.4,
            "request_timeout_s": 5.0,
            "order_timeout_s": 0.5,
            "fresh_order_grace_s": 0.6,
            "commission_wait_s": 0.2,
            "reconnect_min_s": 0.1,
            "reconnect_max_s": 0.5,
            "poll_interval_s": 0.1,
            "quote_silence_s": 1.0,
        }
        return IbkrConfig(**(settings | changes))

    def connect(self, *, held=lambda: (), up=True, **changes):
        """Open a connection and wait until the link is up; later calls open another, as a restart does."""
        self.data, self.executor = connect(self.config(**changes), self.clock, held=held)
        self._closers += [self.data.close, self.executor.close]
        if up:
            self.until_up()
        return self.data, self.executor

    def until_up(self):
        self.eventually(lambda: self.executor.link()[0] is Link.UP)

    def data_of(self):
        """Read everything there is to read; something true once the link is up."""
        if self.executor.link()[0] is not Link.UP:
            return None
        self.executor.open_trades()
        return self.executor.account()

    def until_down(self):
        self.eventually(lambda: self.executor.link()[0] is Link.DOWN)

    def restart(self, **changes):
        """End the connection and open another that remembers nothing."""
        self.close()
        return self.connect(**changes)

    def close(self):
        for close in self._closers:
            close()
        self._closers.clear()

    def eventually(self, condition, seconds=8.0):
        """Return the first true answer, asked again and again before a deadline; Retry is no answer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(Retry):
                if answer := condition():
                    return answer
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s")

    def quote(self, market="SPY"):
        return self.eventually(lambda: self.data.quotes([market]).get(market))

    def entry(self, *, market="SPY", trigger=None, **changes):
        """Build an entry that rests far above the market, with a trailing stop of ten percent."""
        signal_id = new_id("sig", self.clock.now())
        facts = {
            "client_order_id": client_order_id(Surface.STK, signal_id, Leg.ENTRY, 1),
            "signal_id": signal_id,
            "surface": Surface.STK,
            "mode": Mode.PAPER,
            "market": market,
            "leg": Leg.ENTRY,
            "attempt": 1,
            "side": Side.BUY,
            "quantity": D(10),
            "trigger": D("180.00") if trigger is None else trigger,
            "stop_loss": D("150.00"),
            "trailing_percent": D(10),
            "tif": TimeInForce.DAY,
        }
        return OrderIntent(**(facts | changes))

    def far(self, **changes):
        return self.entry(**changes)

    def near(self, **changes):
        """Build an entry that the recorded market reaches at once: IBKR takes a stop behind the market as reached."""
        return self.entry(**({"trigger": self.quote().bid - D("0.05")} | changes))

    def reach(self, intent):
        """Wait until the recording has filled an entry of ``near``."""
        self.until_state(intent, "filled")

    def bought(self, **changes):
        """Send an entry that fills at once, and wait until it has and its stop rests."""
        intent = self.near(**changes)
        self.executor.submit(intent)
        self.reach(intent)
        self.eventually(lambda: self.stop_of(intent) in self.live_refs())
        return intent

    def stop_of(self, intent, attempt=1):
        return client_order_id(Surface.STK, intent.signal_id, Leg.STOP, attempt)

    def exit_of(self, intent, *, attempt=1, quantity=None):
        return OrderIntent(
            client_order_id=client_order_id(Surface.STK, intent.signal_id, Leg.EXIT, attempt),
            signal_id=intent.signal_id,
            surface=intent.surface,
            mode=intent.mode,
            market=intent.market,
            leg=Leg.EXIT,
            attempt=attempt,
            side=intent.side.opposite,
            quantity=quantity or intent.quantity,
            broker_trade_id=intent.client_order_id,
        )

    def find(self, intent_or_id):
        """Return what the broker knows of an order, asked until it can tell."""
        name = getattr(intent_or_id, "client_order_id", intent_or_id)
        since = self.clock.now() - timedelta(minutes=30)
        return self.eventually(lambda: self.executor.find(name, since=since))

    def states(self, intent_or_id):
        return [str(event.state) for event in self.find(intent_or_id)]

    def until_state(self, intent_or_id, state):
        return self.eventually(lambda: self.states(intent_or_id)[-1] == state)

    def venue(self):
        """Return the account as the simulator has it."""
        return self.gateway.state()["accounts"][self.account]

    def position(self, market="SPY"):
        return D(self.venue()["positions"].get(market, {}).get("quantity", "0"))

    def live_refs(self):
        return sorted(row.get("order_ref", "") for row in self.venue()["live"])

    def sent(self, method="POST", ending="/orders"):
        """Return the requests of one kind that the gateway saw of this account."""
        return [
            row
            for row in self.gateway.requests()
            if row["method"] == method and row["path"].endswith(ending) and f"/{self.account}/" in row["path"]
        ]
