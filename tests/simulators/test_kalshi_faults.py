"""Fault script of the simulated Kalshi: grammar, selection, and every fault seen from outside."""

import json
import time
from email.utils import parsedate_to_datetime

import httpx
import kalshi_lab
import kalshi_sim
import pytest
from simulator import ROOT

from simulators.kalshi.fault_schema import ACTIONS
from simulators.kalshi.orders import Force
from simulators.rest.faults import FaultError

TICKER = kalshi_sim.TICKER
ORDERS = "/portfolio/events/orders"


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    markets = [kalshi_sim.market(), kalshi_sim.market("KXOTHER-14MAY06-A")]
    started = kalshi_sim.start(tmp_path_factory.mktemp("faults"), markets)
    yield started
    started.stop()


@pytest.fixture
def venue(process):
    yield process
    process.clear()


@pytest.fixture
def lab(tmp_path):
    return kalshi_lab.lab(kalshi_lab.catalogue(tmp_path))


def orders_of(venue, name):
    return [order for order in venue.get("/portfolio/orders", who=0)["orders"] if order["client_order_id"] == name]


def test_drop_reply_takes_the_order_and_breaks_the_connection(venue):
    fault = venue.fault("drop_reply", match={"path": "*/portfolio/events/orders"}, times=1)

    with pytest.raises(httpx.TransportError):
        venue.order(client_order_id="lost")

    assert venue.fired(fault) == 1
    assert [order["status"] for order in orders_of(venue, "lost")] == ["executed"]
    assert venue.order(client_order_id="lost").json()["error"]["code"] == "order_already_exists"
    assert venue.state()["created"]["lost"] == 1


def test_drop_request_does_nothing_and_breaks_the_connection(venue):
    fault = venue.fault("drop_request", match={"method": "POST"}, times=1)

    with pytest.raises(httpx.TransportError):
        venue.order(client_order_id="unsent")

    assert venue.fired(fault) == 1
    assert orders_of(venue, "unsent") == []
    assert venue.order(client_order_id="unsent").status_code == 201


def test_status_answers_before_or_after_the_work_is_done(venue):
    before = venue.fault("status", status=503, match={"method": "POST"}, times=1)
    first = venue.order(client_order_id="before")
    after = venue.fault("status", status=502, after_accept=True, retry_after=2, match={"method": "POST"}, times=1)
    second = venue.order(client_order_id="after")

    assert (first.status_code, second.status_code, second.headers["retry-after"]) == (503, 502, "2")
    assert "Bad Gateway" in second.text
    assert (orders_of(venue, "before"), len(orders_of(venue, "after"))) == ([], 1)
    assert (venue.fired(before), venue.fired(after)) == (1, 1)


def test_status_gives_the_body_it_is_told(venue):
    fault = venue.fault("status", status=400, body='{"error":{"code":"x"}}', match={"path": "*/markets"}, times=1)

    assert venue.get("/markets") == {"error": {"code": "x"}}
    assert venue.fired(fault) == 1


def test_delay_waits_and_a_client_gives_up_on_an_order_that_was_taken(venue):
    fault = venue.fault("delay", seconds=0.5, after_accept=True, match={"method": "POST"}, times=1)
    body = {"ticker": TICKER, "side": "bid", "price": "0.40", "count": "1.00", "client_order_id": "slow"}
    body |= {"time_in_force": "good_till_canceled", "self_trade_prevention_type": "maker"}
    one = venue.members[0]
    headers = kalshi_sim.signed_headers(one.key_id, one.private_pem, "POST", f"/trade-api/v2{ORDERS}")

    with pytest.raises(httpx.ReadTimeout):
        httpx.post(venue.base_url + ORDERS, json=body, headers=headers, timeout=0.2)

    assert venue.fired(fault) == 1
    assert len(orders_of(venue, "slow")) == 1


def test_non_json_garbles_a_good_answer(venue):
    fault = venue.fault("non_json", match={"path": "*/markets"}, times=1)

    reply = venue.send("GET", "/markets")

    assert (reply.status_code, reply.text) == (200, "<!doctype html>")
    assert venue.fired(fault) == 1


@pytest.mark.parametrize(("processed", "orders"), [(False, 0), (True, 1)])
def test_ok_without_order_is_a_success_that_names_no_order(venue, processed, orders):
    fault = venue.fault("ok_without_order", processed=processed, times=1)

    reply = venue.order(client_order_id=f"soft-{processed}")

    assert (reply.status_code, "order_id" in reply.json()) == (201, False)
    assert len(orders_of(venue, f"soft-{processed}")) == orders
    assert venue.fired(fault) == 1


def test_ok_without_order_meets_the_older_wire_too(venue):
    fault = venue.fault("ok_without_order", body="{}", times=1)
    asked = {"ticker": TICKER, "side": "yes", "action": "buy", "count": 1, "yes_price": 51}

    reply = venue.send("POST", "/portfolio/orders", asked)

    assert (reply.status_code, reply.json()) == (201, {})
    assert venue.fired(fault) == 1


def test_legacy_refused_answers_the_older_order_paths_as_removed(venue):
    fault = venue.fault("legacy_refused")
    asked = {"ticker": TICKER, "side": "yes", "action": "buy", "count": 1, "yes_price": 51, "client_order_id": "old"}

    replies = [venue.send("POST", "/portfolio/orders", asked), venue.send("DELETE", "/portfolio/orders/x")]

    assert [reply.status_code for reply in replies] == [410, 410]
    assert orders_of(venue, "old") == []
    assert venue.send("GET", "/portfolio/orders").status_code == 200
    assert venue.order().status_code == 201
    assert venue.fired(fault) == 2


def test_rate_limit_answers_without_a_time(venue):
    fault = venue.fault("rate_limit", match={"method": "POST"}, times=2)

    replies = [venue.order(client_order_id="limited") for _ in range(3)]

    assert [reply.status_code for reply in replies] == [429, 429, 201]
    assert replies[0].json() == {"error": "too many requests"}
    assert "retry-after" not in replies[0].headers
    assert venue.fired(fault) == 2


def test_late_listing_hides_a_new_order_for_a_while(venue):
    fault = venue.fault("late_listing", seconds=1.0, times=1)

    order = venue.order(client_order_id="hidden").json()["order_id"]
    hidden = orders_of(venue, "hidden"), venue.send("GET", f"/portfolio/orders/{order}").status_code
    deadline = time.monotonic() + 30
    while not orders_of(venue, "hidden"):
        assert time.monotonic() < deadline

    assert hidden == ([], 404)
    assert venue.fired(fault) == 1
    assert venue.order(client_order_id="hidden").status_code == 409


def test_partial_fill_fills_a_share(venue):
    fault = venue.fault("partial_fill", fraction=0.3, times=1)

    body = venue.order(number=10).json()

    assert (body["fill_count"], body["remaining_count"]) == ("3.00", "0.00")
    assert venue.fired(fault) == 1


def test_partial_fill_kills_a_fill_or_kill_order(venue):
    fault = venue.fault("partial_fill", fraction=0.9, times=1)

    reply = venue.order(number=10, time_in_force="fill_or_kill")

    assert reply.json()["error"]["code"] == "fill_or_kill_insufficient_resting_volume"
    assert venue.fired(fault) == 1


def test_wrong_cursor_repeats_a_page_or_leads_nowhere(venue):
    repeat = venue.fault("wrong_cursor", match={"path": "*/markets"}, times=1)
    first = venue.get("/markets", limit=1)
    again = venue.get("/markets", limit=1, cursor=first["cursor"])
    unknown = venue.fault("wrong_cursor", kind="unknown", times=1)
    lost = venue.get("/markets", limit=1)["cursor"]

    assert [page["markets"][0]["ticker"] for page in (first, again)] == [TICKER, TICKER]
    assert venue.send("GET", f"/markets?cursor={lost}").status_code == 400
    assert (venue.fired(repeat), venue.fired(unknown)) == (1, 1)


def test_exchange_paused_holds_from_when_it_is_added_until_it_is_removed(venue):
    fault = venue.fault("exchange_paused")
    paused = venue.order(), venue.get("/exchange/status")["trading_active"]
    fired = venue.fired(fault)
    venue.clear(fault)

    assert paused[0].json()["error"]["code"] == "exchange_is_paused"
    assert paused[1] is False
    assert fired == 1
    assert venue.order().status_code == 201


@pytest.mark.parametrize("seconds", [600, -600])
def test_clock_off_shows_in_the_date_and_refuses_what_is_signed_by_another_clock(venue, seconds):
    fault = venue.fault("clock_off", seconds=seconds)

    public, refused = venue.send("GET", "/markets", who=None), venue.send("GET", "/portfolio/balance")
    fired = venue.fired(fault)
    offset = parsedate_to_datetime(public.headers["date"]).timestamp() - time.time()
    venue.clear()

    assert offset == pytest.approx(seconds, abs=5)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "header_timestamp_expired")
    assert abs(parsedate_to_datetime(venue.send("GET", "/markets").headers["date"]).timestamp() - time.time()) < 5
    assert fired == 1


def test_put_away_moves_what_is_old_to_the_historical_pages(lab):
    early = lab.order("bid", "0.51", 1, force=Force.IOC)
    rests = lab.order("bid", "0.10", 1)
    lab.later(hours=2)
    late = lab.order("bid", "0.51", 2, force=Force.IOC)
    fault = lab.fault("put_away", seconds=3600)

    def listed(page, key, name):
        return [row[name] for row in lab.get(page)[key]]

    assert listed("/portfolio/orders", "orders", "order_id") == [late.id, rests.id]
    assert listed("/historical/orders", "orders", "order_id") == [early.id]
    assert listed("/portfolio/fills", "fills", "order_id") == [late.id]
    assert listed("/historical/fills", "fills", "order_id") == [early.id]
    assert lab.get("/historical/cutoff")["orders_updated_ts"] == "2014-05-06T08:00:00Z"
    assert lab.send("GET", f"/historical/markets/{TICKER}")[0] == 404
    lab.later(days=2)
    assert lab.send("GET", f"/markets/{TICKER}")[0] == 404
    assert lab.get(f"/historical/markets/{TICKER}")["market"]["status"] == "finalized"
    assert fault.fired == 1


def test_faults_choose_by_market_account_method_and_count(lab):
    by_market = lab.fault("status", status=500, match={"ticker": "KXTEST-*"})
    by_account = lab.fault("status", status=501, match={"account": "key-1"}, after=1, times=1)

    statuses = [
        lab.send("GET", f"/markets/{TICKER}")[0],
        lab.send("GET", "/markets", ticker=TICKER)[0],
        lab.send("POST", ORDERS, {"ticker": TICKER})[0],
        lab.send("POST", f"{ORDERS}/batched", {"orders": [{"ticker": TICKER}]})[0],
        lab.send("GET", "/exchange/status")[0],
        lab.send("GET", "/exchange/status", who=1)[0],
        lab.send("GET", "/exchange/status", who=1)[0],
        lab.send("GET", "/exchange/status", who=1)[0],
    ]

    assert statuses == [500, 500, 500, 500, 200, 200, 501, 200]
    assert (by_market.fired, by_account.seen, by_account.fired) == (4, 2, 1)


def test_faults_hold_within_their_window(lab):
    fault = lab.fault("status", status=500, between=["2014-05-06T07:10:00Z", "2014-05-06T07:20:00Z"])

    statuses = []
    for moment in ("07:09:59", "07:10:00", "07:19:59", "07:20:00"):
        lab.at(f"2014-05-06T{moment}Z")
        statuses.append(lab.send("GET", "/markets")[0])

    assert statuses == [200, 500, 500, 200]
    assert fault.fired == 2


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"action": "status", "status": 500}, "name"),
        ({"name": "a", "action": "explode"}, "action"),
        ({"name": "a", "action": "status"}, "status"),
        ({"name": "a", "action": "status", "status": 99}, "status"),
        ({"name": "a", "action": "delay", "seconds": -1}, "seconds"),
        ({"name": "a", "action": "delay", "seconds": 1, "wait": 1}, "wait"),
        ({"name": "a", "action": "rate_limit", "times": 0}, "times"),
        ({"name": "a", "action": "rate_limit", "match": {"host": "x"}}, "match"),
        ({"name": "a", "action": "rate_limit", "between": ["2014-05-06T07:00:00Z"]}, "between"),
        ({"name": "a", "action": "market_paused", "times": 1}, "times"),
        ({"name": "a", "action": "market_paused", "match": {"path": "*"}}, "match"),
        ({"name": "a", "action": "early_close", "closes_at": "noon"}, "closes_at"),
        ({"name": "a", "action": "disputed_result", "result": "maybe"}, "result"),
        ({"name": "a", "action": "late_settlement"}, "seconds"),
        ("fault", "faults[0]"),
    ],
)
def test_a_wrong_fault_is_refused_by_name(lab, fault, named):
    with pytest.raises(FaultError, match=named.replace("[", r"\[")):
        lab.venue.faults.add(fault, lab.venue.position)

    assert lab.venue.faults.faults == []


def test_control_pages_add_list_and_remove_faults(venue):
    url = f"{venue.url}/_sim/faults"

    bad = httpx.post(url, json=[{"name": "x", "action": "nothing"}])
    twice = httpx.post(url, json=[{"name": "x", "action": "rate_limit"}, {"name": "x", "action": "rate_limit"}])
    good = httpx.post(url, json={"name": "x", "action": "rate_limit", "match": {"path": "/none"}})
    listed = httpx.get(url).json()["faults"]
    removed = httpx.delete(url, params={"name": "x"}).json()

    assert (bad.status_code, twice.status_code, good.status_code) == (422, 422, 201)
    assert "expected one of" in bad.json()["error"]
    assert [fault["name"] for fault in listed] == ["x"]
    assert removed == {"removed": 1}
    assert httpx.get(f"{venue.url}/_sim/nothing").status_code == 404


def test_state_tells_accounts_orders_by_client_id_routes_and_faults(venue):
    venue.order(client_order_id="counted", number=2)
    venue.order(client_order_id="resting", price="0.10", time_in_force="good_till_canceled")

    state = venue.state()

    one = state["accounts"]["key-0"]
    assert state["created"]["counted"] == 1
    assert one["positions"][TICKER] >= 2
    assert "resting" in [order["client_order_id"] for order in one["resting"]]
    assert state["routes"]["POST /trade-api/v2/portfolio/events/orders"] >= 2
    assert "synthetic" in state["note"]
    seen = venue.requests()[-1]
    assert (seen["method"], seen["account"]) == ("POST", "key-0")
    assert json.loads(seen["body"])["client_order_id"] == "resting"


def test_every_fault_action_is_documented():
    text = (ROOT / "simulators/README.md").read_text().partition("## Kalshi")[2]

    assert [action for action in ACTIONS if f"| `{action}` |" not in text] == []
    wrong = [param for action in ACTIONS.values() for param in action.params if f"`{param}`" not in text]
    assert wrong == []
