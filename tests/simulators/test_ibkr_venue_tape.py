"""The recorded tape behind the IBKR simulators: real prices, real hours, laid on any week."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import ibkr_venue_lab
import pytest
from ibkr_venue_lab import AAPL, ACCOUNT, IBM, SPY, ms

from simulators.ibkr.contracts import BY_SYMBOL
from simulators.ibkr.day_tape import recorded_day
from simulators.ibkr.recording import WEEKS, minute_bars
from simulators.ibkr.sessions import session_of
from simulators.ibkr.tape import Tape
from simulators.ibkr.venue import Venue
from simulators.oanda.clock import parse_clock

D = Decimal
# 8:00 in New York
MORNING = "T12:00:00+00:00"


@pytest.fixture(scope="module")
def tape():
    return Tape(date(2014, 5, 6))


def shown(at, conid, **options):
    return ibkr_venue_lab.recorded(at, **options).venue.quote(conid)


# -- what was recorded
def test_ibm_is_quoted_before_the_open_as_it_was_on_7_october_2013():
    quote = shown("2013-10-07" + MORNING, IBM, week=date(2013, 10, 7))

    assert (quote.bid, quote.ask) == (D("181.76"), D("181.88"))
    assert quote.at == quote.source_at == datetime(2013, 10, 7, 12, tzinfo=UTC)


def test_the_recorded_week_is_laid_on_another_and_names_its_source():
    quote = shown("2014-05-05" + MORNING, IBM)

    assert (quote.bid, quote.ask) == (D("181.76"), D("181.88"))
    assert quote.at == datetime(2014, 5, 5, 12, tzinfo=UTC)
    assert quote.source_at == datetime(2013, 10, 7, 12, tzinfo=UTC)


def test_weeks_repeat_and_new_york_keeps_its_hours_in_winter():
    summer, winter = shown("2014-05-05T14:00:00+00:00", SPY), shown("2014-01-13T15:00:00+00:00", SPY)

    assert (summer.bid, summer.last, summer.source_at) == (winter.bid, winter.last, winter.source_at)


@pytest.mark.parametrize("symbol", WEEKS)
def test_the_path_through_a_minute_gives_its_recorded_bar_back(symbol):
    day = WEEKS[symbol][0]
    trades, _ = minute_bars(symbol, day)
    tape = recorded_day(symbol, day)
    found = {}
    for at, price, size in tape.prints(0, 86_400_000):
        found.setdefault(at // 60_000 * 60, []).append((price, size))
    # where seconds or ticks are recorded too, the sets differ by a late print now and then
    wrong = [
        bar.start
        for bar in trades
        if bar.start not in found
        or (max(p for p, _ in found[bar.start]), min(p for p, _ in found[bar.start])) != (bar.high, bar.low)
    ]

    assert set(found) == {bar.start for bar in trades}
    assert len(wrong) <= (0 if symbol in {"AAPL", "TWX"} else 4)


def test_volume_of_a_day_is_the_recorded_one(tape):
    trades, _ = minute_bars("AAPL", date(2014, 6, 6))
    end = ms("2014-05-06T23:59:59+00:00")

    assert tape.summary("AAPL", end).volume == sum(bar.volume for bar in trades)


def test_a_quote_is_never_crossed(tape):
    start, end = ms("2014-05-05T08:00:00+00:00"), ms("2014-05-06T08:00:00+00:00")
    crossed = [t for name in tape.symbols for t in tape.between(name, start, end) if t.bid and t.bid >= t.ask]

    assert crossed == []


def test_seconds_are_recorded_where_they_are_said_to_be(tape):
    start, end = ms("2014-05-06T14:00:00+00:00"), ms("2014-05-06T14:01:00+00:00")
    seconds = {tick.time // 1000 for tick in tape.between("SPY", start, end) if tick.is_trade}

    assert len(seconds) > 40


def test_the_opening_of_ibm_is_played_from_recorded_ticks():
    tape = Tape(date(2014, 5, 5))
    start, end = ms("2014-05-05T13:30:00+00:00"), ms("2014-05-05T13:31:00+00:00")
    prints = [tick for tick in tape.between("IBM", start - 1, end) if tick.is_trade]

    assert (prints[0].time - start, prints[0].last, prints[0].last_size) == (72, 1_819_000, 200)


def test_ticks_of_a_span_are_the_same_in_one_piece_and_in_many(tape):
    start, end = ms("2014-05-06T13:00:00+00:00"), ms("2014-05-06T14:00:00+00:00")
    pieces = [t for at in range(start, end, 7_000) for t in tape.between("SPY", at, min(at + 7_000, end))]

    assert pieces == list(tape.between("SPY", start, end))


def test_the_size_of_the_last_trade_stands_until_the_next_one():
    lab = ibkr_venue_lab.recorded("2013-10-07T12:06:59+00:00", week=date(2013, 10, 7))

    assert lab.venue.quote(IBM).last_size > 0


def test_an_unrecorded_stock_is_listed_without_a_price():
    lab = ibkr_venue_lab.recorded("2014-05-06T14:00:00+00:00")

    assert lab.venue.find("amzn").symbol == "AMZN"
    assert lab.venue.quote(lab.venue.find("AMZN").conid) is None


# -- hours
# as the exchange published them: closed, and closed at 13:00
CLOSED = {
    2013: "01-01 01-21 02-18 03-29 05-27 07-04 09-02 11-28 12-25",
    2014: "01-01 01-20 02-17 04-18 05-26 07-04 09-01 11-27 12-25",
    2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
    2027: "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24",
}
SHORT = {2013: "07-03 11-29 12-24", 2014: "07-03 11-28 12-24", 2026: "11-27 12-24", 2027: "11-26"}


@pytest.mark.parametrize("year", CLOSED)
def test_holidays_and_half_days_are_those_of_the_exchange(year):
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
    weekdays = [day for day in days if day.weekday() < 5]
    closed = [f"{day:%m-%d}" for day in weekdays if session_of(day) is None]
    short = [f"{day:%m-%d}" for day in weekdays if (found := session_of(day)) and found.is_half]

    assert (" ".join(closed), " ".join(short)) == (CLOSED[year], SHORT[year])
    assert not any(session_of(day) for day in days if day.weekday() > 4)


def test_the_half_day_ends_at_one_o_clock():
    lab = ibkr_venue_lab.recorded("2013-11-29T17:59:59+00:00", week=date(2013, 10, 7))
    last = lab.venue.quote(SPY)
    evening = lab.at("2013-11-29T20:00:00+00:00").venue.quote(SPY)
    bars = lab.venue.bars(SPY, lab.now - timedelta(hours=12), lab.now, 3600)

    assert last.last == evening.last == D("180.93")
    assert last.source_at.date() == date(2013, 11, 29)
    assert [(bar.at.hour, bar.at.minute, bar.close) for bar in bars] == [
        (14, 30, D("181.56")),
        (15, 0, D("181.63")),
        (16, 0, D("181.60")),
        (17, 0, D("180.93")),
    ]
    assert not lab.venue.bars(IBM, lab.now - timedelta(hours=1), lab.now, 60)


def test_nothing_moves_on_a_holiday():
    lab = ibkr_venue_lab.recorded("2014-05-26T14:00:00+00:00")
    before = lab.venue.quote(IBM)
    after = lab.at("2014-05-26T19:00:00+00:00").venue.quote(IBM)

    assert before == after
    assert before.at == datetime(2014, 5, 24, 0, tzinfo=UTC)


# -- bars
def test_minute_bars_are_the_recorded_ones():
    lab = ibkr_venue_lab.recorded("2013-10-07T13:00:00+00:00", week=date(2013, 10, 7))
    end = lab.now.replace(hour=12, minute=12)
    bars = lab.venue.bars(IBM, lab.now.replace(hour=12), end, 60, use_rth=False)

    assert [(bar.at.minute, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars] == [
        (0, D("181.82"), D("181.89"), D("181.50"), D("181.50"), 1770),
        (7, D("181.99"), D("181.99"), D("181.95"), D("181.99"), 450),
        (11, D("181.79"), D("181.79"), D("181.77"), D("181.77"), 200),
    ]
    assert lab.venue.bars(IBM, lab.now.replace(hour=12), end, 60) == []


@pytest.mark.parametrize("seconds", [1, 5, 60, 300, 3600])
@pytest.mark.parametrize("what", ["TRADES", "BID", "ASK", "MIDPOINT"])
def test_bars_follow_each_other_on_their_raster(seconds, what):
    lab = ibkr_venue_lab.recorded("2014-05-06T14:07:33+00:00")
    bars = lab.venue.bars(SPY, lab.now - timedelta(minutes=20), lab.now, seconds, what)
    times = [bar.at for bar in bars]

    assert times == sorted(set(times))
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    assert all(at.timestamp() % seconds == 0 or seconds == 3600 for at in times)
    assert times[-1] <= lab.now


def test_the_unfinished_bar_grows():
    lab = ibkr_venue_lab.recorded("2014-05-06T14:00:20+00:00")
    start = lab.now.replace(second=0)
    early = lab.venue.bars(SPY, start, start + timedelta(minutes=1), 60)[-1]
    lab.after(20)
    later = lab.venue.bars(SPY, start, start + timedelta(minutes=1), 60)[-1]

    assert early.at == later.at == start
    assert (early.open, early.volume) == (later.open, later.volume) or early.volume < later.volume


def test_daily_bars_are_history_before_the_week_of_the_clock_and_the_tape_from_then_on():
    lab = ibkr_venue_lab.recorded("2014-05-06T20:30:00+00:00")
    bars = lab.venue.bars(SPY, lab.now - timedelta(days=5), lab.now, 86_400)
    year = lab.venue.bars(SPY, lab.now - timedelta(days=365), lab.now, 86_400)

    assert [(bar.at.date(), bar.close) for bar in bars] == [
        (date(2014, 5, 2), D("168.89")),
        (date(2014, 5, 5), D("167.42")),
        (date(2014, 5, 6), D("165.48")),
    ]
    assert 240 < len(year) < 254


def test_the_close_of_the_day_before_stands_beside_the_quote():
    quote = shown("2014-05-06T14:00:00+00:00", SPY)

    assert quote.close == D("167.42")
    assert quote.open is not None
    assert quote.low <= quote.last <= quote.high


# -- the split
def test_aapl_opens_on_9_june_2014_at_a_seventh():
    lab = ibkr_venue_lab.recorded("2014-06-06T19:59:00+00:00")
    friday = lab.venue.quote(AAPL)
    monday = lab.at("2014-06-09T13:31:00+00:00").venue.quote(AAPL)

    assert (friday.source_at.date(), monday.source_at.date()) == (date(2014, 6, 6), date(2014, 6, 9))
    assert abs(friday.last / monday.last / 7 - 1) < D("0.01")
    assert monday.close == D("92.22")


def test_the_split_multiplies_shares_and_keeps_their_worth_and_the_old_stop():
    lab = ibkr_venue_lab.recorded("2014-06-06T19:30:00+00:00")
    lab.place("BUY", 70, conid=AAPL)
    lab.after(120)
    stop = lab.place("SELL", 70, "STP", conid=AAPL, stop="600", tif="GTC")
    worth = lab.venue.account_values(ACCOUNT)["NetLiquidation"]
    lab.at("2014-06-09T10:00:00+00:00")
    [position] = lab.venue.positions()
    after = lab.venue.account_values(ACCOUNT)["NetLiquidation"]
    lab.at("2014-06-09T14:00:00+00:00")

    assert position.quantity == 490
    assert abs(worth / after - 1) < D("0.01")
    # the trap: the stop still stands at the price of before, 70 of 490 shares go at the open
    assert (stop.status, stop.terms.quantity, lab.held(AAPL)) == ("Filled", 70, 420)


def test_bars_of_before_are_adjusted_for_the_split():
    lab = ibkr_venue_lab.recorded("2014-06-09T20:00:00+00:00")
    friday, monday = lab.venue.bars(AAPL, lab.now - timedelta(days=4), lab.now, 86_400)

    assert abs(friday.close - D("92.22")) < 1
    assert abs(monday.close - D("93.70")) < 1


def test_the_split_may_come_on_another_day():
    lab = ibkr_venue_lab.recorded("2014-05-06T14:00:00+00:00", split_on=date(2014, 5, 7))
    before = lab.venue.quote(AAPL).last
    lab.at("2014-05-07T14:00:00+00:00")

    assert before > 600
    assert lab.venue.quote(AAPL).last < 100


def test_a_night_of_quotes_builds_each_stocks_day_once():
    # from 1:00 to 3:50 in New York, before anything of the day is told
    lab = ibkr_venue_lab.recorded("2014-05-07T05:00:00+00:00")
    recorded_day.cache_clear()
    for _ in range(17):
        lab.after(600)
        assert all(lab.venue.quote(BY_SYMBOL[name].conid) for name in WEEKS)

    assert lab.now.hour == 7
    assert recorded_day.cache_info().misses == len(WEEKS)


def test_a_split_by_hand_divides_every_later_price():
    lab = ibkr_venue_lab.recorded("2014-05-06T14:00:00+00:00")
    start = lab.now - timedelta(minutes=10)
    before, old = lab.venue.quote(IBM), lab.venue.bars(IBM, start, lab.now, 60)
    lab.venue.split("IBM", 2, 1)
    at_once = lab.venue.quote(IBM)
    new = lab.venue.bars(IBM, start, lab.now, 60)
    later = lab.after(60).venue.quote(IBM)

    assert abs(at_once.last * 2 - before.last) <= D("0.02")
    assert abs(later.last * 2 - before.last) < 1
    assert [round(bar.close * 2 - then.close, 1) for bar, then in zip(new, old, strict=True)] == [0] * len(old)


def test_the_history_leads_up_to_the_week_the_clock_begins_in():
    clocks = [parse_clock(f"sim:2014-05-08T13:20:00Z@120{anchor}") for anchor in ("", ",anchor=1")]
    weeks = [Venue(Tape(), clock, []).tape.week for clock in clocks]

    assert weeks == [date(2014, 5, 5), date(2014, 5, 5)]
