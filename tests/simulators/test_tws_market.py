"""Prices of the TWS simulator: quotes, streams of bars and ticks, history and its limits."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import ib_async
import pytest
import tws_sim
from tws_client import SPY, Client

from simulators.tws.pacing import Pacing
from simulators.tws.periods import bar_seconds, check_length, moment_of, start_of
from simulators.tws.refusal import Refused

NOON = datetime(2014, 5, 6, 16, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def sim():
    running = tws_sim.start(speed=60)
    yield running
    running.stop()


# -- quotes
def test_a_quote_is_streamed_and_ends_with_its_cancel(sim):
    async def play():
        async with Client(sim, 1) as one:
            ticker = one.ib.reqMktData(SPY, "233")
            await one.until(lambda: ticker.bid > 0 and ticker.rtVolume > 0 and ticker.close > 0)
            first = ticker.volume
            await one.until(lambda: ticker.volume > first)
            one.ib.cancelMktData(SPY)
            one.ib.client.cancelMktData(12345)
            await one.until(lambda: 300 in one.codes)
            return ticker

    ticker = asyncio.run(play())

    assert ticker.marketDataType == 1
    assert ticker.minTick == 0.01
    assert ticker.low <= ticker.last <= ticker.high
    assert ticker.bidSize > 0
    assert ticker.lastTimestamp.year == 2014


def test_a_snapshot_ends_by_itself(sim):
    async def play():
        async with Client(sim, 1) as one:
            (ticker,) = await one.ib.reqTickersAsync(SPY)
            return ticker

    assert asyncio.run(play()).ask > 0


def test_a_request_number_serves_one_subscription(sim):
    async def play():
        async with Client(sim, 1) as one:
            ticker = one.ib.reqMktData(SPY)
            number = one.ib.wrapper.ticker2ReqId["mktData"][ticker]
            one.ib.client.reqMktData(number, SPY, "", False, False, [])
            one.ib.client.reqMarketDataType(9)
            await one.until(lambda: {322, 321} <= set(one.codes))

    asyncio.run(play())


def test_five_second_bars_are_streamed(sim):
    async def play():
        async with Client(sim, 2) as one:
            bars = one.ib.reqRealTimeBars(SPY, 5, "TRADES", True)
            await one.until(lambda: len(bars) >= 3)
            one.ib.cancelRealTimeBars(bars)
            return list(bars)

    bars = asyncio.run(play())

    assert all(bar.time.timestamp() % 5 == 0 for bar in bars)
    assert all(later.time > earlier.time for earlier, later in pairwise(bars))
    assert all(bar.low <= bar.close <= bar.high for bar in bars)


@pytest.mark.parametrize("kind", ["AllLast", "Last", "BidAsk", "MidPoint"])
def test_single_ticks_are_streamed(sim, kind):
    async def play():
        async with Client(sim, 2) as one:
            ticker = one.ib.reqTickByTickData(SPY, kind)
            seen = []
            ticker.updateEvent += lambda ticker: seen.extend(ticker.tickByTicks)
            await one.until(lambda: len(seen) >= 2)
            one.ib.cancelTickByTickData(SPY, kind)
            return seen

    ticks = asyncio.run(play())

    assert {type(tick).__name__ for tick in ticks} == {
        {"AllLast": "TickByTickAllLast", "Last": "TickByTickAllLast", "BidAsk": "TickByTickBidAsk"}.get(
            kind, "TickByTickMidPoint"
        )
    }


def test_at_night_nobody_bids_and_the_frozen_quote_is_the_last_one():
    sim = tws_sim.start(begin="2014-05-07T02:00:00Z")

    async def play():
        async with Client(sim, 1) as one, Client(sim, 2) as two:
            live = one.ib.reqMktData(SPY)
            two.ib.reqMarketDataType(2)
            frozen = two.ib.reqMktData(SPY)
            await one.until(lambda: live.last > 0)
            await two.until(lambda: frozen.last > 0)
            trade = one.market(transmit=False)
            stop = ib_async.StopOrder("SELL", 10, 100, parentId=trade.order.orderId)
            child = one.ib.placeOrder(SPY, stop)
            await one.status(child, "PreSubmitted")
            await one.until(lambda: 399 in one.codes)
            await one.settled()
            return live, frozen, trade, one.codes, one.errors[-1]

    live, frozen, trade, codes, (number, _, text) = asyncio.run(play())
    sim.stop()

    assert (live.bid > 0, live.marketDataType) == (False, 1)
    assert (frozen.bid > 0, frozen.marketDataType) == (True, 2)
    assert trade.isActive()
    assert (number, codes.count(399)) == (trade.order.orderId, 1)
    assert text.endswith("until 2014-05-07 09:30:00 US/Eastern")


# -- history
@pytest.mark.parametrize("what", ["TRADES", "BID", "ASK", "MIDPOINT"])
def test_bars_of_every_kind_of_price_are_given(sim, what):
    async def play():
        async with Client(sim, 3) as one:
            return await one.ib.reqHistoricalDataAsync(SPY, "", "3600 S", "5 mins", what, True)

    bars = asyncio.run(play())

    assert len(bars) >= 6
    assert all(bar.low <= bar.open <= bar.high for bar in bars)
    assert (bars[0].volume > 0) == (what == "TRADES")


@pytest.mark.parametrize(
    ("size", "length", "step"),
    [
        ("1 secs", "60 S", timedelta(seconds=1)),
        ("30 secs", "600 S", timedelta(seconds=30)),
        ("1 min", "1 D", timedelta(minutes=1)),
        ("1 hour", "5 D", timedelta(hours=1)),
        ("1 day", "2 W", timedelta(days=1)),
    ],
)
def test_bars_of_all_sizes_are_given(sim, size, length, step):
    async def play():
        async with Client(sim, 3) as one:
            return await one.ib.reqHistoricalDataAsync(SPY, "20140505-20:00:00", length, size, "TRADES", True)

    bars = asyncio.run(play())

    steps = {later.date - earlier.date for earlier, later in pairwise(bars)}
    assert min(steps) == step or (size == "1 hour" and min(steps) == timedelta(minutes=30))


def test_days_are_dates_and_bars_can_be_dated_in_seconds(sim):
    async def play():
        async with Client(sim, 3) as one:
            days = await one.ib.reqHistoricalDataAsync(SPY, "", "5 D", "1 day", "TRADES", True)
            seconds = await one.ib.reqHistoricalDataAsync(SPY, "", "1 D", "1 min", "TRADES", True, formatDate=2)
            text = await one.ib.reqHistoricalDataAsync(SPY, "", "1 D", "1 min", "TRADES", True, formatDate=1)
            return days, seconds, text

    days, seconds, text = asyncio.run(play())

    assert [bar.date for bar in days][-1] == date(2014, 5, 6)
    assert len(days) == 5
    assert seconds[0].date == text[0].date == datetime(2014, 5, 6, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "end", ["20140505-16:00:00", "20140505 12:00:00 US/Eastern", "20140505 16:00:00 UTC", "20140505 12:00:00"]
)
def test_the_end_is_understood_in_every_form(sim, end):
    async def play():
        async with Client(sim, 3) as one:
            bars = await one.ib.reqHistoricalDataAsync(SPY, end, "600 S", "1 min", "TRADES", True)
            return bars, one.codes

    bars, codes = asyncio.run(play())

    assert [bar.date for bar in bars][::9] == [
        datetime(2014, 5, 5, 15, 50, tzinfo=UTC),
        datetime(2014, 5, 5, 15, 59, tzinfo=UTC),
    ]
    assert (2174 in codes) == (end == "20140505 12:00:00")


def test_outside_regular_hours_is_shown_on_request(sim):
    async def play():
        async with Client(sim, 3) as one:
            regular = await one.ib.reqHistoricalDataAsync(SPY, "20140505-22:00:00", "1 D", "1 min", "TRADES", True)
            whole = await one.ib.reqHistoricalDataAsync(SPY, "20140505-22:00:00", "1 D", "1 min", "TRADES", False)
            return regular, whole

    regular, whole = asyncio.run(play())

    assert regular[0].date == datetime(2014, 5, 5, 13, 30, tzinfo=UTC)
    assert len(whole) > len(regular)


def test_bars_are_kept_up_to_date_until_they_are_cancelled(sim):
    async def play():
        async with Client(sim, 4) as one:
            bars = await one.ib.reqHistoricalDataAsync(SPY, "", "600 S", "1 min", "TRADES", True, keepUpToDate=True)
            count, new = len(bars), []
            bars.updateEvent += lambda bars, has_new: new.append(has_new)
            await one.until(lambda: True in new and False in new)
            one.ib.cancelHistoricalData(bars)
            await one.until(lambda: 162 in one.codes)
            one.ib.client.cancelHistoricalData(4321)
            await one.until(lambda: 366 in one.codes)
            return count, list(bars)

    count, bars = asyncio.run(play())

    assert len(bars) >= count + 1
    assert {later.date - earlier.date for earlier, later in pairwise(bars)} == {timedelta(minutes=1)}


def test_the_first_recorded_day_is_known(sim):
    async def play():
        async with Client(sim, 3) as one:
            return await one.ib.reqHeadTimeStampAsync(SPY, "TRADES", True, 2)

    assert asyncio.run(play()) < datetime(2014, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (("", "1 D", "7 secs", "TRADES"), 321),
        (("", "1 X", "1 min", "TRADES"), 321),
        (("", "1 D", "1 min", "OPTION_IMPLIED_VOLATILITY"), 321),
        (("yesterday", "1 D", "1 min", "TRADES"), 10314),
        (("", "1 D", "1 secs", "TRADES"), 162),
    ],
)
def test_history_is_refused_in_the_brokers_codes(sim, asked, code):
    async def play():
        async with Client(sim, 5) as one:
            end, length, size, what = asked
            # on the wire: the library takes 321 for a remark, and waits for its time-out
            one.ib.client.reqHistoricalData(77, SPY, end, length, size, what, True, 1, False, [])
            return await one.until(lambda: [error for error in one.errors if error[0] == 77])

    ((_, found, _),) = asyncio.run(play())

    assert found == code


def test_the_same_small_bars_are_not_asked_for_twice_at_once(sim):
    async def play():
        async with Client(sim, 6) as one:
            asked = (SPY, "20140505-16:00:00", "60 S", "5 secs", "ASK", True)
            first = await one.ib.reqHistoricalDataAsync(*asked)
            second = await one.ib.reqHistoricalDataAsync(*asked)
            return len(first), len(second), one.errors[-1]

    first, second, (_, code, text) = asyncio.run(play())

    assert (first, second, code) == (12, 0, 162)
    assert "pacing violation" in text


def test_pacing_knows_three_limits():
    now = [0.0]
    pacing = Pacing(lambda: now[0])
    of_one_stock = [pacing.is_too_fast("SPY", number) for number in range(6)]
    now[0] = 3
    again = [pacing.is_too_fast("SPY", 0), pacing.is_too_fast("SPY", "new")]
    many = []
    for number in range(60):
        now[0] += 3
        many.append(pacing.is_too_fast(f"stock {number}", number))
    now[0] += 600
    rested = pacing.is_too_fast("SPY", 0)

    assert of_one_stock == [False] * 5 + [True]
    assert again == [True, False]
    assert many.count(False) == 54
    assert not rested


# -- periods
@pytest.mark.parametrize(
    ("end", "length", "use_rth", "start"),
    [
        (NOON, "60 S", True, NOON - timedelta(seconds=60)),
        # 12:00 in New York is two and a half hours after the opening: the rest is of the day before
        (NOON, "10800 S", True, datetime(2014, 5, 5, 19, 30, tzinfo=UTC)),
        (NOON, "1 D", True, datetime(2014, 5, 6, 13, 30, tzinfo=UTC)),
        (NOON, "2 D", False, datetime(2014, 5, 5, 8, 0, tzinfo=UTC)),
        # before the opening, the last day is the one before
        (datetime(2014, 5, 6, 13, 0, tzinfo=UTC), "1 D", True, datetime(2014, 5, 5, 13, 30, tzinfo=UTC)),
        # Monday, over the weekend
        (datetime(2014, 5, 5, 13, 31, tzinfo=UTC), "120 S", True, datetime(2014, 5, 2, 19, 59, tzinfo=UTC)),
        (NOON, "1 W", True, datetime(2014, 4, 29, 4, 0, tzinfo=UTC)),
    ],
)
def test_lengths_are_counted_in_time_of_trading(end, length, use_rth, start):
    assert start_of(end, length, use_rth, 1) == start


def test_sizes_lengths_and_ends_are_read():
    assert bar_seconds("1 min", 1) == 60
    assert bar_seconds("1 day", 1) == 86_400
    assert moment_of("", NOON, 1) == (NOON, True)
    for seconds, length in ((1, "2000 S"), (60, "1 M"), (3600, "1 Y"), (86_400, "20 Y")):
        check_length(seconds, length, 1)
    for seconds, length in (
        (1, "2001 S"),
        (60, "1 Y"),
        (3600, "2 Y"),
        (86_400, "21 Y"),
        (60, "86401 S"),
        (60, "366 D"),
    ):
        with pytest.raises(Refused):
            check_length(seconds, length, 1)
    with pytest.raises(Refused):
        moment_of("00010101-00:00:00", NOON, 1)
    with pytest.raises(Refused):
        moment_of("20140506-16:00:00 UTC", NOON, 1)
