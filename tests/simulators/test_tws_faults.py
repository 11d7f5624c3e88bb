"""Every fault of the TWS simulator, played against the vendor's library."""

import asyncio
import time

import ib_async
import pytest
import tws_sim
from tws_client import AAPL, SPY, Client
from tws_sim import ACCOUNT

from simulators.tws.faults import FaultBook, FaultError


@pytest.fixture(scope="module")
def _running():
    running = tws_sim.start(speed=60, accounts=f"{ACCOUNT}:5000000:margin")
    yield running
    running.stop()


@pytest.fixture
def sim(_running):
    """A gateway without faults, and without working orders of a test before."""
    yield _running
    _running.clear()


def last_frame(ticker):
    return (ticker.bid, ticker.ask, ticker.last, ticker.volume)


async def ticking(one, contract=SPY):
    """Return a ticker that has prices."""
    ticker = one.ib.reqMktData(contract)
    await one.until(lambda: ticker.bid > 0 and ticker.last > 0)
    return ticker


async def moves(one, ticker):
    """Wait until a ticker changes."""
    before = last_frame(ticker)
    await one.until(lambda: last_frame(ticker) != before)


async def stands_still(one, ticker, sim, name):
    """Tell whether a ticker stays as it is while its fault has something to withhold."""
    before, fired = last_frame(ticker), sim.fired(name)
    await one.until(lambda: sim.fired(name) > fired)
    await one.settled()
    return last_frame(ticker) == before


# -- the gateway and its connection
def test_connectivity_is_lost_and_what_waits_is_done_when_it_is_back(sim):
    async def play():
        async with Client(sim, 1) as one:
            ticker = await ticking(one)
            name = sim.fault("connectivity_lost", repeat=3)
            await one.until(lambda: one.codes.count(1100) == 3)
            await one.settled()
            before = last_frame(ticker)
            trade = one.limit(price=100)
            await one.settled()
            cut_off = (trade.orderStatus.status, last_frame(ticker) == before, sim.state()["cut_off"])
            fired = sim.fired(name)
            sim.clear()
            await one.until(lambda: 1102 in one.codes)
            await one.status(trade, "Submitted")
            await moves(one, ticker)
            one.ib.cancelOrder(trade.order)
            await one.until(trade.isDone)
            return cut_off, fired

    cut_off, fired = asyncio.run(play())

    assert cut_off == ("PendingSubmit", True, True)
    assert fired == 1


def test_restored_connectivity_without_its_data_leaves_dead_subscriptions(sim):
    async def play():
        async with Client(sim, 1) as one, Client(sim, 2) as two:
            ticker = await ticking(one)
            sim.fault("connectivity_lost")
            back = sim.fault("restored_data_lost")
            await one.until(lambda: 1101 in one.codes)
            await one.settled()
            before = last_frame(ticker)
            lost = sim.state()["lost_subscriptions"]
            await moves(two, await ticking(two))
            dead = before == last_frame(ticker)
            await moves(one, await ticking(one))
            return dead, lost, sim.fired(back)

    dead, lost, fired = asyncio.run(play())

    assert dead
    assert lost >= 1
    assert fired == 1


def test_restored_connectivity_with_its_data_goes_on(sim):
    async def play():
        async with Client(sim, 1) as one:
            ticker = await ticking(one)
            sim.fault("connectivity_lost")
            back = sim.fault("restored_data_kept")
            await one.until(lambda: 1102 in one.codes)
            await moves(one, ticker)
            return sim.fired(back)

    assert asyncio.run(play()) == 1


@pytest.mark.parametrize(("farm", "broken", "good"), [("market", 2103, 2104), ("history", 2105, 2106)])
def test_a_farm_breaks_and_comes_back(sim, farm, broken, good):
    async def play():
        async with Client(sim, 1) as one:
            ticker = await ticking(one)
            one.errors.clear()
            name = sim.fault("farm_broken", farm=farm)
            await one.until(lambda: broken in one.codes)
            if farm == "market":
                assert await stands_still(one, ticker, sim, name)
            else:
                assert not await one.ib.reqHistoricalDataAsync(SPY, "", "300 S", "1 min", "TRADES", True)
            fired = sim.fired(name)
            sim.clear()
            await one.until(lambda: good in one.codes)
            await moves(one, ticker)
            return fired

    assert asyncio.run(play()) >= 1


def test_without_the_farm_of_contracts_nothing_is_known_of_them(sim):
    async def play():
        async with Client(sim, 1) as one:
            name = sim.fault("farm_broken", farm="contracts")
            await one.until(lambda: 2157 in one.codes)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(one.ib.reqContractDetailsAsync(SPY), 0.3)
            return sim.fired(name)

    assert asyncio.run(play()) >= 1


def test_the_nightly_reset_puts_everybody_out_and_refuses_for_a_time(sim):
    async def play():
        async with Client(sim, 1) as one:
            gone = []
            one.ib.disconnectedEvent += lambda: gone.append(time.monotonic())
            name = sim.fault("nightly_reset", seconds=0.5, storm=5)
            await one.until(lambda: gone)
            with pytest.raises(ConnectionRefusedError):
                await Client(sim, 1).__aenter__()
            while True:
                try:
                    async with Client(sim, 1):
                        break
                except OSError:
                    await asyncio.sleep(0.05)
            return one.codes.count(1100), time.monotonic() - gone[0], sim.fired(name)

    storm, away, fired = asyncio.run(play())

    assert storm == 5
    assert 0.3 < away < 4
    assert fired == 1


@pytest.mark.parametrize("action", ["half_up", "dead_socket"])
def test_a_gateway_that_is_not_really_there_lets_clients_wait(sim, action):
    async def play():
        name = sim.fault(action)
        late = Client(sim, 2, timeout=0.3)
        with pytest.raises(TimeoutError):
            await late.__aenter__()
        return sim.fired(name), late.ib.client.serverVersion()

    fired, version = asyncio.run(play())

    assert fired == 1
    assert version == 0


def test_an_open_socket_dies_without_a_word(sim):
    async def play():
        async with Client(sim, 2) as one:
            name = sim.fault("dead_socket", match={"client": 2})
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(one.ib.reqCurrentTimeAsync(), 0.3)
            return sim.fired(name), one.ib.isConnected()

    assert asyncio.run(play()) == (1, True)


@pytest.mark.parametrize(("when", "placed"), [("before", 0), ("after", 1), ("middle", 1)])
def test_the_socket_breaks_at_a_message(sim, when, placed):
    async def play():
        async with Client(sim, 3) as one:
            gone = []
            one.ib.disconnectedEvent += lambda: gone.append(True)
            name = sim.fault("drop_socket", when=when, match={"message": "placeOrder"}, times=1)
            one.limit(price=90, orderRef=f"dropped-{when}")
            await one.until(lambda: gone)
            return sim.fired(name)

    fired = asyncio.run(play())
    orders = [order for order in sim.state()["orders"] if order["ref"] == f"dropped-{when}"]

    assert fired == 1
    assert len(orders) == placed


def test_a_client_number_is_held_to_be_in_use(sim):
    async def play():
        name = sim.fault("client_id_in_use", match={"client": 4}, times=1)
        late = Client(sim, 4, timeout=0.5)
        with pytest.raises(TimeoutError):
            await late.__aenter__()
        async with Client(sim, 4):
            return sim.fired(name), late.codes

    assert asyncio.run(play()) == (1, [326])


def test_order_numbers_go_back_after_a_restart(sim):
    async def play():
        async with Client(sim, 5) as one:
            used = [one.limit(price=90, quantity=1) for _ in range(3)]
            await one.until(lambda: all(trade.orderStatus.status == "Submitted" for trade in used))
            one.ib.reqGlobalCancel()
            await one.until(lambda: all(trade.isDone() for trade in used))
        name = sim.fault("id_rollback", by=3, times=1)
        async with Client(sim, 5, fetchFields=ib_async.StartupFetchNONE) as again:
            trade = again.limit(price=90, quantity=1, orderRef="same number")
            await again.status(trade, "Submitted")
            again.ib.cancelOrder(trade.order)
            await again.until(trade.isDone)
            return sim.fired(name), [trade.order.orderId for trade in used], trade.order.orderId

    fired, used, number = asyncio.run(play())

    assert fired == 1
    assert number in used


def test_answers_come_slowly(sim):
    async def play():
        async with Client(sim, 6) as one:
            name = sim.fault("slow_answers", seconds=0.4, match={"message": "reqCurrentTime"})
            began = time.monotonic()
            await one.ib.reqCurrentTimeAsync()
            return time.monotonic() - began, sim.fired(name)

    took, fired = asyncio.run(play())

    assert took >= 0.4
    assert fired == 1


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
            name = sim.fault("late_fill_after_cancel", seconds=0.2, times=1)
            one.ib.cancelOrder(trade.order)
            await one.status(trade, "Cancelled")
            before = len(one.fills)
            await one.until(lambda: one.fills)
            return before, one.fills[0].execution, trade.orderStatus.status, sim.fired(name)

    before, execution, status, fired = asyncio.run(play())

    assert (before, execution.shares, execution.price) == (0, 3, 90)
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


class Wire:
    """The messages of one number a client is sent, as they come."""

    def __init__(self, one, *numbers):
        self.rows = []
        interpret = one.ib.client.decoder.interpret

        def listen(fields):
            if fields and fields[0] in map(str, numbers):
                self.rows.append(tuple(fields))
            interpret(fields)

        one.ib.client.decoder.interpret = listen


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


# -- market data
def test_a_competing_session_freezes_prices(sim):
    async def play():
        async with Client(sim, 16) as one:
            ticker = await ticking(one)
            name = sim.fault("competing_session")
            await one.until(lambda: 10197 in one.codes)
            frozen = await stands_still(one, ticker, sim, name)
            sim.clear()
            await moves(one, ticker)
            return frozen

    assert asyncio.run(play())


def test_prices_stand_still_while_the_connection_is_alive(sim):
    async def play():
        async with Client(sim, 16) as one:
            ticker = await ticking(one)
            name = sim.fault("stale_ticker", match={"symbol": "SPY"})
            await one.settled()
            return await stands_still(one, ticker, sim, name), (await one.ib.reqCurrentTimeAsync()) is not None

    assert asyncio.run(play()) == (True, True)


def test_prices_are_late_ones(sim):
    async def play():
        async with Client(sim, 16) as one:
            wire = Wire(one, 1)
            name = sim.fault("delayed_data")
            ticker = one.ib.reqMktData(SPY)
            await one.until(lambda: ticker.bid > 0)
            return ticker.marketDataType, {int(row[3]) for row in wire.rows}, one.codes, sim.fired(name)

    kind, ids, codes, fired = asyncio.run(play())

    assert kind == 3
    assert {66, 67, 68} <= ids
    assert not ids & {1, 2, 4}
    assert 10167 in codes
    assert fired >= 1


@pytest.mark.parametrize("price", [-1, 0])
def test_nobody_bids_or_offers(sim, price):
    async def play():
        async with Client(sim, 16) as one:
            wire = Wire(one, 1)
            name = sim.fault("no_quote", price=price)
            one.ib.reqMktData(SPY)
            await one.until(lambda: {row[3] for row in wire.rows} >= {"1", "2"})
            return {row[4:6] for row in wire.rows if row[3] in ("1", "2")}, sim.fired(name)

    told, fired = asyncio.run(play())

    assert told == {(str(price), "0")}
    assert fired >= 1


@pytest.mark.parametrize("code", [354, 10089])
def test_data_nobody_has_paid_for_is_refused_or_shown_late(sim, code):
    async def play():
        async with Client(sim, 16) as one:
            name = sim.fault("not_subscribed", code=code, match={"symbol": "AAPL"})
            refused = one.ib.reqMktData(AAPL)
            await one.until(lambda: code in one.codes)
            one.ib.reqMarketDataType(3)
            bid = refused.bid
            late = one.ib.reqMktData(AAPL)
            await one.until(lambda: late.bid > 0)
            return bid, late.marketDataType, sim.fired(name)

    bid, kind, fired = asyncio.run(play())

    assert bid != bid
    assert (kind, fired) == (3, 2)


def test_bars_are_no_longer_kept_up_to_date(sim):
    async def play():
        async with Client(sim, 17) as one:
            bars = await one.ib.reqHistoricalDataAsync(SPY, "", "600 S", "1 min", "TRADES", True, keepUpToDate=True)
            changed = []
            bars.updateEvent += lambda bars, new: changed.append(new)
            await one.until(lambda: changed)
            name = sim.fault("keep_up_to_date_stops")
            await one.settled()
            before = len(changed)
            await one.until(lambda: sim.fired(name) > 1)
            await one.settled()
            return len(changed) == before

    assert asyncio.run(play())


def test_the_history_service_says_it_was_asked_too_much(sim):
    async def play():
        async with Client(sim, 17) as one:
            name = sim.fault("pacing_violation", times=1)
            refused = await one.ib.reqHistoricalDataAsync(SPY, "", "600 S", "1 min", "TRADES", True)
            given = await one.ib.reqHistoricalDataAsync(SPY, "", "600 S", "1 min", "TRADES", True)
            return len(refused), len(given), one.errors[-1], sim.fired(name)

    refused, given, (_, code, text), fired = asyncio.run(play())

    assert (refused, given, code, fired) == (0, 10, 162, 1)
    assert "pacing violation" in text


def test_a_stock_is_split(sim):
    async def play():
        async with Client(sim, 18) as one:
            trade = one.ib.placeOrder(AAPL, ib_async.MarketOrder("BUY", 3))
            await one.until(trade.isDone)
            await one.until(lambda: [p for p in one.ib.positions() if p.contract.symbol == "AAPL"])
            (before,) = [p for p in one.ib.positions() if p.contract.symbol == "AAPL"]
            name = sim.fault("split", symbol="AAPL", new=2, old=1)
            after = await one.until(
                lambda: [p for p in one.ib.positions() if p.contract.symbol == "AAPL" and p.position != before.position]
            )
            return before, after[0], sim.fired(name)

    before, after, fired = asyncio.run(play())

    assert after.position == 2 * before.position
    assert after.avgCost == pytest.approx(before.avgCost / 2)
    assert fired == 1


# -- the script
@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"action": "rejected"}, "name"),
        ({"name": "x", "action": "nonsense"}, "action"),
        ({"name": "x", "action": "rejected", "reason": 1}, "reason"),
        ({"name": "x", "action": "rejected", "seconds": 1}, "seconds"),
        ({"name": "x", "action": "slow_answers"}, "seconds"),
        ({"name": "x", "action": "rejected", "match": {"message": "reqIds"}}, "match"),
        ({"name": "x", "action": "rejected", "match": {"client": "one"}}, "match"),
        ({"name": "x", "action": "stale_ticker", "times": 1}, "times"),
        ({"name": "x", "action": "rejected", "times": 0}, "times"),
        ({"name": "x", "action": "rejected", "between": ["2014-05-06", "2014-05-07"]}, "between"),
        (7, "faults[0]"),
    ],
)
def test_a_wrong_script_is_refused_with_the_name_of_the_field(fault, field):
    with pytest.raises(FaultError) as caught:
        FaultBook().add(fault)

    assert field in str(caught.value)


def test_every_name_is_used_once():
    book = FaultBook()
    book.add({"name": "x", "action": "rejected"})

    with pytest.raises(FaultError, match="is taken"):
        book.add({"name": "x", "action": "inactive"})

    assert len(book.faults) == 1


def test_the_control_page_lists_adds_and_removes(sim):
    name = sim.fault("rejected", after=1, times=2, match={"client": 99})
    wrong = sim.pages.post("/_sim/faults", json={"name": "y", "action": "nothing"})
    listed = sim.pages.get("/_sim/faults").json()["faults"]
    removed = sim.pages.delete("/_sim/faults", params={"name": name}).json()

    assert wrong.status_code == 422
    assert [fault["name"] for fault in listed] == [name]
    assert removed == {"removed": 1}
