"""The Client Portal adapter at its simulator: an account of its own for each test, and orders to send it."""

from collections.abc import Iterator
from decimal import Decimal

from ibkr_desk import IbkrDesk
from portal_sim import SPY, PortalSim, start_portal

from brokers.ibkr.config import IbkrConfig, Transport
from brokers.ibkr.portal.client import connect
from domain.vocabulary import Link

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


class PortalDesk(IbkrDesk):
    """One account at the gateway; connections to it are made by the test and closed here."""

    patience_s = 30.0

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
        self._connect(connect, self.config(**changes), held)
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

    def bought(self, **changes):
        """Send an entry that fills at once, and wait until it has and its stop rests."""
        return self._fill(self.near(**changes))

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
