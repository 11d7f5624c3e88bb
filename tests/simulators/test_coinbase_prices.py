"""The simulated Coinbase Exchange: recorded candles, the ticker, and what goes wrong with them by script."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from coinbase_sim import start_coinbase
from rest_sim import Lab

from simulators.coinbase.api import ACTIONS, KIND
from simulators.recordings import bitcoin
from simulators.rest.faults import COMMON

CANDLES, TICKER = "/products/BTC-USD/candles", "/products/BTC-USD/ticker"
NOW = datetime(2014, 5, 6, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def lab():
    return Lab(KIND, NOW.isoformat())


def test_candles_without_a_range_are_the_last_three_hundred_that_are_over(lab):
    rows = lab.get(CANDLES, granularity=60)
    newest = bitcoin.bar_at(NOW - MINUTE)

    assert len(rows) == 300 - 1
    assert rows[0] == [1399377540, newest.low, newest.high, newest.open, newest.close, newest.volume]
    assert rows[0][0] == int(newest.start.timestamp())
    assert {earlier[0] - later[0] for earlier, later in pairwise(rows)} == {60}


@pytest.mark.parametrize("spell", [lambda moment: moment.isoformat(), lambda moment: int(moment.timestamp())])
def test_range_takes_iso_times_and_unix_seconds_and_holds_both_ends(lab, spell):
    start, end = NOW.replace(hour=9, second=0), NOW.replace(hour=9, minute=10, second=0)

    rows = lab.get(CANDLES, granularity=60, start=spell(start), end=spell(end))

    assert [row[0] for row in rows] == [int((start + step * MINUTE).timestamp()) for step in range(10, -1, -1)]


def test_time_without_an_offset_is_utc(lab):
    rows = lab.get(CANDLES, granularity=60, start="2014-05-06T09:00:00", end="2014-05-06T09:00:00")

    assert [row[0] for row in rows] == [int(NOW.replace(hour=9, second=0).timestamp())]


def test_wider_candles_are_made_of_their_minutes(lab):
    hours = lab.get(CANDLES, granularity=3600, start="2014-05-06T08:00:00Z", end="2014-05-06T10:00:00Z")
    minutes = lab.get(CANDLES, granularity=60, start="2014-05-06T09:00:00Z", end="2014-05-06T09:59:00Z")
    nine = next(row for row in hours if row[0] == minutes[-1][0])

    assert [row[0] for row in hours] == sorted((row[0] for row in hours), reverse=True)
    assert len(hours) == 3
    assert nine[1:3] == [min(row[1] for row in minutes), max(row[2] for row in minutes)]
    assert nine[3:5] == [minutes[-1][3], minutes[0][4]]
    assert nine[5] == pytest.approx(sum(row[5] for row in minutes))


def test_three_hundred_candles_are_given_both_ends_counted(lab):
    rows = lab.get(CANDLES, granularity=60, start="2014-05-06T06:01:00Z", end="2014-05-06T11:00:00Z")

    assert len(rows) == 300


def test_future_has_no_candles(lab):
    rows = lab.get(CANDLES, granularity=60, start="2014-05-06T11:58:00Z", end="2014-05-06T13:00:00Z")

    assert [row[0] for row in rows] == [1399377540, 1399377480]


@pytest.mark.parametrize(
    ("path", "query", "status", "words"),
    [
        (CANDLES, {"granularity": "61"}, 400, "granularity"),
        (CANDLES, {"start": "2014-05-06T00:00:00Z", "end": "2014-05-06T12:00:00Z"}, 400, "too small"),
        (CANDLES, {"start": "2014-05-06T06:00:00Z", "end": "2014-05-06T11:00:00Z"}, 400, "too small"),
        (CANDLES, {"start": "2014-05-06T12:00:00Z", "end": "2014-05-06T11:00:00Z"}, 400, "before"),
        (CANDLES, {"start": "noon", "end": "2014-05-06T11:00:00Z"}, 400, "Invalid start"),
        ("/products/ETH-USD/ticker", {}, 404, "NotFound"),
    ],
)
def test_errors_carry_a_message(lab, path, query, status, words):
    response = lab.send(path, **query)

    assert response.status == status
    assert words in json.loads(response.body)["message"]


def test_request_without_a_user_agent_or_with_another_method_is_refused(lab):
    assert lab.send(TICKER, agent=None).status == 400
    assert lab.send(TICKER, method="DELETE").status == 405


def test_ticker_is_the_close_of_the_last_minute_and_time_is_the_clocks(lab):
    ticker, time = lab.get(TICKER), lab.get("/time")

    assert set(ticker) == {"ask", "bid", "volume", "trade_id", "price", "size", "time"}
    assert float(ticker["price"]) == bitcoin.last_close(NOW) == lab.get(CANDLES)[0][4]
    assert float(ticker["bid"]) < float(ticker["price"]) < float(ticker["ask"])
    assert ticker["time"] == "2014-05-06T12:00:00.000Z"
    assert time == {"iso": "2014-05-06T12:00:30.000Z", "epoch": NOW.timestamp()}


def test_stale_prices_stop_some_minutes_ago(lab):
    lab.fault("stale", minutes=20)

    newest, ticker = lab.get(CANDLES)[0], lab.get(TICKER)

    assert newest[0] == int((NOW.replace(second=0) - 21 * MINUTE).timestamp())
    assert ticker["time"] == "2014-05-06T11:40:00.000Z"
    assert lab.fired("stale") == 2


def test_gap_takes_minutes_out_of_the_middle(lab):
    lab.fault("gap", minutes=7, times=1)

    with_gap, without = lab.get(CANDLES), lab.get(CANDLES)
    steps = [earlier[0] - later[0] for earlier, later in pairwise(with_gap)]

    assert len(without) - len(with_gap) == 7
    assert sorted(set(steps)) == [60, 480]
    assert lab.fired("gap") == 1


def test_status_is_a_message_with_the_status_asked_for(lab):
    lab.fault("status", status=429, times=1)

    failed, after = lab.send(TICKER), lab.send(TICKER)

    assert (failed.status, set(json.loads(failed.body)), after.status) == (429, {"message"}, 200)
    assert lab.fired("status") == 1


def test_every_fault_action_stands_in_the_readme():
    text = (Path(__file__).parents[2] / "simulators" / "README.md").read_text(encoding="utf-8")
    section = text.split("## Coinbase Exchange")[1].split("\n## ")[0]

    assert all(f"| `{action}` |" in section for action in ACTIONS)
    assert all(f"`{action}`" in section for action in COMMON)


def test_process_serves_over_loopback_delays_by_script_and_ends_with_zero():
    process = start_coinbase("sim:2014-05-06T12:00:30Z@1")

    try:
        process.fault("delay", seconds=0.2, times=1)
        reply = process.get(TICKER)
        fired = process.fired("delay")
        source = process.get("/_sim/state").json()["source"]
    finally:
        code = process.stop()

    assert reply.elapsed.total_seconds() >= 0.2
    assert float(reply.json()["price"]) == bitcoin.last_close(NOW)
    assert source == {"day": "2014-05-06", "recorded_on": "2017-09-03", "level": "chained"}
    assert (fired, code) == (1, 0)
