"""Bytes of the simulated Kalshi: fields of both wires, signatures, errors, filters, pages, limits of calls."""

import json
import re
from pathlib import Path

import kalshi_lab
import kalshi_sim
import pytest

from simulators.kalshi.orders import Force

TICKER = kalshi_sim.TICKER
EVENT = "KXTEST-14MAY06"
SHAPES = json.loads(Path(__file__).with_name("kalshi_shapes.json").read_text())
OVER = {"determined_at": "2014-05-06T07:05:00Z", "settled_at": "2014-05-06T07:06:00Z"}
OTHERS = [
    kalshi_sim.market(f"{EVENT}-OVER", hours=0.01, fair=0.30, **OVER),
    kalshi_sim.market("KXOTHER-14MAY07-A", hours=30),
    kalshi_sim.market("KXOTHER-14MAY07-B", hours=30) | {"open_time": "2014-05-06T07:08:00Z"},
]


@pytest.fixture
def make(tmp_path):
    def start(**terms):
        return kalshi_lab.lab(kalshi_lab.catalogue(tmp_path, [kalshi_sim.market(), *OTHERS]), **terms)

    return start


@pytest.fixture
def venue(make):
    return make()


@pytest.fixture
def lively(venue):
    """A venue with an account that has one of everything."""
    venue.order("bid", "0.51", 3, force=Force.IOC, client_order_id="a")
    venue.order("bid", "0.31", 3, ticker=f"{EVENT}-OVER", force=Force.IOC)
    venue.order("bid", "0.40", 3, client_order_id="rests")
    venue.later(minutes=10)
    return venue


def misfits(value, kind, place="reply"):
    """Return what in a value is not as the field lists say; fields of the older wire may stand beside."""
    kind = kind.removesuffix("?")
    if " | null" in kind:
        return [] if value is None else misfits(value, kind.replace(" | null", ""), place)
    listed = re.fullmatch(r"Array<(.+)>", kind)
    if listed:
        assert isinstance(value, list), place
        return [wrong for i, item in enumerate(value) for wrong in misfits(item, listed[1], f"{place}[{i}]")]
    if kind in ("string", "number", "boolean", "object", "any"):
        kinds = {"string": str, "number": (int, float), "boolean": bool, "object": dict, "any": object}
        return [] if isinstance(value, kinds[kind]) else [f"{place}: {value!r} is no {kind}"]
    shape = SHAPES["current"].get(kind)
    if shape is None or isinstance(shape, list):
        return [] if shape is None or value in shape else [f"{place}: {value!r} is not one of {shape}"]
    missing = [
        f"{place}.{name}: missing" for name, type_ in shape.items() if not type_.endswith("?") and name not in value
    ]
    present = [name for name in shape if name in value]
    return missing + [w for name in present for w in misfits(value[name], shape[name], f"{place}.{name}")]


PAGES = [
    ("/exchange/status", {}, "ExchangeStatus"),
    ("/exchange/schedule", {}, "GetExchangeScheduleResponse"),
    ("/series", {}, "GetSeriesListResponse"),
    ("/series/KXTEST", {}, "GetSeriesResponse"),
    ("/series/fee_changes", {}, "GetSeriesFeeChangesResponse"),
    ("/events", {"with_nested_markets": "true"}, "GetEventsResponse"),
    (f"/events/{EVENT}", {}, "GetEventResponse"),
    ("/markets", {}, "GetMarketsResponse"),
    (f"/markets/{TICKER}", {}, "GetMarketResponse"),
    (f"/markets/{EVENT}-OVER", {}, "GetMarketResponse"),
    (f"/markets/{TICKER}/orderbook", {}, "GetMarketOrderbookResponse"),
    ("/markets/orderbooks", {"tickers": f"{TICKER},KXOTHER-14MAY07-A"}, "GetMarketOrderbooksResponse"),
    ("/markets/trades", {"ticker": TICKER}, "GetTradesResponse"),
    (
        f"/series/KXTEST/markets/{TICKER}/candlesticks",
        {"start_ts": 1399345200, "end_ts": 1399360200, "period_interval": 60},
        "GetMarketCandlesticksResponse",
    ),
    ("/portfolio/balance", {}, "GetBalanceResponse"),
    ("/portfolio/positions", {}, "GetPositionsResponse"),
    ("/portfolio/orders", {}, "GetOrdersResponse"),
    ("/portfolio/fills", {}, "GetFillsResponse"),
    ("/portfolio/settlements", {}, "GetSettlementsResponse"),
    ("/account/limits", {}, "GetAccountApiLimitsResponse"),
    ("/account/endpoint_costs", {}, "GetAccountEndpointCostsResponse"),
]


@pytest.mark.parametrize(("path", "query", "kind"), PAGES, ids=[kind + path for path, _, kind in PAGES])
def test_every_page_has_each_field_of_the_current_wire_in_its_type(lively, path, query, kind):
    status, body = lively.send("GET", path, **query)

    assert status == 200
    assert misfits(body, kind) == []
    assert all(value for name, value in body.items() if isinstance(value, list) and name not in _MAY_BE_EMPTY)


_MAY_BE_EMPTY = ("milestones", "series_fee_change_arr", "grants", "endpoint_costs")


@pytest.mark.parametrize(("path", "query", "kind"), PAGES, ids=[kind + path for path, _, kind in PAGES])
def test_the_current_wire_alone_has_no_field_of_the_older_one(make, path, query, kind):
    venue = make(wire="current")
    venue.order("bid", "0.51", 3, force=Force.IOC)
    venue.order("bid", "0.31", 3, ticker=f"{EVENT}-OVER", force=Force.IOC)
    venue.later(minutes=10)

    text = json.dumps(venue.get(path, **query))

    assert not re.search(
        r'"(yes_bid|yes_price|orderbook|position|count|remaining_count|volume|price)": ?[\d\[{]', text
    ) or (kind == "GetMarketCandlesticksResponse")


OLDER = [
    ("/markets", "markets", "Market"),
    ("/portfolio/orders", "orders", "Order"),
    ("/portfolio/fills", "fills", "Fill"),
    ("/portfolio/positions", "market_positions", "MarketPosition"),
    ("/portfolio/positions", "event_positions", "EventPosition"),
    ("/portfolio/settlements", "settlements", "Settlement"),
    ("/events", "events", "EventData"),
    ("/series", "series", "Series"),
    ("/markets/trades", "trades", "Trade"),
]


@pytest.mark.parametrize(("path", "key", "kind"), OLDER, ids=[kind for _, _, kind in OLDER])
def test_every_object_has_what_the_older_specification_requires(lively, path, key, kind):
    objects = lively.get(path)[key]

    assert objects
    for found in objects:
        assert set(SHAPES["older_required"][kind]) - set(found) == set()


def current(**fields):
    return {
        "ticker": TICKER,
        "side": "bid",
        "count": "2.00",
        "price": "0.4000",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        **fields,
    }


def test_orders_of_the_current_wire_are_created_amended_decreased_and_cancelled(venue):
    base = "/portfolio/events/orders"

    created, body = venue.send("POST", base, current(client_order_id="one"))
    order = body["order_id"]
    amended = venue.send(
        "POST", f"{base}/{order}/amend", current(price="0.4100", count="5.00", updated_client_order_id="two")
    )
    decreased = venue.send("POST", f"{base}/{order}/decrease", {"reduce_by": "1.00"})
    seen = venue.get(f"/portfolio/orders/{order}")["order"]
    cancelled = venue.send("DELETE", f"{base}/{order}")

    assert (created, amended[0], decreased[0], cancelled[0]) == (201, 200, 200, 200)
    assert misfits(body, "CreateOrderV2Response") == []
    assert misfits(amended[1], "AmendOrderV2Response") == []
    assert misfits(decreased[1], "DecreaseOrderV2Response") == []
    assert misfits(cancelled[1], "CancelOrderV2Response") == []
    assert tuple(
        seen[name] for name in ("yes_price_dollars", "remaining_count_fp", "initial_count_fp", "client_order_id")
    ) == ("0.4100", "4.00", "5.00", "two")
    assert cancelled[1]["reduced_by"] == "4.00"
    assert venue.send("DELETE", f"{base}/{order}")[0] == 404


def test_a_filled_order_tells_its_average_price_and_fee(venue):
    body = venue.send("POST", "/portfolio/events/orders", current(price="0.5300", count="300.00"))[1]

    assert tuple(body[n] for n in ("fill_count", "remaining_count", "average_fill_price")) == (
        "300.00",
        "0.00",
        "0.513333",
    )
    assert misfits(body, "CreateOrderV2Response") == []


def test_batches_succeed_and_fail_item_by_item(venue):
    base = "/portfolio/events/orders/batched"
    asked = [current(client_order_id="a"), current(client_order_id="a"), current(price="0.505")]

    status, made = venue.send("POST", base, {"orders": asked})
    first = made["orders"][0]["order_id"]
    _, gone = venue.send("DELETE", base, {"orders": [{"order_id": first}, {"order_id": "nobody"}]})

    assert status == 201
    assert misfits(made, "BatchCreateOrdersV2Response") == []
    assert misfits(gone, "BatchCancelOrdersV2Response") == []
    assert [o.get("error", {}).get("code") for o in made["orders"]] == [None, "order_already_exists", "invalid_price"]
    assert [order["reduced_by"] for order in gone["orders"]] == ["2.00", "0.00"]
    assert gone["orders"][1]["error"]["code"] == "not_found"


def test_one_call_cancels_every_order_of_the_account_and_of_no_other(venue):
    venue.order("bid", "0.40", 1)
    venue.order("bid", "0.40", 2, ticker="KXOTHER-14MAY07-A")
    venue.order("bid", "0.40", 3, who=1)

    _, body = venue.send("DELETE", "/portfolio/events/orders")

    assert [order["reduced_by"] for order in body["orders"]] == ["1.00", "2.00"]
    assert not venue.account(0).resting
    assert venue.account(1).resting


def older(**fields):
    return {"ticker": TICKER, "side": "no", "action": "buy", "count": 2, "type": "limit", "no_price": 45, **fields}


def test_orders_of_the_older_wire_are_created_amended_decreased_and_cancelled(venue):
    base = "/portfolio/orders"

    created, body = venue.send("POST", base, older(client_order_id="one"))
    order = body["order"]["order_id"]
    _, amended = venue.send("POST", f"{base}/{order}/amend", older(no_price=46, count=5))
    _, decreased = venue.send("POST", f"{base}/{order}/decrease", {"reduce_to": 3})
    _, cancelled = venue.send("DELETE", f"{base}/{order}")

    assert created == 201
    assert tuple(body["order"][name] for name in ("yes_price", "no_price", "side", "action")) == (55, 45, "no", "buy")
    assert (amended["old_order"]["no_price"], amended["order"]["no_price"], amended["order"]["count"]) == (45, 46, 5)
    assert (
        decreased["order"]["remaining_count"],
        cancelled["reduced_by"],
        cancelled["reduced_by_fp"],
    ) == (3, 3, "3.00")
    for found in (body, cancelled, amended, decreased):
        assert set(SHAPES["older_required"]["Order"]) - set(found["order"]) == set()


def test_the_older_wire_sells_what_is_held_at_the_price_of_its_outcome(venue):
    venue.send("POST", "/portfolio/orders", older(no_price=52))
    _, body = venue.send("POST", "/portfolio/orders", older(action="sell", no_price=48))

    assert tuple(body["order"][name] for name in ("fill_count", "action", "side")) == (2, "sell", "no")
    assert venue.account().held(TICKER) == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ticker": ""}, "missing_parameters"),
        ({"ticker": "KXNONE"}, "market_not_found"),
        ({"side": "yes"}, "invalid_order"),
        ({"count": "1.50"}, "invalid_order"),
        ({"count": "0"}, "invalid_order"),
        ({"price": "free"}, "invalid_order"),
        ({"time_in_force": "day"}, "invalid_order"),
        ({"self_trade_prevention_type": None}, "invalid_order"),
        ({"client_order_id": "with.dot"}, "invalid_parameters"),
        ({"client_order_id": "x" * 65}, "invalid_parameters"),
        ({"time_in_force": "fill_or_kill", "expiration_time": 1399370000}, "invalid_order"),
        ({"time_in_force": "fill_or_kill", "post_only": True}, "invalid_order"),
    ],
)
def test_a_request_of_the_current_wire_that_cannot_be_taken_is_told_why(venue, change, code):
    status, body = venue.send("POST", "/portfolio/events/orders", current(**change))

    assert (404 if code == "market_not_found" else 400, code) == (status, body["error"]["code"])
    assert not venue.account().orders


@pytest.mark.parametrize(
    "change",
    [
        {"no_price": None},
        {"yes_price": 40},
        {"type": "market"},
        {"side": "bid"},
        {"action": "hold"},
        {"time_in_force": "x"},
    ],
)
def test_a_request_of_the_older_wire_that_cannot_be_taken_is_told_why(venue, change):
    status, body = venue.send("POST", "/portfolio/orders", older(**change))

    assert (status, body["error"]["code"]) == (400, "invalid_order")


def test_the_older_wires_cost_limit_makes_an_order_all_or_nothing(venue):
    refused, body = venue.send("POST", "/portfolio/orders", older(no_price=52, buy_max_cost=103))
    taken, _ = venue.send("POST", "/portfolio/orders", older(no_price=52, buy_max_cost=104))

    assert (refused, body["error"]["code"]) == (409, "fill_or_kill_insufficient_resting_volume")
    assert taken == 201


@pytest.mark.parametrize(
    ("wire", "gone", "kept"), [("current", "orders", "events/orders"), ("older", "events/orders", "orders")]
)
def test_an_option_switches_one_sides_order_paths_off(make, wire, gone, kept):
    venue = make(wire=wire)

    assert venue.send("POST", f"/portfolio/{gone}", {})[0] in (404, 405)
    assert venue.send("POST", f"/portfolio/{kept}", {})[0] == 400
    assert venue.send("GET", "/portfolio/orders")[0] == 200


def test_the_older_wire_alone_lacks_the_counts_of_the_current_one(make):
    market = make(wire="older").market()

    assert "volume_fp" not in market
    assert {"yes_bid", "yes_bid_dollars"} <= set(market)
