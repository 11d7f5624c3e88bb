"""Orders of earlier days, whose executions TWS does not tell any more."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from answered_wire import SPY, execution, order, talking, told_open

from brokers.grace import Grace
from brokers.ibkr.executions import ExecutionBook
from brokers.ibkr.fills import FillReader
from brokers.ibkr.trades import Entries
from brokers.ibkr.tws.desk import OrderDesk
from brokers.ibkr.tws.orderbook import OrderBook
from brokers.ibkr.tws.parse import Terms
from brokers.port import BrokerTrade
from domain.clock import FakeClock
from domain.errors import Retry
from domain.ids import client_order_id
from domain.vocabulary import Leg, OrderState, Side, Surface

D = Decimal
NOON = datetime(2014, 5, 7, 16, tzinfo=UTC)
ENTRY = client_order_id(Surface.STK, "sig_018Q8XAZCPHS869QHDV5R085MW", Leg.ENTRY, 1)


class Yesterday:
    """What a keeper knows of an order that completed on the day before: that it did, and no execution of it."""

    def __init__(self):
        self.clock = FakeClock(NOON)
        self.config = SimpleNamespace(poll_interval_s=1.0)
        self.orders, self.executions = OrderBook(), ExecutionBook()
        terms = Terms(
            perm_id=7, client_id=1, order_id=3, parent_id=0, account="DU1", reference=ENTRY, market="SPY",
            side=Side.BUY, quantity=D(10), kind="STP", limit=None, trigger=D(167), trailing_percent=None,
            trailing_distance=None, tif="DAY", oca_group="", sdk_order=None, sdk_contract=None,
        )  # fmt: skip
        self.orders.completed(terms, "Filled")

    async def ready(self):
        return SimpleNamespace(client_id=1)

    async def orders_within(self, age_s):
        pass

    async def orders_since(self, moment_ns):
        pass

    def currency(self):
        return "USD"


def test_entry_of_yesterday_is_filled_and_bought_nothing_more():
    keeper = Yesterday()
    trade = BrokerTrade(
        trade_id=ENTRY, client_order_id=ENTRY, market="SPY", side=Side.BUY, quantity=D(10), price=D(167),
        opened_at=NOON - timedelta(days=1), stop_loss=None, take_profit=None, trailing_distance=None,
    )  # fmt: skip
    desk = OrderDesk(keeper, None, Grace(keeper.clock, 15.0), None, lambda: [trade])
    events = asyncio.run(desk.find(ENTRY, NOON - timedelta(days=1)))

    assert [(event.state, event.quantity) for event in events] == [(OrderState.FILLED, 0)]


STOP = client_order_id(Surface.STK, "sig_018Q8XAZCPHS869QHDV5R085MW", Leg.STOP, 1)


class Desk:
    """The orders of a process that was started today, of which one, a stop for ten shares, sold four yesterday."""

    def __init__(self, status="PreSubmitted"):
        self.clock = FakeClock(NOON)
        self.keeper, self.wire = talking(clock=self.clock)
        self.wire.reqAllOpenOrders = self._list
        self.status = status
        entries = Entries(self.keeper.executions, lambda: ())
        fills = FillReader(self.keeper.executions, entries, self.clock, commission_wait_s=0)
        self.orders = OrderDesk(self.keeper, None, Grace(self.clock, 15.0), fills, lambda: ())

    def _list(self):
        ears = self.keeper.session.ears
        if self.status == "PreSubmitted":
            told_open(self.keeper, orderRef=STOP, clientId=-1)
            ears.orderStatus(7, self.status, 4.0, 6.0, 90.0, 70, 0, 90.0, -1, "")
        ears.openOrderEnd()

    def sells(self, quantity):
        """Let today's part be told."""
        self.keeper.session.ears.execDetails(-1, SPY, execution(STOP, "SLD", quantity))

    def is_over(self):
        self.status = "Filled"
        told = order(self.keeper, orderRef=STOP, totalQuantity=0.0, filledQuantity=10.0)
        self.keeper.session.ears.completedOrder(SPY, told, SimpleNamespace(status="Filled"))

    async def find(self, since):
        """Return state and quantity of each event, once what is missing of the order is known to be none of today."""
        with pytest.raises(Retry):
            await self.orders.find(STOP, since)
        self.clock.advance(25)
        return [(event.state, event.quantity) for event in await self.orders.find(STOP, since)]


def test_stop_that_sold_a_part_yesterday_is_told_as_resting_and_not_as_unknown_for_ever():
    async def play():
        return await Desk().find(NOON - timedelta(days=1))

    assert asyncio.run(play()) == [(OrderState.PARTIAL, 0)]


def test_stop_that_sold_a_part_yesterday_and_the_rest_today_is_filled_by_the_rest():
    async def play():
        desk = Desk()
        desk.is_over()
        desk.sells(6.0)
        return await desk.find(NOON - timedelta(days=1))

    assert asyncio.run(play()) == [(OrderState.FILLED, 6)]


def test_stop_that_sold_all_yesterday_is_filled_and_sold_nothing_more():
    async def play():
        desk = Desk()
        desk.is_over()
        return await desk.find(NOON - timedelta(days=1))

    assert asyncio.run(play()) == [(OrderState.FILLED, 0)]


def test_order_of_today_is_never_told_without_its_executions():
    async def play():
        desk = Desk()
        desk.is_over()
        with pytest.raises(Retry):
            await desk.find(NOON - timedelta(hours=1))

    asyncio.run(play())


def test_stop_that_sold_a_part_yesterday_is_amended_to_what_is_held():
    async def play():
        desk = Desk()
        await desk.keeper.orders_since(desk.clock.monotonic_ns())
        await desk.orders.amend(STOP, D(5))
        return [one.totalQuantity for one in desk.wire.placed]

    assert asyncio.run(play()) == [9]


@pytest.mark.parametrize(
    ("held", "sent", "states"),
    [
        (10, NOON - timedelta(days=1), [(OrderState.FILLED, 6, D("100.5"))]),
        (10, NOON - timedelta(hours=1), [(OrderState.ABSENT, 0, None)]),
        (0, NOON - timedelta(days=1), [(OrderState.ABSENT, 0, None)]),
    ],
)
def test_entry_of_yesterday_is_known_by_the_stop_and_the_shares_it_left(held, sent, states):
    async def play():
        desk = Desk()
        desk.clock.advance(25)
        desk.keeper.on_position("DU1", SPY, D(held), D("100.5"))
        found = await desk.orders.find(ENTRY, sent)
        return [(event.state, event.quantity, event.price) for event in found]

    assert asyncio.run(play()) == states
