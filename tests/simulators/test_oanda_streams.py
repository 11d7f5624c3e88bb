"""Streams of the OANDA venue: heartbeats, coalescing, status, and a quick end."""

import json
from contextlib import closing

import pytest

from simulators.oanda.call import Call
from simulators.oanda.faults import Occasion
from simulators.oanda.streams import _PriceFeed
from simulators.oanda.wire import parse_time
from simulators.rest.transport import Request

BASE = "/v3/accounts/101-001-1-001"


@pytest.fixture
def feed_of(make_lab):
    def make(start, instruments="EUR_USD"):
        lab = make_lab(start)
        request = Request("GET", f"{BASE}/pricing/stream", {"instruments": instruments}, {}, b"")
        occasion = Occasion(lab.venue.faults, "GET", request.path, lab.account, lab.clock.ms)
        held = list(lab.venue.accounts.values())
        params = {"account": lab.account}
        return lab, _PriceFeed(Call(lab.venue, request, held, occasion, lab.clock.ms, "1", params))

    return make


def slots(lines):
    return [(line["instrument"], parse_time(line["time"]) // 250) for line in lines]


def test_prices_are_coalesced_to_four_a_second_of_simulated_time(feed_of, tape):
    start = "2014-05-02T12:30:00Z"
    _lab, feed = feed_of(start)

    at_once = feed.news(parse_time(start) + 60_000)

    assert len(set(slots(at_once))) == len(at_once) > 100
    quotes = list(tape.between("EUR_USD", parse_time(start), parse_time(start) + 59_999))
    assert len(at_once) < len(quotes)
    last = {quote.time // 250: quote for quote in quotes}
    assert [quote.time for quote in last.values()] == [parse_time(line["time"]) for line in at_once]


def test_polling_rhythm_does_not_change_the_prices(feed_of):
    start = parse_time("2014-05-02T12:30:00Z")
    _, often = feed_of("2014-05-02T12:30:00Z", "EUR_USD,NZD_USD")
    _, once = feed_of("2014-05-02T12:30:00Z", "EUR_USD,NZD_USD")

    piecewise = [line for step in range(60, 60_001, 60) for line in often.news(start + step)]

    assert piecewise == once.news(start + 60_000)


def test_close_and_opening_are_announced(feed_of):
    _, feed = feed_of("2014-05-02T20:59:50Z")

    closing_lines = feed.news(parse_time("2014-05-02T21:00:01Z"))
    weekend = feed.news(parse_time("2014-05-04T20:59:00Z"))
    opening = feed.news(parse_time("2014-05-04T21:00:20Z"))

    assert (closing_lines[-1]["status"], closing_lines[-1]["tradeable"]) == ("non-tradeable", False)
    assert weekend == []
    assert {"tradeable"} == {line["status"] for line in opening}


def test_stream_without_snapshot_waits_for_news(fast):
    with closing(fast.client()) as client:
        path = f"{BASE}/pricing/stream?instruments=EUR_USD&snapshot=false"
        with client.stream("GET", path) as reply, closing(fast.client()) as other:
            now = other.get(f"{BASE}/pricing?instruments=EUR_USD").json()["time"]
            first = json.loads(next(reply.iter_lines()))

    assert first["type"] == "PRICE"
    assert parse_time(first["time"]) > parse_time(now) - 600_000
    assert fast.state()["routes"]["GET /v3/accounts/{account}/pricing/stream"] >= 1
