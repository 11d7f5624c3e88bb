"""A session of the TWS adapter at a wire that a test answers: what overlaps, comes late or never is said in order."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.tws.keeper import Keeper
from brokers.ibkr.tws.session import Session
from domain.clock import RealClock

CONFIG = IbkrConfig(account="DU1", request_timeout_s=20, fresh_order_grace_s=20)
SPY = SimpleNamespace(secType="STK", currency="USD", symbol="SPY", conId=756733)
IBM = SimpleNamespace(secType="STK", currency="USD", symbol="IBM", conId=8314)


class Wire:
    """The SDK's client without a socket: notes what is asked, and lets the test say when it is answered."""

    RequestsInterval = 1

    def __init__(self, ears):
        self.ears = ears
        self.asked = []
        self.placed = []
        self.ready = True
        self._numbers = iter(range(1, 10_000))

    def isReady(self):
        return self.ready

    def getReqId(self):
        return next(self._numbers)

    def disconnect(self):
        self.ready = False

    def placeOrder(self, number, contract, order):
        """Take an order as it is and say so."""
        self.placed.append(order)
        self.ears.openOrder(number, contract, order, SimpleNamespace(status="PreSubmitted"))

    def reqAllOpenOrders(self):
        self.asked.append("open orders")

    def reqExecutions(self, number, wanted):
        self.ears.execDetailsEnd(number)

    def reqCompletedOrders(self, api_only):
        self.asked.append("completed orders")
        self.ears.completedOrdersEnd()

    def reqAccountUpdates(self, subscribe, account):
        if subscribe:
            self.ears.accountDownloadEnd(account)


def talking(config=CONFIG, clock=None):
    """Return a keeper and the wire of a session that it has; ``wire.throttle`` is the SDK's own client."""
    keeper = Keeper(config, clock or RealClock())
    session = Session(config, keeper)
    throttle, session.client = session.client, Wire(session.ears)
    session.client.throttle = throttle
    keeper.session = session
    keeper.state.settled("session")
    return keeper, session.client


def sending(**changes):
    """Return a session with the SDK's own client and a list of what leaves it; a second of its throttle is an hour."""
    config, left = replace(CONFIG, **changes), []
    session = Session(config, Keeper(config, RealClock()))
    session.client.RequestsInterval = 3600
    session.client.connState = session.client.CONNECTED
    session.client.conn.sendMsg = lambda frame: left.append(frame[4:].decode().rstrip("\0"))
    return session, left


async def turns(condition=lambda: False):
    """Let everything run that can, until something holds."""
    for _ in range(100):
        if condition():
            return
        await asyncio.sleep(0)


def order(keeper, **changes):
    """Build an order of the SDK, as a message about one carries it."""
    facts = {
        "orderId": 7, "clientId": 0, "permId": 70, "action": "SELL", "totalQuantity": 10.0, "orderType": "STP",
        "auxPrice": 90.0, "tif": "GTC", "account": "DU1", "orderRef": "somebody's",
    }  # fmt: skip
    return keeper.session.sdk.Order(**(facts | changes))


def execution(reference, side, shares):
    """Build an execution at noon, as a message about one carries it."""
    return SimpleNamespace(
        execId="0001.01.01", orderRef=reference, permId=70, acctNumber="DU1", side=side, shares=float(shares),
        price=90.0, time=datetime(2014, 5, 6, 16, tzinfo=UTC), orderId=7,
    )  # fmt: skip


def told_open(keeper, **changes):
    keeper.session.ears.openOrder(7, SPY, order(keeper, **changes), SimpleNamespace(status="PreSubmitted"))
