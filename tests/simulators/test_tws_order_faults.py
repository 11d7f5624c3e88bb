"""Faults of orders and of what is told of them, played against the vendor's library."""

import asyncio

import ib_async
import pytest
import tws_sim
from tws_client import SPY, Client, Wire
from tws_sim import ACCOUNT


@pytest.fixture(scope="module")
def _running():
    running = tws_sim.start(speed=60, accounts=f"{ACCOUNT}:5000000:margin")
    yield running
    running.stop()


@pytest.fixture
def sim(_running):
    """A gateway without faults of a test before."""
    yield _running
    _running.clear()


# -- orders
def test_a_reply_is_lost_and_the_order_is_found_by_whoever_comes_back(sim):
    async def play():
        async with Client(sim, 7) as one:
            name = sim.fault("lost_reply", times=1)
            trade = one.limit(price=90, orderRef="lost reply")
            await one.until(lambda: sim.fired(name))
            await one.settled()
            heard = trade.orderStatus.status
        async with Client(sim, 7) as again:
            found = [trade for trade in again.ib.openTrades() if trade.order.orderRef == "lost reply"]
            again.ib.cancelOrder(found[0].order)
            await again.until(found[0].isDone)
            return heard, len(found)

    assert asyncio.run(play()) == ("PendingSubmit", 1)


def test_an_order_is_swallowed(sim):
    async def play():
        async with Client(sim, 8) as one:
            name = sim.fault("swallowed_order", times=1)
            trade = one.market(orderRef="swallowed")
            await one.until(lambda: sim.fired(name))
            await one.settled()
            return trade.orderStatus.status

    status = asyncio.run(play())
    state = sim.state()

    assert status == "PendingSubmit"
    assert "swallowed" not in [order["ref"] for order in (*state["orders"], *state["completed"])]


def test_an_order_is_rejected(sim):
    async def play():
        async with Client(sim, 8) as one:
            name = sim.fault("rejected", times=1, reason="Exchange is closed.")
            trade = one.market()
            await one.status(trade, "Cancelled")
            return one.errors[-1], sim.fired(name)

    (_, code, text), fired = asyncio.run(play())

    assert (code, text, fired) == (201, "Order rejected - reason:Exchange is closed.", 1)


def test_an_order_becomes_inactive_without_a_reason(sim):
    async def play():
        async with Client(sim, 8) as one:
            name = sim.fault("inactive", times=1)
            trade = one.market()
            await one.status(trade, "Inactive")
            await one.settled()
            return sim.fired(name), one.codes

    fired, codes = asyncio.run(play())

    assert fired == 1
    assert 201 not in codes


@pytest.mark.parametrize(("action", "code"), [("order_message", 399), ("tif_preset", 10349)])
def test_a_remark_on_an_order_is_no_end_of_it(sim, action, code):
    async def play():
        async with Client(sim, 9) as one:
            name = sim.fault(action, times=1)
            trade = one.limit(price=90)
            await one.until(lambda: code in one.codes)
            (listed,) = [order for order in sim.state()["orders"] if order["client"] == 9]
            # the library may hold it to be over: it is changed on the wire, and fills
            trade.order.lmtPrice = 200
            one.ib.client.placeOrder(trade.order.orderId, SPY, trade.order)
            await one.until(lambda: one.fills)
            return sim.fired(name), listed["status"]

    assert asyncio.run(play()) == (1, "Submitted")


def test_an_order_is_filled_in_part_and_later_in_full(sim):
    async def play():
        async with Client(sim, 10) as one:
            name = sim.fault("partial_fill", fraction=0.4, times=1)
            trade = one.market(quantity=10)
            await one.until(lambda: one.fills)
            await one.settled()
            part = (trade.filled(), trade.remaining(), trade.orderStatus.status)
            one.ib.cancelOrder(trade.order)
            await one.status(trade, "Cancelled")
            sim.fault("partial_fill", fraction=0.5, seconds=0.2, times=1)
            second = one.market(quantity=10)
            await one.status(second, "Filled")
            return part, sim.fired(name), len(second.fills)

    part, fired, fills = asyncio.run(play())

    assert part == (4, 6, "Submitted")
    assert fired == 1
    assert fills >= 2


def test_the_children_of_a_bracket_fill_no_more_than_their_parent(sim):
    async def play():
        async with Client(sim, 10) as one:
            (tick,) = await one.ib.reqTickersAsync(SPY)
            name = sim.fault("partial_fill", fraction=0.4, times=1)
            entry = one.market(quantity=10, transmit=False)
            stop = one.ib.placeOrder(
                SPY, ib_async.StopOrder("SELL", 10, round(tick.bid + 3, 2), parentId=entry.order.orderId)
            )
            await one.until(lambda: stop.filled() == 4)
            filled = entry.filled()
            one.ib.cancelOrder(entry.order)
            await one.until(entry.isDone)
            one.ib.client.reqGlobalCancel()
            await one.until(stop.isDone)
            return filled, sim.fired(name)

    assert asyncio.run(play()) == (4, 1)


@pytest.mark.parametrize("code", [10147, 10148, 161])
def test_a_cancel_is_refused_and_the_order_lives(sim, code):
    async def play():
        async with Client(sim, 11) as one:
            trade = one.limit(price=90)
            await one.status(trade, "Submitted")
            name = sim.fault("cancel_refused", code=code, times=1)
            one.ib.client.cancelOrder(trade.order.orderId)
            await one.until(lambda: code in one.codes)
            alive = [order["status"] for order in sim.state()["orders"] if order["client"] == 11]
            one.ib.client.cancelOrder(trade.order.orderId)
            await one.until(lambda: 202 in one.codes)
            return alive, sim.fired(name)

    assert asyncio.run(play()) == (["Submitted"], 1)


def test_a_cancelled_order_fills_after_all(sim):
    async def play():
        async with Client(sim, 11) as one:
            trade = one.limit(price=90, quantity=3)
            await one.status(trade, "Submitted")
            wire = Wire(one, 3, 11)
            name = sim.fault("late_fill_after_cancel", seconds=0.2, times=1)
            one.ib.cancelOrder(trade.order)
            await one.until(lambda: one.fills)
            return wire.rows, one.fills[0].execution, trade.orderStatus.status, sim.fired(name)

    rows, execution, status, fired = asyncio.run(play())

    assert [row[2] if row[0] == "3" else "fill" for row in rows] == ["PendingCancel", "Cancelled", "fill"]
    assert (execution.shares, execution.price) == (3, 90)
    assert (status, fired) == ("Cancelled", 1)


def test_a_child_is_left_out_of_the_open_orders(sim):
    async def play():
        async with Client(sim, 12) as one:
            for order in ib_async.IB.bracketOrder(one.ib, "BUY", 5, 90, 300, 80):
                one.ib.placeOrder(SPY, order)
            await one.until(lambda: len([o for o in sim.state()["orders"] if o["client"] == 12]) == 3)
        name = sim.fault("omitted_child", times=1)
        async with Client(sim, 12) as again:
            kinds = sorted(trade.order.orderType for trade in again.ib.openTrades())
            complete = await again.ib.reqAllOpenOrdersAsync()
            again.ib.reqGlobalCancel()
            await again.until(lambda: not [o for o in sim.state()["orders"] if o["client"] == 12])
            return kinds, sorted(trade.order.orderType for trade in complete if trade.order.clientId == 12), name

    kinds, complete, name = asyncio.run(play())

    assert kinds == ["LMT", "LMT"]
    assert complete == ["LMT", "LMT", "STP"]
    assert sim.fired(name) == 1


# -- what is told of orders
def test_a_status_is_missing(sim):
    async def play():
        async with Client(sim, 13) as one:
            name = sim.fault("missing_status", statuses=["Filled"], times=1)
            trade = one.market()
            await one.until(lambda: one.commissions)
            await one.settled()
            return trade.orderStatus.status, trade.filled(), sim.fired(name)

    status, filled, fired = asyncio.run(play())

    assert status != "Filled"
    assert (filled, fired) == (10, 1)


def test_a_status_comes_twice(sim):
    async def play():
        async with Client(sim, 13) as one:
            wire = Wire(one, 3)
            name = sim.fault("duplicate_status", statuses=["Filled"])
            trade = one.market()
            await one.until(lambda: one.commissions)
            await one.until(trade.isDone)
            await one.settled()
            return [row for row in wire.rows if row[2] == "Filled"], sim.fired(name)

    rows, fired = asyncio.run(play())

    assert len(rows) == 2
    assert rows[0] == rows[1]
    assert fired == 1


def test_an_execution_comes_twice(sim):
    async def play():
        async with Client(sim, 13) as one:
            wire = Wire(one, 11)
            name = sim.fault("duplicate_execution", times=1)
            one.market()
            await one.until(lambda: one.commissions and len(wire.rows) > 1)
            return wire.rows, sim.fired(name)

    rows, fired = asyncio.run(play())

    assert len(rows) == 2
    assert rows[0] == rows[1]
    assert fired == 1


def test_executions_come_out_of_order(sim):
    async def play():
        async with Client(sim, 14) as one:
            name = sim.fault("reordered_execution", times=1, seconds=5)
            first, second = one.market(orderRef="one"), one.market(orderRef="two")
            await one.until(lambda: len(one.fills) == 2)
            await one.until(lambda: first.isDone() and second.isDone())
            return [fill.execution.orderRef for fill in one.fills], sim.fired(name)

    assert asyncio.run(play()) == (["two", "one"], 1)


def test_the_commission_comes_before_its_execution_and_only_a_replay_brings_it_back(sim):
    async def play():
        async with Client(sim, 14) as one:
            wire = Wire(one, 11, 59)
            name = sim.fault("commission_first", times=1)
            trade = one.market()
            await one.until(lambda: one.fills)
            await one.settled()
            order = [row[0] for row in wire.rows]
            before = trade.fills[0].commissionReport.commission
            await one.ib.reqExecutionsAsync()
            return order, before, trade.fills[0].commissionReport.commission, sim.fired(name)

    order, before, after, fired = asyncio.run(play())

    assert order == ["59", "11"]
    assert (before, after, fired) == (0, 1, 1)


def test_a_commission_is_told_later_and_left_out_of_lists_until_then(sim):
    async def play():
        async with Client(sim, 44) as one:
            name = sim.fault("late_commission", times=1, seconds=0.5)
            wire = Wire(one, 59)
            one.market()
            await one.until(lambda: one.fills)
            mine = one.fills[0].execution.execId
            await one.ib.reqExecutionsAsync()
            listed = sum(mine in row for row in wire.rows)
            await one.until(lambda: any(mine in row for row in wire.rows))
            return listed, sum(mine in row for row in wire.rows), sim.fired(name)

    assert asyncio.run(play()) == (0, 1, 1)


def test_an_execution_is_corrected(sim):
    async def play():
        async with Client(sim, 15) as one:
            name = sim.fault("execution_correction", price_change=-1, times=1, seconds=0.1)
            one.market()
            await one.until(lambda: len(one.fills) == 2)
            return [fill.execution for fill in one.fills], sim.fired(name)

    (first, corrected), fired = asyncio.run(play())

    assert (first.execId[:-2], first.execId[-2:]) == (corrected.execId[:-2], "01")
    assert corrected.execId.endswith(".02")
    assert corrected.price == pytest.approx(first.price - 1)
    assert fired == 1


def test_a_trade_is_busted(sim):
    async def play():
        async with Client(sim, 15) as one:
            held = sum(p.position for p in one.ib.positions() if p.contract.symbol == "SPY")
            name = sim.fault("busted_trade", times=1, seconds=0.1)
            one.market()
            await one.until(lambda: len(one.fills) == 2)
            await one.until(lambda: sum(p.position for p in one.ib.positions() if p.contract.symbol == "SPY") == held)
            return one.fills[1].execution.shares, sim.fired(name)

    assert asyncio.run(play()) == (0, 1)
