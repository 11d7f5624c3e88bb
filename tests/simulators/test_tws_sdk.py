"""The vendor's library, unmodified, against the TWS simulator: sessions, contracts, accounts and prices."""

import asyncio
from datetime import UTC, datetime, timedelta

import ib_async
import pytest
import tws_sim
from tws_client import AAPL, SPY, Client
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


def test_a_client_is_synchronised_when_it_is_connected(sim):
    async def play():
        async with Client(sim, 1, raiseSyncErrors=True) as one:
            await one.until(lambda: {2104, 2106, 2158} <= set(one.codes))
            return one.ib.managedAccounts(), {value.account for value in one.ib.accountValues()}

    accounts, seen = asyncio.run(play())

    assert accounts == [ACCOUNT, OTHER]
    assert seen == {ACCOUNT, OTHER}


def test_the_gateway_says_which_time_it_is_in_the_simulation(sim):
    async def play():
        async with Client(sim, 1) as one:
            return await one.ib.reqCurrentTimeAsync()

    told = asyncio.run(play())

    assert abs(told - datetime.fromisoformat(sim.state()["simulated_time"])) < timedelta(minutes=5)


def test_contracts_are_found_by_symbol_and_by_number_and_described(sim):
    async def play():
        async with Client(sim, 1) as one:
            by_symbol = await one.ib.qualifyContractsAsync(ib_async.Stock("IBM", "SMART", "USD"))
            details = await one.ib.reqContractDetailsAsync(ib_async.Contract(conId=265598, exchange="SMART"))
            return by_symbol, details, await one.ib.reqMarketRuleAsync(26)

    (ibm,), (aapl,), rule = asyncio.run(play())

    assert (ibm.conId, ibm.primaryExchange) == (8314, "NYSE")
    assert (aapl.contract.symbol, aapl.minTick, aapl.stockType) == ("AAPL", 0.01, "COMMON")
    assert aapl.liquidHours.startswith("20140506:0930-20140506:1600;")
    assert "20140510:CLOSED" in aapl.tradingHours
    assert rule[0].increment == 0.01


def test_a_contract_nobody_knows_is_refused_with_200(sim):
    async def play():
        async with Client(sim, 1) as one:
            for wrong in (
                ib_async.Stock("NOSUCH", "SMART", "USD"),
                ib_async.Stock("SPY", "SMART", "EUR"),
                ib_async.Stock("SPY", "LSE", "USD"),
                ib_async.Option("SPY", "20140620", 170, "C", "SMART"),
                ib_async.Contract(conId=1),
            ):
                assert await one.ib.reqContractDetailsAsync(wrong) == []
            return one.codes

    assert asyncio.run(play()).count(200) == 5


def test_names_are_searched(sim):
    async def play():
        async with Client(sim, 1) as one:
            return await one.ib.reqMatchingSymbolsAsync("app")

    found = asyncio.run(play())

    assert [one.contract.symbol for one in found] == ["AAPL"]


def test_account_values_portfolio_and_summary_follow_a_trade(sim):
    async def play():
        async with Client(sim, 14, account=OTHER) as one:
            before = {value.tag: value.value for value in one.ib.accountValues(OTHER)}
            trade = one.market(quantity=3, account=OTHER)
            await one.until(trade.isDone)
            await one.until(lambda: one.ib.portfolio(OTHER))
            after = await one.until(
                lambda: {
                    value.tag: value.value
                    for value in one.ib.accountValues(OTHER)
                    if value.tag == "TotalCashValue" and value.value != before["TotalCashValue"]
                }
            )
            summary = await one.ib.accountSummaryAsync(OTHER)
            profit, single = one.ib.reqPnL(OTHER), one.ib.reqPnLSingle(OTHER, "", SPY.conId)
            await one.until(lambda: single.position == 3)
            await one.until(lambda: profit.dailyPnL == profit.dailyPnL)
            one.ib.cancelPnL(OTHER)
            one.ib.cancelPnLSingle(OTHER, "", SPY.conId)
            sold = one.market("SELL", 3, account=OTHER)
            await one.until(sold.isDone)
            await one.until(lambda: not [p for p in one.ib.positions() if p.account == OTHER])
            return before, after, {value.tag for value in summary}, one.ib.portfolio(OTHER)

    before, after, tags, _ = asyncio.run(play())

    assert float(after["TotalCashValue"]) < float(before["TotalCashValue"])
    assert {"NetLiquidation", "AvailableFunds", "BuyingPower"} <= tags


def test_a_trade_made_by_hand_changes_the_position_and_is_nobodys_order(sim):
    async def play():
        async with Client(sim, 15) as one:
            await asyncio.to_thread(sim.trade, "AAPL", 5)
            (found,) = await one.until(lambda: [p for p in one.ib.positions() if p.contract.symbol == "AAPL"])
            fills = await one.ib.reqExecutionsAsync(ib_async.ExecutionFilter(symbol="AAPL"))
            await asyncio.to_thread(sim.trade, "AAPL", -5)
            await one.until(lambda: not [p for p in one.ib.positions() if p.contract.symbol == "AAPL"])
            return found.position, fills

    position, (fill, *_) = asyncio.run(play())

    assert position == 5
    assert (fill.execution.clientId, fill.execution.orderId, fill.execution.orderRef) == (0, 0, "")


def test_only_the_default_client_binds_orders_made_by_hand(sim):
    async def play():
        async with Client(sim, 0) as zero, Client(sim, 16) as other:
            other.ib.reqAutoOpenOrders(True)
            await other.until(lambda: 321 in other.codes)
            return zero.codes

    assert 321 not in asyncio.run(play())


def test_many_clients_work_side_by_side(sim):
    async def play(number):
        async with Client(sim, number) as one:
            trade = one.market(quantity=1, account=ACCOUNT, orderRef=f"client-{number}")
            await one.until(trade.isDone)
            return trade.order.orderRef, [fill.execution.orderRef for fill in one.fills]

    async def all_of_them():
        return await asyncio.gather(*(play(number) for number in range(40, 60)))

    heard = asyncio.run(all_of_them())

    assert heard == [(own, [own]) for own, _ in heard]


def test_a_client_number_is_taken_while_its_owner_is_here(sim):
    async def play():
        async with Client(sim, 17):
            late = Client(sim, 17, timeout=1)
            with pytest.raises(TimeoutError):
                await late.__aenter__()
            return late.errors

    ((request, code, _),) = asyncio.run(play())

    assert (request, code) == (-1, 326)


def test_the_library_sees_the_year_of_the_simulation(sim):
    async def play():
        async with Client(sim, 18) as one:
            trade = one.market(quantity=1, account=ACCOUNT)
            await one.until(trade.isDone)
            return one.fills[0].execution.time

    assert asyncio.run(play()).astimezone(UTC).year == 2014


def test_a_stock_without_recorded_prices_is_listed_and_silent(sim):
    async def play():
        async with Client(sim, 19) as one:
            (amazon,) = await one.ib.qualifyContractsAsync(ib_async.Stock("AMZN", "SMART", "USD"))
            ticker = one.ib.reqMktData(amazon)
            bars = await one.ib.reqHistoricalDataAsync(amazon, "", "1 D", "1 min", "TRADES", True)
            return amazon.conId, ticker.bid, bars, one.codes

    number, bid, bars, codes = asyncio.run(play())

    assert number == 3691937
    assert bid != bid
    assert len(bars) == 0
    assert 162 in codes


def test_prices_of_another_stock_are_its_own(sim):
    async def play():
        async with Client(sim, 20) as one:
            return await one.ib.reqTickersAsync(SPY, AAPL)

    spy, aapl = asyncio.run(play())

    assert 150 < spy.bid < spy.ask < 180
    assert aapl.bid != spy.bid
