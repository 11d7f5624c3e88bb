"""Listings of the simulated Kalshi: pages, filters, books, candles, times."""

import kalshi_lab
import kalshi_sim
import pytest

from simulators.kalshi.orders import Force

TICKER = kalshi_sim.TICKER
EVENT = "KXTEST-14MAY06"
OVER = {"determined_at": "2014-05-06T07:05:00Z", "settled_at": "2014-05-06T07:06:00Z"}
OTHERS = [
    kalshi_sim.market(f"{EVENT}-OVER", hours=0.01, fair=0.30, **OVER),
    kalshi_sim.market("KXOTHER-14MAY07-A", hours=30),
    kalshi_sim.market("KXOTHER-14MAY07-B", hours=30) | {"open_time": "2014-05-06T07:08:00Z"},
]


@pytest.fixture
def venue(tmp_path):
    return kalshi_lab.lab(kalshi_lab.catalogue(tmp_path, [kalshi_sim.market(), *OTHERS]))


def test_cursors_lead_through_a_listing_once_and_end_empty(venue):
    for number in range(7):
        venue.order("bid", "0.40", number + 1)
    seen, cursor, pages = [], "", 0

    while pages == 0 or cursor:
        body = venue.get("/portfolio/orders", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [order["initial_count_fp"] for order in body["orders"]]
        cursor, pages = body["cursor"], pages + 1

    assert [f"{count}.00" for count in range(7, 0, -1)] == seen
    assert pages == 3


def test_a_cursor_of_another_listing_or_none_at_all_is_refused(venue):
    cursor = venue.get("/markets", limit=1)["cursor"]

    for wrong in (cursor, "nonsense", "bm9uc2Vuc2U="):
        assert venue.send("GET", "/portfolio/orders", cursor=wrong)[1]["error"]["code"] == "invalid_parameters"


def tickers(body):
    return [market["ticker"].rpartition("-")[2] for market in body["markets"]]


def test_markets_are_filtered_by_status_series_event_tickers_and_close(venue):
    assert tickers(venue.get("/markets", status="open")) == ["T70", "OVER", "A"]
    assert tickers(venue.get("/markets", status="unopened")) == ["B"]
    assert tickers(venue.get("/markets", series_ticker="KXOTHER")) == ["A", "B"]
    assert tickers(venue.get("/markets", event_ticker=EVENT)) == ["T70", "OVER"]
    assert tickers(venue.get("/markets", tickers=f"{TICKER},KXOTHER-14MAY07-B")) == ["T70", "B"]
    assert tickers(venue.get("/markets", max_close_ts=1399410000)) == ["T70", "OVER"]
    venue.later(minutes=2)
    assert tickers(venue.get("/markets", status="closed")) == ["OVER"]
    venue.later(minutes=3)
    assert tickers(venue.get("/markets", status="closed")) == ["OVER"]
    venue.later(minutes=2)
    assert tickers(venue.get("/markets", status="settled")) == ["OVER"]
    assert venue.get("/markets", status="active")["error"]["code"] == "invalid_parameters"
    both = venue.get("/markets", min_close_ts=1, max_settled_ts=2)
    assert both["error"]["code"] == "invalid_parameters"


def test_an_order_is_found_by_its_market_its_status_and_its_client_order_id(venue):
    venue.order("bid", "0.51", 1, force=Force.IOC, client_order_id="done")
    venue.order("bid", "0.40", 1, client_order_id="rests")
    venue.order("bid", "0.40", 1, ticker="KXOTHER-14MAY07-A")

    listed = venue.get("/portfolio/orders", ticker=TICKER)["orders"]
    resting = venue.get("/portfolio/orders", ticker=TICKER, status="resting")["orders"]

    assert {o["client_order_id"]: o["status"] for o in listed} == {"done": "executed", "rests": "resting"}
    assert [order["client_order_id"] for order in resting] == ["rests"]


def test_the_ask_of_yes_is_one_less_the_best_bid_for_no(venue):
    market, book = venue.market(), venue.get(f"/markets/{TICKER}/orderbook", depth=2)

    assert book["orderbook_fp"]["yes_dollars"] == [["0.4800", "200.00"], ["0.4900", "200.00"]]
    assert book["orderbook"]["no"] == [[48, 200], [49, 200]]
    assert tuple(market[name] for name in ("yes_bid_dollars", "yes_ask_dollars", "no_bid", "no_ask")) == (
        "0.4900",
        "0.5100",
        49,
        51,
    )


def test_candles_follow_the_quotes_of_their_time_and_say_nothing_of_the_future(tmp_path):
    moves = [["2014-05-06T01:00:00Z", 0.30], ["2014-05-06T06:30:00Z", 0.60], ["2014-05-06T07:30:00Z", 0.99]]
    venue = kalshi_lab.lab(kalshi_lab.catalogue(tmp_path, [kalshi_sim.market(fair=moves)]))
    path = f"/series/KXTEST/markets/{TICKER}/candlesticks"

    hours = venue.get(path, start_ts=1399345200, end_ts=1399400000, period_interval=60)["candlesticks"]

    assert [1399345200 + 3600 * i for i in range(4)] == [candle["end_period_ts"] for candle in hours[:4]]
    assert tuple(hours[-1]["yes_bid"][f"{name}_dollars"] for name in ("open", "close", "low")) == (
        "0.2900",
        "0.5900",
        "0.2900",
    )
    assert hours[-1]["end_period_ts"] == 1399359600
    assert venue.send("GET", path, start_ts=1, end_ts=2, period_interval=5)[0] == 400


def test_times_drop_the_zeros_their_fraction_ends_in(venue):
    venue.clock.ms += 120
    order = venue.order("bid", "0.40", 1)

    assert venue.get(f"/portfolio/orders/{order.id}")["order"]["created_time"] == "2014-05-06T07:00:00.12Z"
    assert venue.market()["close_time"] == "2014-05-06T17:00:00Z"


def test_what_is_no_page_is_not_found_and_a_wrong_method_told(venue):
    assert venue.send("GET", "/nowhere")[0] == 404
    assert venue.send("PUT", "/markets")[0] == 405
    assert venue.send("GET", "/markets/KXNONE")[0] == 404
    assert venue.send("POST", "/portfolio/events/orders", [1])[1]["code"] == "bad_request"
