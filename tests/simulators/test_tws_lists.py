"""Lists of orders and executions as a gateway gives them, and what it does not take, against the vendor's library."""

import asyncio

import ib_async
import pytest
import tws_sim
from tws_client import SPY, Client
from tws_sim import ACCOUNT


@pytest.fixture(scope="module")
def sim():
    running = tws_sim.start(speed=20, accounts=f"{ACCOUNT}:5000000:margin")
    yield running
    running.stop()


def test_a_gateway_that_came_back_lists_nothing_at_first(sim):
    async def play():
        async with Client(sim, 21) as one:
            await one.status(one.limit(price=90, orderRef="late"), "Submitted")
            await one.until(one.market(orderRef="late too").isDone)
        names = [sim.fault("late_orders", seconds=seconds, times=1, match={"client": 21}) for seconds in (60, 0.1)]
        async with Client(sim, 21) as again:
            listed = [
                await again.ib.reqAllOpenOrdersAsync(),
                await again.ib.reqCompletedOrdersAsync(False),
                await again.ib.reqExecutionsAsync(),
            ]
        async with Client(sim, 21) as later:
            await asyncio.sleep(0.1)
            loaded = [trade.order.orderRef for trade in await later.ib.reqAllOpenOrdersAsync()]
            return listed, loaded, list(map(sim.fired, names))

    listed, loaded, fired = asyncio.run(play())

    assert listed == [[], [], []]
    assert loaded == ["late"]
    assert fired == [1, 1]


def test_an_order_that_filled_is_listed_without_the_quantity_it_was_for(sim):
    async def play():
        async with Client(sim, 22) as one:
            await one.until(one.market(orderRef="filled").isDone)
            return await one.ib.reqCompletedOrdersAsync(False)

    (found,) = [trade.order for trade in asyncio.run(play()) if trade.order.orderRef == "filled"]

    assert (found.totalQuantity, found.filledQuantity) == (0, 10)


def test_a_trailing_limit_takes_a_limit_or_an_offset_and_not_both(sim):
    async def play():
        async with Client(sim, 23) as one:
            order = ib_async.Order(
                action="SELL", totalQuantity=10, orderType="TRAIL LIMIT", auxPrice=5, lmtPriceOffset=0.1, lmtPrice=170
            )
            one.ib.placeOrder(SPY, order)
            return await one.until(lambda: [text for _, code, text in one.errors if code == 321])

    assert "limit price or limit price offset" in asyncio.run(play())[0]


def test_a_child_is_put_into_the_group_of_its_parent_and_stays_there(sim):
    async def play():
        async with Client(sim, 24) as one:
            entry = one.limit(price=90, transmit=False)
            stop = ib_async.StopOrder("SELL", 10, 80, parentId=entry.order.orderId, ocaGroup="mine", ocaType=1)
            one.ib.placeOrder(SPY, stop)
            await one.status(entry, "Submitted")
            async with Client(sim, 25) as other:
                # the library keeps what it sent itself
                (told,) = [trade.order for trade in await other.ib.reqAllOpenOrdersAsync() if trade.order.parentId]
            stop.auxPrice = 81
            one.ib.placeOrder(SPY, stop)
            await one.until(lambda: 10326 in one.codes)
            one.ib.cancelOrder(entry.order)
            return entry.order.permId, told.ocaGroup, told.ocaType

    perm_id, group, kind = asyncio.run(play())

    assert (group, kind) == (str(perm_id), 3)
