"""The TWS adapter at its simulator: an account of its own for each test, and orders to send it."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from itertools import count

import tws_sim

from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.tws.client import connect
from domain.clock import parse_clock
from domain.errors import Retry
from domain.ids import client_order_id, new_id
from domain.order import OrderIntent
from domain.vocabulary import Leg, Link, Mode, Side, Surface, TimeInForce

ACCOUNTS = [f"DU{number}" for number in range(1, 61)]
CASH = Decimal(100_000)
D = Decimal


def started(**changes) -> Iterator[tws_sim.TwsSim]:
    """Start a gateway with sixty accounts, and end it."""
    accounts = ",".join(f"{name}:{CASH}:margin" for name in ACCOUNTS)
    gateway = tws_sim.start(**({"speed": 20, "accounts": accounts} | changes))
    gateway.accounts = iter(ACCOUNTS)
    gateway.clients = count(1, 16)
    try:
        yield gateway
    finally:
        gateway.stop()


def desks(gateway: tws_sim.TwsSim) -> Iterator["TwsDesk"]:
    """Give a test an account nobody has used and a client id of its own."""
    desk = TwsDesk(gateway, next(gateway.accounts), next(gateway.clients))
    try:
        yield desk
    finally:
        gateway.clear()
        desk.close()


class TwsDesk:
    """One account at the gateway; connections to it are made by the test and closed here."""

    def __init__(self, gateway: tws_sim.TwsSim, account: str = ACCOUNTS[0], client: int = 1) -> None:
        self.gateway = gateway
        self.account = account
        self.client = client
        self.clock = parse_clock(gateway.clock)
        self.data = self.executor = None
        self._closers = []

    def config(self, **changes):
        settings = {
            "account": self.account,
            "port": self.gateway.port,
            "client_id": self.client,
            "connect_timeout_s": 2.0,
            "request_timeout_s": 3.0,
            "order_timeout_s": 1.5,
            "fresh_order_grace_s": 1.6,
            "commission_wait_s": 0.3,
            "reconnect_min_s": 0.1,
            "reconnect_max_s": 0.5,
            "probe_interval_s": 0.2,
            "probe_timeout_s": 4.0,
            "poll_interval_s": 0.05,
            "quote_silence_s": 0.5,
        }
        return IbkrConfig(**(settings | changes))

    def connect(self, *, held=lambda: (), up=True, **changes):
        """Open a connection and wait until the link is up; later calls open another, as a restart does."""
        self.data, self.executor = connect(self.config(**changes), self.clock, held=held)
        self._closers += [self.data.close, self.executor.close]
        if up:
            self.until_link(Link.UP)
        return self.data, self.executor

    def restart(self, **changes):
        """End the connection and open another that remembers nothing."""
        self.close()
        return self.connect(**changes)

    def close(self):
        for close in self._closers:
            close()
        self._closers.clear()

    def until_link(self, link, seconds=15.0):
        """Wait for a state of the link and return the words for it."""
        return self.eventually(lambda: (found := self.executor.link())[0] is link and (found[1] or "up"), seconds)

    def eventually(self, condition, seconds=15.0):
        """Return the first true answer, asked again and again before a deadline; Retry is no answer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(Retry):
                if answer := condition():
                    return answer
            time.sleep(0.01)
        raise AssertionError(f"not within {seconds} s")

    def fault(self, action, **fields):
        """Add a fault for this desk's client where the action can be limited to one."""
        return self.gateway.fault(action, **fields)

    def mine(self, **match):
        """Return a match that limits a fault to this desk's client."""
        return {"client": self.client, **match}

    # -------------------------------------------------------------------------------------------- orders

    def quote(self, market="SPY"):
        return self.eventually(lambda: self.data.quotes([market]).get(market))

    def entry(self, *, market="SPY", **changes):
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
            "trigger": D("180.00"),
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

    def at_market(self, **changes):
        return self.entry(**({"trigger": None} | changes))

    def reach(self, intent):
        self.until_state(intent, "filled")

    def bought(self, **changes):
        """Send an entry at the market, and wait until it has filled and its stop rests."""
        intent = self.at_market(**changes)
        self.executor.submit(intent)
        self.reach(intent)
        self.eventually(lambda: self.stop_of(intent) in self.live_refs())
        return intent

    def stop_of(self, intent, attempt=1):
        return client_order_id(Surface.STK, intent.signal_id, Leg.STOP, attempt)

    def exit_of(self, intent, *, attempt=1, quantity=None, **changes):
        facts = {
            "client_order_id": client_order_id(Surface.STK, intent.signal_id, Leg.EXIT, attempt),
            "signal_id": intent.signal_id,
            "surface": intent.surface,
            "mode": intent.mode,
            "market": intent.market,
            "leg": Leg.EXIT,
            "attempt": attempt,
            "side": intent.side.opposite,
            "quantity": quantity or intent.quantity,
            "broker_trade_id": intent.client_order_id,
        }
        return OrderIntent(**(facts | changes))

    def find(self, intent_or_id):
        """Return what the broker knows of an order, asked until it can tell."""
        name = getattr(intent_or_id, "client_order_id", intent_or_id)
        since = self.clock.now() - timedelta(minutes=30)
        return self.eventually(lambda: self.executor.find(name, since=since))

    def states(self, intent_or_id):
        return [str(event.state) for event in self.find(intent_or_id)]

    def until_state(self, intent_or_id, state):
        return self.eventually(lambda: self.states(intent_or_id)[-1] == state)

    # ------------------------------------------------------------------------------- what the venue knows

    def orders(self, reference=None):
        """Return this account's orders at the venue, live and done, or those with one reference."""
        state = self.gateway.state()
        found = [*state["orders"], *state["completed"]]
        unique = {one["perm_id"]: one for one in found if one["client"] == self.client}
        return [one for one in unique.values() if reference in (None, one["ref"])]

    def live_refs(self):
        return sorted(one["ref"] for one in self.gateway.state()["orders"] if one["client"] == self.client)

    def position(self, market="SPY"):
        return D(self.gateway.state()["accounts"][self.account]["positions"].get(market, "0"))
