"""The vendor's library, unmodified, against the TWS simulator: orders and what becomes of them."""

import asyncio

import ib_async
import pytest
import tws_sim
from tws_client import SPY, Client
from tws_sim import ACCOUNT

OTHER = "DU1000002"


@pytest.fixture(scope="module")
def sim():
    running = tws_sim.start(speed=60, accounts=f"{ACCOUNT}:5000000:margin,{OTHER}:50000:cash")
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def tidy(sim):
    yield
    sim.clear()


def test_a_market_order_is_filled_and_told_in_order(sim):
    async def play():
        async with Client(sim, 2) as one:
            trade = one.market(quantity=10, orderRef="ref-1", account=ACCOUNT)
            await one.until(lambda: one.commissions)
            await one.until(lambda: any(p.account == ACCOUNT for p in one.ib.positions()))
            return trade, one.fills[0], one.commissions[0], one.statuses

    trade, fill, commission, statuses = asyncio.run(play())

    assert [status for _, status in statuses][-1] == "Filled"
    assert (fill.execution.side, fill.execution.shares, fill.execution.orderRef) == ("BOT", 10, "ref-1")
    assert fill.execution.execId.endswith(".01")
    assert fill.execution.time.tzinfo is not None
    assert commission.execId == fill.execution.execId
    assert commission.commission == 1.0
    assert trade.orderStatus.permId == fill.execution.permId


def test_executions_of_all_clients_are_listed_and_can_be_filtered(sim):
    async def play():
        async with Client(sim, 3) as one, Client(sim, 4) as two:
            first, second = one.market(account=ACCOUNT), two.market(account=ACCOUNT, quantity=7)
            await one.until(first.isDone)
            await two.until(second.isDone)
            everybody = await one.ib.reqExecutionsAsync()
            mine = await one.ib.reqExecutionsAsync(ib_async.ExecutionFilter(clientId=4))
            sold = await one.ib.reqExecutionsAsync(ib_async.ExecutionFilter(side="SELL"))
            later = await one.ib.reqExecutionsAsync(ib_async.ExecutionFilter(time="20140506-23:00:00"))
            elsewhere = await one.ib.reqExecutionsAsync(ib_async.ExecutionFilter(acctCode=OTHER))
            return everybody, mine, sold, later, elsewhere, one.ib.fills()

    everybody, mine, sold, later, elsewhere, known = asyncio.run(play())

    assert {3, 4} <= {fill.execution.clientId for fill in everybody}
    assert {fill.execution.clientId for fill in mine} == {4}
    assert all(fill.execution.side == "SLD" for fill in sold)
    assert later == []
    assert elsewhere == []
    assert all(fill.commissionReport.commission for fill in known)


def test_a_bracket_waits_for_its_parent_and_its_legs_cancel_each_other(sim):
    async def play():
        async with Client(sim, 5) as one:
            (tick,) = await one.ib.reqTickersAsync(SPY)
            entry, profit, stop = one.ib.bracketOrder(
                "BUY", 10, round(tick.ask + 1, 2), round(tick.ask + 5, 2), round(tick.ask - 5, 2), account=ACCOUNT
            )
            trades = [one.ib.placeOrder(SPY, order) for order in (entry, profit, stop)]
            await one.status(trades[0], "Filled")
            await one.status(trades[1], "Submitted")
            held = [(order, status) for order, status in one.statuses if order == trades[2].order.orderId]
            profit.lmtPrice = round(tick.bid - 1, 2)
            # the parent is over: the child is changed without naming it
            profit.parentId = 0
            one.ib.client.placeOrder(profit.orderId, SPY, profit)
            await one.status(trades[1], "Filled")
            await one.status(trades[2], "Cancelled")
            return held, one.errors, trades

    held, errors, trades = asyncio.run(play())

    assert held[0][1] == "PreSubmitted"
    assert trades[2].orderStatus.filled == 0
    assert (trades[2].order.orderId, 202) in [error[:2] for error in errors]


def test_a_child_whose_parent_is_done_is_changed_without_naming_it(sim):
    async def play():
        async with Client(sim, 5) as one:
            entry = ib_async.MarketOrder("BUY", 10, account=ACCOUNT, transmit=False)
            parent = one.ib.placeOrder(SPY, entry)
            stop = one.ib.placeOrder(SPY, ib_async.StopOrder("SELL", 10, 100, account=ACCOUNT, parentId=entry.orderId))
            await one.status(parent, "Filled")
            await one.status(stop, "PreSubmitted")
            stop.order.auxPrice = 101
            one.ib.placeOrder(SPY, stop.order)
            await one.until(lambda: 135 in one.codes)
            stop.order.parentId = 0
            one.ib.client.placeOrder(stop.order.orderId, SPY, stop.order)
            await one.until(lambda: any(order["stop"] == "101" for order in sim.state()["orders"]))
            one.ib.client.cancelOrder(stop.order.orderId)
            await one.until(lambda: 202 in one.codes)

    asyncio.run(play())


def test_untransmitted_orders_wait(sim):
    async def play():
        async with Client(sim, 6) as one:
            trade = one.limit(transmit=False, account=ACCOUNT)
            await one.settled()
            before = trade.orderStatus.status
            trade.order.transmit = True
            one.ib.placeOrder(SPY, trade.order)
            await one.status(trade, "Submitted")
            one.ib.cancelOrder(trade.order)
            await one.status(trade, "Cancelled")
            return before

    assert asyncio.run(play()) == "PendingSubmit"


def test_an_order_is_changed_and_cancelled(sim):
    async def play():
        async with Client(sim, 6) as one:
            trade = one.limit(price=100, account=ACCOUNT, tif="GTC")
            await one.status(trade, "Submitted")
            trade.order.lmtPrice = 101.5
            one.ib.placeOrder(SPY, trade.order)
            await one.until(lambda: any(entry.message == "Modified" for entry in trade.log))
            (listed,) = [order for order in sim.state()["orders"] if order["client"] == 6]
            one.ib.cancelOrder(trade.order)
            await one.status(trade, "Cancelled")
            await one.until(lambda: (trade.order.orderId, 202) in [error[:2] for error in one.errors])
            one.ib.client.cancelOrder(trade.order.orderId)
            one.ib.client.cancelOrder(99_999)
            await one.until(lambda: {10147, 10148} <= set(one.codes))
            return listed

    listed = asyncio.run(play())

    assert listed["limit"] == "101.5"


def test_a_client_sees_only_its_own_orders_unless_it_asks_for_all(sim):
    async def play():
        async with Client(sim, 7) as one, Client(sim, 8) as two:
            trade = one.limit(account=ACCOUNT)
            await one.status(trade, "Submitted")
            own = await two.ib.reqOpenOrdersAsync()
            everything = await two.ib.reqAllOpenOrdersAsync()
            two.ib.client.cancelOrder(trade.order.orderId)
            await two.until(lambda: 10147 in two.codes)
            alive = trade.orderStatus.status
            two.ib.reqGlobalCancel()
            await one.status(trade, "Cancelled")
            return own, everything, alive, two.statuses

    own, everything, alive, heard = asyncio.run(play())

    assert own == []
    assert [(trade.order.clientId, trade.orderStatus.status) for trade in everything] == [(7, "Submitted")]
    assert alive == "Submitted"
    assert "Cancelled" not in [status for _, status in heard]


def test_a_client_finds_its_orders_again_after_it_comes_back(sim):
    async def play():
        async with Client(sim, 9) as one:
            trade = one.limit(account=ACCOUNT, tif="GTC", orderRef="mine")
            await one.status(trade, "Submitted")
            number = trade.order.orderId
        async with Client(sim, 9) as again:
            (found,) = again.ib.openTrades()
            again.ib.cancelOrder(found.order)
            await again.status(found, "Cancelled")
            return number, found, again.ib.client.getReqId()

    number, found, following = asyncio.run(play())

    assert (found.order.orderId, found.order.orderRef, found.order.tif) == (number, "mine", "GTC")
    assert following > number


def test_what_is_over_is_listed_as_completed(sim):
    async def play():
        async with Client(sim, 10) as one:
            trade = one.market(account=ACCOUNT, orderRef="completed")
            await one.until(trade.isDone)
            return await one.ib.reqCompletedOrdersAsync(False)

    completed = asyncio.run(play())

    (found,) = [trade for trade in completed if trade.order.orderRef == "completed"]
    assert found.orderStatus.status == "Filled"
    assert found.order.filledQuantity == 10


def test_a_what_if_order_is_answered_with_margins_and_not_kept(sim):
    async def play():
        async with Client(sim, 10) as one:
            return await one.ib.whatIfOrderAsync(SPY, ib_async.LimitOrder("BUY", 10, 100, account=OTHER))

    state = asyncio.run(play())

    assert float(state.initMarginChange) == 1000
    assert state.commission == 1
    assert [order for order in sim.state()["orders"] if order["client"] == 10] == []


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (ib_async.LimitOrder("BUY", 10, 100.001, account=ACCOUNT), 110),
        (ib_async.MarketOrder("BUY", 10), 435),
        (ib_async.MarketOrder("BUY", 10, account="DU9"), 321),
        (ib_async.MarketOrder("SELL", 10, account=OTHER), 201),
        (ib_async.LimitOrder("BUY", 10_000, 160, account=OTHER), 201),
        (ib_async.Order(action="BUY", totalQuantity=10, orderType="MOC", account=ACCOUNT), 387),
        (ib_async.MarketOrder("BUY", 10, account=ACCOUNT, tif="OPG"), 201),
        (ib_async.MarketOrder("HOLD", 10, account=ACCOUNT), 321),
        (ib_async.StopOrder("SELL", 10, 100, account=ACCOUNT, parentId=77_777), 10006),
    ],
)
def test_what_the_broker_does_not_take_is_refused_in_its_own_codes(sim, order, code):
    async def play():
        async with Client(sim, 11) as one:
            number = one.ib.client.getReqId()
            one.ib.client.placeOrder(number, SPY, order)
            return await one.until(lambda: [error for error in one.errors if error[0] == number])

    errors = asyncio.run(play())

    assert errors[0][1] == code


def test_a_number_is_used_once(sim):
    async def play():
        async with Client(sim, 11) as one:
            first = one.market(account=ACCOUNT, orderRef="first")
            await one.until(first.isDone)
            one.ib.client.placeOrder(
                first.order.orderId, SPY, ib_async.MarketOrder("BUY", 1, account=ACCOUNT, orderRef="second")
            )
            one.ib.client.placeOrder(first.order.orderId, SPY, first.order)
            await one.until(lambda: {103, 104} <= set(one.codes))

    asyncio.run(play())


def test_one_side_of_a_stock_holds_twenty_working_orders(sim):
    async def play():
        async with Client(sim, 12) as one:
            trades = [one.limit(price=50, quantity=1, account=OTHER) for _ in range(20)]
            await one.until(lambda: all(trade.orderStatus.status == "Submitted" for trade in trades))
            late = one.limit(price=50, quantity=1, account=OTHER)
            await one.status(late, "Cancelled")
            one.ib.reqGlobalCancel()
            await one.until(lambda: all(trade.isDone() for trade in trades))
            return [error for error in one.errors if error[0] == late.order.orderId]

    (error,) = asyncio.run(play())

    assert error[1] == 201
    assert "20 working orders" in error[2]


def test_a_trailing_stop_moves_with_the_price(sim):
    async def play():
        async with Client(sim, 13) as one:
            opened = one.market(account=ACCOUNT)
            await one.until(opened.isDone)
            order = ib_async.Order(
                action="SELL", totalQuantity=10, orderType="TRAIL", trailingPercent=3, trailStopPrice=100,
                account=ACCOUNT,
            )  # fmt: skip
            trade = one.ib.placeOrder(SPY, order)
            await one.status(trade, "PreSubmitted")
            await one.until(
                lambda: any(float(o["stop_now"] or 0) > 150 for o in sim.state()["orders"] if o["client"] == 13)
            )
            # a stop that moves meanwhile is told among the answers
            seen, *_ = await one.ib.reqOpenOrdersAsync()
            held = seen.orderStatus.whyHeld
            one.ib.cancelOrder(trade.order)
            await one.status(trade, "Cancelled")
            limited = ib_async.Order(
                action="SELL", totalQuantity=10, orderType="TRAIL LIMIT", auxPrice=5, lmtPriceOffset=0.1,
                trailStopPrice=160, account=ACCOUNT,
            )  # fmt: skip
            second = one.ib.placeOrder(SPY, limited)
            await one.status(second, "PreSubmitted")
            one.ib.cancelOrder(second.order)
            await one.status(second, "Cancelled")
            return held

    assert asyncio.run(play()) == "trigger"
