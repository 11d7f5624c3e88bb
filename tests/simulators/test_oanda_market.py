"""Quotes and candles of the OANDA venue: recording, repeats, calendar, faithful bars."""

import csv
import gzip
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from simulators.oanda.recording import DATA, bar_path
from simulators.oanda.sessions import WEEK_MS, is_open
from simulators.oanda.tape import Tape, automatic_shift
from simulators.oanda.wire import from_points, parse_time, rfc3339

WEEK_START, WEEK_END = parse_time("2014-05-04T21:00:00Z"), parse_time("2014-05-09T21:00:00Z")


def candles(lab, instrument="EUR_USD", **query):
    status, body = lab.send("GET", f"/v3/instruments/{instrument}/candles", **query)
    assert status == 200, body
    return body["candles"]


def test_minute_candles_are_the_recorded_bars(make_lab):
    lab = make_lab("2014-05-06T12:00:00Z")
    got = candles(lab, price="BA", granularity="M1", **{"from": "2014-05-05T00:00:00Z", "to": "2014-05-06T00:00:00Z"})
    recorded, minute, opening = [], 0, 0
    with gzip.open(DATA / "eur_usd_m1.csv.gz", "rt") as lines:
        for row in csv.DictReader(lines):
            n = {key: int(value) for key, value in row.items()}
            minute, opening = minute + n["minute_delta"], opening + n["bid_open_delta"]
            ask = opening + n["ask_open"]
            bid_bar = [opening, *(opening + n[f"bid_{k}"] for k in ("high", "low", "close"))]
            ask_bar = [ask, *(ask + n[f"ask_{k}"] for k in ("high", "low", "close"))]
            recorded.append((minute * 60_000, bid_bar, ask_bar))

    start = parse_time("2014-05-05T00:00:00Z")
    expected = [bar for bar in recorded if start <= bar[0] < start + 86_400_000]
    assert 1350 == len(expected) == len(got)
    for candle, (ms, bid, ask) in zip(got, expected, strict=True):
        assert rfc3339(ms) == candle["time"]
        assert [str(from_points(p)) for p in bid] == list(candle["bid"].values())
        assert [str(from_points(p)) for p in ask] == list(candle["ask"].values())
        assert (candle["volume"], candle["complete"]) == (4, True)


@pytest.mark.parametrize("granularity", ["S5", "S30", "M1", "M4", "H1", "H4", "D"])
def test_candles_hold_exactly_the_quotes_of_their_span(make_lab, tape, granularity):
    now = parse_time("2014-05-02T12:34:56.789Z")
    lab = make_lab("2014-05-02T12:34:56.789Z")
    got = candles(lab, price="BMA", granularity=granularity, count=30)

    starts = [parse_time(candle["time"]) for candle in got] + [now + 1]
    assert starts == sorted(set(starts))
    for candle, start, end in zip(got, starts, starts[1:], strict=False):
        quotes = list(tape.between("EUR_USD", start - 1, end - 1))
        bids, asks = [q.bid for q in quotes], [q.ask for q in quotes]
        assert len(quotes) == candle["volume"]
        for side, values in (("bid", bids), ("ask", asks)):
            expected = [values[0], max(values), min(values), values[-1]]
            assert [str(from_points(p)) for p in expected] == list(candle[side].values())
        mids = [q.bid + q.ask for q in quotes]
        middle = [mids[0], max(mids), min(mids), mids[-1]]
        assert all(
            abs(Decimal(text) * 200_000 - value) <= 1
            for text, value in zip(candle["mid"].values(), middle, strict=True)
        )
    assert not got[-1]["complete"]
    assert all(candle["complete"] for candle in got[:-1])


def test_last_candle_completes_with_the_next_quote_only(make_lab):
    lab = make_lab("2014-05-02T21:30:00Z")

    friday = candles(lab, granularity="H1", count=1)[0]
    lab.at("2014-05-04T21:05:00Z")
    sunday = candles(lab, granularity="H1", count=2)

    assert (friday["time"], friday["complete"]) == ("2014-05-02T20:00:00.000000000Z", False)
    assert [(candle["time"], candle["complete"]) for candle in sunday] == [
        ("2014-05-02T20:00:00.000000000Z", True),
        ("2014-05-04T21:00:00.000000000Z", False),
    ]


def test_five_thousand_minutes_reach_back_before_the_recording(lab):
    got = candles(lab, granularity="M1", count=5000)

    assert len(got) == 5000
    assert got[0]["time"] < "2014-05-01"


def test_daily_candles_start_at_five_in_new_york_on_both_sides_of_the_clock_change(make_lab):
    lab = make_lab("2014-11-10T12:00:00Z")

    got = candles(lab, granularity="D", **{"from": "2014-10-28T21:00:00Z", "to": "2014-11-05T22:00:00Z"})
    utc = candles(lab, granularity="D", count=3, dailyAlignment=0, alignmentTimezone="UTC")

    assert [candle["time"][5:13] for candle in got] == [
        "10-28T21",
        "10-29T21",
        "10-30T21",
        "11-02T22",
        "11-03T22",
        "11-04T22",
    ]
    assert {"00:00"} == {candle["time"][11:16] for candle in utc}


def test_four_hour_candles_follow_the_daily_alignment(lab):
    hours = {candle["time"][11:13] for candle in candles(lab, granularity="H4", count=12)}

    assert {"21", "01", "05", "09", "13", "17"} == hours


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"to": "2014-05-02T10:00:01Z"}, "Time is in the future"),
        ({"from": "2014-05-03T00:00:00Z"}, "Time is in the future"),
        ({"from": "2014-05-01T00:00:00Z", "to": "2014-05-02T00:00:00Z", "count": 5}, "'count'"),
        ({"count": 5001}, "'count'"),
        ({"count": 0}, "'count'"),
        ({"granularity": "M3"}, "'granularity'"),
        ({"price": "X"}, "'price'"),
        ({"from": "yesterday"}, "'from'"),
        ({"from": "2014-04-01T00:00:00Z", "to": "2014-05-02T00:00:00Z"}, "'count'"),
        ({"alignmentTimezone": "Mars/Base"}, "'alignmentTimezone'"),
        ({"dailyAlignment": 24}, "'dailyAlignment'"),
    ],
)
def test_unusable_candle_query_is_a_400(lab, query, word):
    status, body = lab.send("GET", "/v3/instruments/EUR_USD/candles", **query)

    assert status == 400
    assert word in body["errorMessage"]


def test_include_first_drops_the_candle_of_from(lab):
    query = {"granularity": "M1", "from": "2014-05-02T09:00:30Z", "to": "2014-05-02T09:10:00Z"}

    with_first, without = candles(lab, **query), candles(lab, includeFirst="False", **query)

    assert with_first[0]["time"] == "2014-05-02T09:00:00.000000000Z"
    assert with_first[1:] == without


def test_recorded_week_repeats_for_ever_in_both_directions(tape):
    week = [(q.time, q.bid, q.ask) for q in tape.between("EUR_USD", WEEK_START - 1, WEEK_END)]

    for weeks in (-40, -3, 5, 30, 600):
        shifted = [(q.source, q.bid, q.ask) for q in tape.between("EUR_USD", *_fx_week(weeks))]
        assert week == shifted


def _fx_week(weeks):
    start = WEEK_START + weeks * WEEK_MS - 6 * 3_600_000
    return start, start + 5 * 86_400_000 + 12 * 3_600_000


def test_winter_week_opens_and_closes_an_hour_later_in_universal_time(tape):
    quotes = list(tape.between("EUR_USD", parse_time("2015-01-04T12:00:00Z"), parse_time("2015-01-10T12:00:00Z")))

    assert (rfc3339(quotes[0].time)[:16], rfc3339(quotes[-1].time)[:16]) == ("2015-01-04T22:00", "2015-01-09T21:59")
    assert all(is_open(quote.time) for quote in quotes)


def test_every_quote_is_uncrossed_and_in_order(tape):
    for name in tape.instruments:
        quotes = list(tape.between(name, parse_time("2014-04-27T00:00:00Z"), parse_time("2014-05-20T00:00:00Z")))
        assert all(quote.bid < quote.ask for quote in quotes)
        assert [quote.time for quote in quotes] == sorted(quote.time for quote in quotes)
        assert len(quotes) > 50_000


def test_ticks_are_replayed_at_their_recorded_times(tape):
    quotes = list(tape.between("EUR_USD", parse_time("2014-05-01T00:00:00Z"), parse_time("2014-05-03T00:00:00Z")))

    assert len(quotes) == 73_520
    assert all(quote.time == quote.source for quote in quotes)
    assert (
        quotes[0].bid,
        quotes[0].ask,
        rfc3339(quotes[0].time),
    ) == (138676, 138686, "2014-05-01T00:00:00.292000000Z")


def test_bar_path_visits_the_nearer_extreme_first():
    assert bar_path((10, 20, 8, 15), (12, 22, 10, 17)) == [(10, 12), (8, 10), (20, 22), (15, 17)]
    assert bar_path((10, 11, 2, 3), (12, 13, 4, 5)) == [(10, 12), (11, 13), (2, 4), (3, 5)]


def test_kiwi_is_not_tradeable_between_its_recording_and_the_next_repeat(make_lab):
    lab = make_lab("2014-05-08T12:00:00Z")

    price = lab.get("pricing", instruments="NZD_USD,EUR_USD,USD_JPY")["prices"]
    assert [(p["instrument"], p["tradeable"], p["status"]) for p in price] == [
        ("NZD_USD", False, "non-tradeable"),
        ("EUR_USD", True, "tradeable"),
    ]
    assert lab.order(1, instrument="NZD_USD")[1]["orderCancelTransaction"]["reason"] == "MARKET_HALTED"
    assert "orderFillTransaction" in lab.at("2014-05-11T21:01:00Z").order(1, instrument="NZD_USD")[1]


@pytest.mark.parametrize("moment", ["2014-05-02T21:00:00Z", "2014-05-03T12:00:00Z", "2014-05-04T20:59:59Z"])
def test_weekend_halts_market_orders_but_takes_resting_ones(make_lab, moment):
    lab = make_lab(moment)

    status, body = lab.order(1)

    assert (status, body["orderCancelTransaction"]["reason"]) == (201, "MARKET_HALTED")
    assert lab.order(1, "LIMIT", price="1.50000")[0] == 201
    lab.at("2014-05-04T21:01:00Z")
    fills = [item for item in lab.transactions() if item["type"] == "ORDER_FILL"]
    assert [fill["time"][:16] for fill in fills] == ["2014-05-04T21:00"]


def test_since_leaves_out_older_prices(lab):
    time = lab.get("pricing", instruments="EUR_USD")["prices"][0]["time"]

    assert lab.get("pricing", instruments="EUR_USD", since=time)["prices"] == []
    assert len(lab.get("pricing", instruments="EUR_USD", since="2014-05-01T00:00:00Z")["prices"]) == 1


def test_recording_moves_by_whole_weeks_onto_another_start(recordings, tape):
    start = parse_time("2026-11-18T14:00:00Z")
    shift = automatic_shift(recordings, start)
    moved = Tape(recordings, shift)

    quote = moved.last("EUR_USD", start)

    assert automatic_shift(recordings, parse_time("2014-05-02T12:20:00Z")) == 0
    source = datetime.fromtimestamp(quote.source / 1000, UTC)
    # nine in New York then and now, in another season
    assert (source.year, source.month, source.day, source.hour) == (2014, 5, 7, 13)
    assert moved.is_covered("NZD_USD", start)
    assert tape.last("EUR_USD", quote.source).bid == quote.bid


@pytest.mark.parametrize("week", [("2014-05-02T21", "2014-05-04T21"), ("2015-01-09T22", "2015-01-11T22")])
def test_market_closes_and_opens_at_five_in_new_york(week):
    friday, sunday = (parse_time(f"{moment}:00:00Z") for moment in week)

    assert (is_open(friday - 1), is_open(friday), is_open(sunday - 1), is_open(sunday)) == (True, False, False, True)
