"""Orders of earlier days, whose executions TWS does not tell any more."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

from brokers.grace import Grace
from brokers.ibkr.executions import ExecutionBook
from brokers.ibkr.tws.desk import OrderDesk
from brokers.ibkr.tws.orderbook import OrderBook
from brokers.ibkr.tws.parse import Terms
from brokers.port import BrokerTrade
from domain.clock import FakeClock
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
