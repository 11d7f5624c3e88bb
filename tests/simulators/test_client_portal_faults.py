"""What goes wrong at the simulated Client Portal gateway by script; each test sees its fault fire."""

import time

import httpx
import portal_sim
import pytest
from portal_sim import AAPL, ACCOUNT, IBM, SPY, ticket


@pytest.fixture(scope="module")
def running():
    started = portal_sim.start_portal("--limits", "off", accounts="DU1:1000000:margin")
    yield started
    started.stop()


@pytest.fixture
def gate(running):
    running.tidy()
    yield running
    running.tidy()


def refs(gate):
    return {row.get("order_ref") for row in gate.live()}


def test_child_that_is_refused_leaves_its_parent(gate):
    fault = gate.fault("child_refused", error="No stops here.", times=1)
    tickets = [
        ticket("BUY", 3, "LMT", price=100, cOID="ft-parent"),
        ticket("SELL", 3, "STP", price=90, cOID="ft-child", parentId="ft-parent"),
    ]
    parent, child = gate.confirm(gate.orders(tickets))
    listed = {row.get("order_ref"): row["status"] for row in gate.live()}

    assert gate.fired(fault) == 1
    assert (parent["local_order_id"], child) == ("ft-parent", {"error": "No stops here."})
    assert listed["ft-parent"] in ("PreSubmitted", "Submitted")
    assert listed.get("ft-child") in (None, "Cancelled")


def test_lost_reply_takes_the_order_and_breaks_the_connection(gate):
    fault = gate.fault("lost_reply", times=1)
    question = gate.order("BUY", 3, cOID="ft-lost")
    with pytest.raises(httpx.TransportError):
        gate.post(f"/iserver/reply/{question[0]['id']}", {"confirmed": True})
    again = gate.order("BUY", 3, cOID="ft-lost")

    assert "ft-lost" in refs(gate)
    assert "Local order ID=ft-lost" in again["error"]
    assert gate.fired(fault) == 1


def test_lost_reply_meets_changes_too(gate):
    order = gate.entered("BUY", 3, "LMT", price=165)
    fault = gate.fault("lost_reply", times=1)
    with pytest.raises(httpx.TransportError):
        gate.post(f"/iserver/account/{ACCOUNT}/order/{order}", ticket("BUY", 2, "LMT", price=165))

    assert gate.status(order)["total_size"] == "2.0"
    assert gate.fired(fault) == 1


def test_swallowed_order_is_acknowledged_and_never_there(gate):
    fault = gate.fault("swallowed_order", times=1)
    answer = gate.confirm(gate.order("BUY", 3, cOID="ft-gone"))

    assert answer[0]["order_status"] == "PreSubmitted"
    assert "ft-gone" not in refs(gate)
    assert gate.send("GET", f"/iserver/account/order/status/{answer[0]['order_id']}").status_code == 503
    assert gate.fired(fault) == 1
    assert "order_id" in gate.confirm(gate.order("BUY", 3, cOID="ft-gone"))[0]


def test_swallowed_order_can_be_lost_without_a_word(gate):
    fault = gate.fault("swallowed_order", times=1, acknowledged=False)
    with pytest.raises(httpx.TransportError):
        gate.confirm(gate.order("BUY", 3, "LMT", price=165, cOID="ft-silent"))

    assert "ft-silent" not in refs(gate)
    assert gate.fired(fault) == 1


def test_empty_preflight_leaves_prices_out_again_and_again(gate):
    fault = gate.fault("empty_preflight", times=3)
    gate.get("/iserver/accounts")
    rows = [gate.get("/iserver/marketdata/snapshot", conids=SPY, fields="31,84")[0] for _ in range(4)]

    assert [len(row) for row in rows[:3]] == [2, 2, 2]
    assert "31" in rows[3]
    assert gate.fired(fault) == 3


def test_extra_questions_follow_the_usual_ones(gate):
    fault = gate.fault("extra_questions", times=1, message_ids=["o382", "p12"])
    first = gate.order("BUY", 1)
    second = gate.post(f"/iserver/reply/{first[0]['id']}", {"confirmed": True})
    third = gate.post(f"/iserver/reply/{second[0]['id']}", {"confirmed": True})
    done = gate.post(f"/iserver/reply/{third[0]['id']}", {"confirmed": True})

    assert [found[0]["messageIds"] for found in (first, second, third)] == [["o10151"], ["o382"], ["p12"]]
    assert "order_id" in done[0]
    assert gate.fired(fault) == 1


def test_unknown_question_has_an_id_nobody_knows(gate):
    fault = gate.fault("unknown_question", times=1, text="Is this a good idea?")
    question = gate.order("BUY", 1, "LMT", price=166)

    assert (question[0]["messageIds"], question[0]["message"]) == (["o99999"], ["Is this a good idea?"])
    assert gate.fired(fault) == 1


@pytest.mark.parametrize("status", [400, 503])
def test_stale_reply_drops_the_order(gate, status):
    fault = gate.fault("stale_reply", times=1, status=status)
    question = gate.order("BUY", 1, cOID=f"ft-stale-{status}")
    stale = gate.send("POST", f"/iserver/reply/{question[0]['id']}", {"confirmed": True})
    again = gate.send("POST", f"/iserver/reply/{question[0]['id']}", {"confirmed": True})

    assert (stale.status_code, again.status_code) == (status, 400)
    assert f"ft-stale-{status}" not in refs(gate)
    assert gate.fired(fault) == 1


def test_reject_200_is_an_error_that_looks_like_success(gate):
    fault = gate.fault("reject_200", times=1, error="No trading permissions.")
    reply = gate.send("POST", f"/iserver/account/{ACCOUNT}/orders", {"orders": [ticket(cOID="ft-rejected")]})

    assert (reply.status_code, reply.json()) == (200, {"error": "No trading permissions."})
    assert "ft-rejected" not in refs(gate)
    assert gate.fired(fault) == 1


@pytest.mark.parametrize("taken", [False, True])
def test_duplicate_coid_is_said_of_a_new_id(gate, taken):
    fault = gate.fault("duplicate_coid", times=1, taken=taken)
    answer = gate.order("BUY", 1, "LMT", price=165, cOID=f"ft-duplicate-{taken}")

    assert f"Local order ID=ft-duplicate-{taken}" in answer["error"]
    assert (f"ft-duplicate-{taken}" in refs(gate)) is taken
    assert gate.fired(fault) == 1


def test_frozen_quotes_stand_still_while_the_market_moves():
    fast = portal_sim.start_portal("--limits", "off", speed=120)
    try:
        fast.fault("frozen_quotes", conid=SPY, name="frozen")
        fast.snapshot(SPY, AAPL, fields="31,87")
        asked = {"conids": f"{SPY},{AAPL}", "fields": "31,87"}
        first = fast.get("/iserver/marketdata/snapshot", **asked)
        fast.until(lambda: fast.get("/iserver/marketdata/snapshot", **asked)[1] != first[1])
        later = fast.get("/iserver/marketdata/snapshot", **asked)
        fired = fast.fired("frozen")
        fast.clear()
        thawed = fast.get("/iserver/marketdata/snapshot", **asked)
    finally:
        fast.stop()

    assert later[0] == first[0]
    assert thawed[0]["_updated"] > first[0]["_updated"]
    assert fired > 0


def test_delayed_quotes_say_so_and_a_halted_quote_is_marked(gate):
    now = gate.snapshot(SPY)[SPY]["_updated"]
    delayed = gate.fault("delayed_quotes", conid=SPY)
    halted = gate.fault("halted_quote", conid=AAPL)
    rows = gate.snapshot(SPY, AAPL)

    assert (rows[SPY]["6509"][0], rows[AAPL]["6509"][0]) == ("D", "R")
    assert now - rows[SPY]["_updated"] >= 14 * 60_000
    assert rows[AAPL]["31"].startswith("H")
    assert not rows[SPY]["31"].startswith("H")
    assert min(gate.fired(delayed), gate.fired(halted)) > 0


def test_partial_fill_stops_before_the_whole(gate):
    fault = gate.fault("partial_fill", times=1, quantity=4)
    order = gate.entered("BUY", 10)
    found = gate.status(order)

    assert (found["order_status"], found["cum_fill"], found["size_and_fills"]) == ("Submitted", "4.0", "4/10")
    assert gate.fired(fault) == 1


def test_the_children_of_a_partly_filled_parent_wait_with_what_it_filled(gate):
    fault = gate.fault("partial_fill", times=1, quantity=4)
    family = [
        ticket("BUY", 10, cOID="ft-part"),
        ticket("SELL", 10, "STP", price=100, tif="GTC", cOID="ft-part-stop", parentId="ft-part"),
    ]
    parent, child = (int(row["order_id"]) for row in gate.confirm(gate.orders(family)))

    assert gate.status(parent)["cum_fill"] == "4.0"
    assert gate.status(child)["order_status"] == "PreSubmitted"
    assert gate.fired(fault) == 1


def test_late_fill_after_cancel_fills_an_order_that_is_cancelled(gate):
    fault = gate.fault("late_fill_after_cancel", times=1)
    order = gate.entered("BUY", 5, "LMT", price=160, cOID="ft-late")
    gate.send("DELETE", f"/iserver/account/{ACCOUNT}/order/{order}")
    gate.until(lambda: gate.status(order)["order_status"] == "Cancelled")
    trades = gate.until(lambda: [row for row in gate.trades() if row.get("order_ref") == "ft-late"])

    assert [row["size"] for row in trades] == [5.0]
    assert gate.status(order)["order_status"] == "Cancelled"
    assert gate.fired(fault) == 1


def test_orders_cache_empty_hides_what_is_there(gate):
    gate.entered("BUY", 1, "LMT", price=160)
    gate.live()
    fault = gate.fault("orders_cache_empty", times=2)
    found = [gate.get("/iserver/account/orders") for _ in range(3)]

    assert [len(reply["orders"]) > 0 for reply in found] == [False, False, True]
    assert gate.fired(fault) == 2


def test_missing_child_leaves_children_out_of_the_list(gate):
    family = [
        ticket("BUY", 2, cOID="ft-family"),
        ticket("SELL", 2, "STP", price=100, tif="GTC", cOID="ft-child", parentId="ft-family"),
    ]
    gate.confirm(gate.orders(family))
    gate.live()
    fault = gate.fault("missing_child", times=1)
    without, with_child = refs(gate), refs(gate)

    assert {"ft-family", "ft-child"} & without == {"ft-family"}
    assert {"ft-family", "ft-child"} <= with_child
    assert gate.fired(fault) == 1


def test_inactive_order_is_taken_and_does_nothing(gate):
    fault = gate.fault("inactive_order", times=1, reason="Not permissioned.")
    answer = gate.confirm(gate.order("BUY", 2))
    row = next(row for row in gate.live() if row["orderId"] == int(answer[0]["order_id"]))

    assert answer[0]["order_status"] == "Inactive"
    assert row["order_cancellation_by_system_reason"] == "Not permissioned."
    assert gate.status(answer[0]["order_id"])["cum_fill"] == "0.0"
    assert gate.fired(fault) == 1


def test_error_500_before_and_after_the_order_is_taken(gate):
    path = f"/iserver/account/{ACCOUNT}/orders"
    before = gate.fault("error_500", times=1, match={"path": f"*{path}"})
    refused = gate.send("POST", path, {"orders": [ticket(kind="LMT", price=165, cOID="ft-before")]})
    after = gate.fault("error_500", times=1, after_accept=True, match={"path": f"*{path}"})
    taken = gate.send("POST", path, {"orders": [ticket(kind="LMT", price=165, cOID="ft-after")]})

    assert (refused.status_code, taken.status_code) == (500, 500)
    assert {"ft-before", "ft-after"} & refs(gate) == {"ft-after"}
    assert (gate.fired(before), gate.fired(after)) == (1, 1)


@pytest.mark.parametrize("after_accept", [False, True])
def test_slow_answers_late(gate, after_accept):
    fault = gate.fault("slow", times=1, seconds=0.3, after_accept=after_accept)
    begun = time.monotonic()
    gate.post("/tickle")

    assert time.monotonic() - begun >= 0.3
    assert gate.fired(fault) == 1


def test_split_changes_prices_and_positions_and_does_with_orders_as_told(gate):
    gate.entered("BUY", 10, conid=AAPL)
    stop = gate.entered("SELL", 10, "STP", price=560, conid=AAPL, tif="GTC")
    before = float(gate.snapshot(AAPL)[AAPL]["31"])
    fault = gate.fault("split", conid=AAPL, new=7, old=1, orders="cancel")
    gate.post("/tickle")
    gate.get("/portfolio/accounts")
    gate.post(f"/portfolio/{ACCOUNT}/positions/invalidate")
    held = {row["ticker"]: row["position"] for row in gate.get(f"/portfolio/{ACCOUNT}/positions/0")}
    after = float(gate.snapshot(AAPL)[AAPL]["31"])

    assert held["AAPL"] % 7 == 0
    assert held["AAPL"] >= 70
    assert after == pytest.approx(before / 7, rel=0.02)
    assert gate.status(stop)["order_status"] == "Cancelled"
    assert gate.fired(fault) == 1


def test_the_faults_of_every_simulator_work_here_too(gate):
    faults = [
        gate.fault("status", times=1, status=418),
        gate.fault("malformed", times=1),
        gate.fault("drop", times=1, after=2),
    ]
    forced = gate.send("POST", "/tickle")
    cut = gate.send("POST", "/tickle")
    with pytest.raises(httpx.TransportError):
        gate.send("POST", "/tickle")

    assert forced.status_code == 418
    assert not cut.text.endswith("}")
    assert [gate.fired(name) for name in faults] == [1, 1, 1]


def test_a_wrong_fault_is_refused_with_the_name_of_its_field(gate):
    reply = httpx.post(
        f"{gate.url}/_sim/faults", json={"name": "x", "action": "split", "conid": SPY, "new": 0, "old": 1}
    )

    assert reply.status_code == 422
    assert "new" in reply.json()["error"]


def test_list_of_executions_can_be_empty_once_more(gate):
    gate.entered("BUY", 1, "MKT", cOID="ft-trades-gone")
    gate.until(lambda: any(row.get("order_ref") == "ft-trades-gone" for row in gate.trades()))
    fault = gate.fault("trades_cache_empty", times=1)
    empty, full = (gate.get("/iserver/account/trades") for _ in range(2))

    assert (empty, bool(full)) == ([], True)
    assert gate.fired(fault) == 1


def test_positions_can_lag_behind_what_was_bought_though_the_cache_is_emptied(gate):
    def shown():
        gate.post(f"/portfolio/{ACCOUNT}/positions/invalidate")
        return sum(row["position"] for row in gate.get(f"/portfolio/{ACCOUNT}/positions/0") if row["ticker"] == "IBM")

    gate.get("/portfolio/accounts")
    before = shown()
    fault = gate.fault("stale_positions", times=1)
    gate.trade_by_hand(IBM, 3)
    late, now = shown(), shown()

    assert (late, now) == (before, before + 3)
    assert gate.fired(fault) == 1


def test_listing_abroad_shows_its_own_number_and_currency(gate):
    gate.get("/portfolio/accounts")
    gate.trades()
    fault = gate.fault("foreign_holding", quantity=7)
    (held,) = [row for row in gate.get(f"/portfolio/{ACCOUNT}/positions/0") if row["currency"] == "MXN"]
    (sold,) = [row for row in gate.trades() if row["exchange"] == "MEXI"]
    (company,) = gate.get("/trsrv/stocks", symbols="AAPL")["AAPL"]
    abroad = {row["conid"]: row["exchange"] for row in company["contracts"] if not row["isUS"]}

    assert gate.fired(fault) == 2
    assert (held["ticker"], held["isUS"], held["position"]) == ("AAPL", False, 7)
    assert (sold["symbol"], sold["side"], sold["size"]) == ("AAPL", "S", 7)
    assert abroad[held["conid"]] == abroad[sold["conid"]] == "MEXI"


def test_one_order_can_be_missing_from_the_list(gate):
    gate.entered("BUY", 1, "LMT", price=100, cOID="ft-left-out")
    fault = gate.fault("missing_order", ref="ft-left-out", times=1)
    without, whole = ({row.get("order_ref") for row in gate.live()} for _ in range(2))

    assert "ft-left-out" not in without
    assert "ft-left-out" in whole
    assert gate.fired(fault) == 1
