"""Faults of prices, history and of a company, played against the vendor's library."""

import asyncio

import ib_async
import pytest
import tws_sim
from tws_client import AAPL, SPY, Client, Wire
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


# -- market data
def test_a_competing_session_freezes_prices(sim):
    async def play():
        async with Client(sim, 16) as one:
            ticker = await one.ticking()
            name = sim.fault("competing_session")
            await one.until(lambda: 10197 in one.codes)
            frozen = await one.stands_still(ticker, name)
            sim.clear()
            await one.moves(ticker)
            return frozen

    assert asyncio.run(play())


def test_prices_stand_still_while_the_connection_is_alive(sim):
    async def play():
        async with Client(sim, 16) as one:
            ticker = await one.ticking()
            name = sim.fault("stale_ticker", match={"symbol": "SPY"})
            await one.settled()
            return await one.stands_still(ticker, name), (await one.ib.reqCurrentTimeAsync()) is not None

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
