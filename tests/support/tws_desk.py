"""The TWS adapter at its simulator: an account of its own for each test, and orders to send it."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import count

import tws_sim
from ibkr_desk import IbkrDesk

from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.tws.client import connect
from domain.vocabulary import Link

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


class TwsDesk(IbkrDesk):
    """One account at the gateway; connections to it are made by the test and closed here."""

    def __init__(self, gateway: tws_sim.TwsSim, account: str = ACCOUNTS[0], client: int = 1) -> None:
        super().__init__(gateway, account)
        self.client = client

    def config(self, **changes):
        settings = {
            "account": self.account,
            "port": self.gateway.port,
            "client_id": self.client,
            "connect_timeout_s": 2.0,
            "request_timeout_s": 3.0,
            "order_timeout_s": 3.0,
            "fresh_order_grace_s": 3.1,
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
        self._connect(connect, self.config(**changes), held)
        if up:
            self.until_link(Link.UP)
        return self.data, self.executor

    def until_link(self, link, seconds=30.0):
        """Wait for a state of the link and return the words for it."""
        return self.eventually(lambda: (found := self.executor.link())[0] is link and (found[1] or "up"), seconds)

    def fault(self, action, **fields):
        """Add a fault for this desk's client where the action can be limited to one."""
        return self.gateway.fault(action, **fields)

    def mine(self, **match):
        """Return a match that limits a fault to this desk's client."""
        return {"client": self.client, **match}

    # -------------------------------------------------------------------------------------------- orders

    def at_market(self, **changes):
        return self.entry(**({"trigger": None} | changes))

    def bought(self, **changes):
        """Send an entry at the market, and wait until it has filled and its stop rests."""
        return self._fill(self.at_market(**changes))

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
