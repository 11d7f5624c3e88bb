"""Every fault the OANDA venue can be scripted to have, seen from the client and from its own counters."""

import json
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import requests
from oandapyV20.endpoints.orders import OrderCreate
from oandapyV20.endpoints.pricing import PricingStream
from oandapyV20.exceptions import V20Error

from simulators.oanda.fault_schema import ACTIONS

ACCOUNT = "101-001-1-001"
BASE = f"/v3/accounts/{ACCOUNT}"
BRACKET = {"stopLossOnFill": {"distance": "0.05000"}, "takeProfitOnFill": {"price": "1.50000"}}


def order(units=1, **fields):
    return {"order": {"type": "MARKET", "instrument": "EUR_USD", "units": str(units), **fields}}


@pytest.fixture
def client(slow):
    with closing(slow.client()) as found:
        yield found


@pytest.fixture
def fired(slow):
    """A check that a fault fired so many times by the simulator's own count."""

    def check(name, times=1):
        assert times == slow.state()["faults"][name]

    return check


def last_id(client):
    return int(client.get(f"{BASE}/summary").json()["lastTransactionID"])


def test_reply_dropped_after_accept_leaves_a_filled_order_behind(slow, client, fired):
    before = last_id(client)
    slow.fault(name="drop", action="drop_after_accept", match={"method": "POST"}, times=1)

    with pytest.raises(requests.exceptions.ConnectionError):
        slow.sdk().request(OrderCreate(ACCOUNT, data=order(clientExtensions={"id": "lost-reply"})))

    fired("drop")
    found = client.get(f"{BASE}/orders/@lost-reply").json()["order"]
    assert found["state"] == "FILLED"
    assert last_id(client) - before == 2


def test_request_dropped_before_accept_leaves_nothing_behind(slow, client, fired):
    before = last_id(client)
    slow.fault(name="drop", action="drop_before_accept", match={"path": "*/orders"}, times=1)

    with pytest.raises(httpx.RemoteProtocolError):
        client.post(f"{BASE}/orders", json=order())

    fired("drop")
    assert before == last_id(client)
    assert client.post(f"{BASE}/orders", json=order()).status_code == 201


def test_status_fault_answers_without_processing(slow, client, fired):
    before = last_id(client)
    slow.fault(name="busy", action="status", status=429, retry_after=3, match={"method": "POST"}, times=2, after=1)

    codes = [client.post(f"{BASE}/orders", json=order()) for _ in range(4)]

    assert [reply.status_code for reply in codes] == [201, 429, 429, 201]
    assert codes[1].headers["Retry-After"] == "3"
    fired("busy", 2)
    assert last_id(client) - before == 4


def test_bad_gateway_is_html_and_may_come_after_the_order_was_taken(slow, client, fired):
    before = last_id(client)
    slow.fault(name="gateway", action="status", status=502, after_accept=True, match={"method": "POST"})

    reply = client.post(f"{BASE}/orders", json=order())

    assert (reply.status_code, reply.headers["Content-Type"]) == (502, "text/html")
    assert reply.text.startswith("<html>")
    fired("gateway")
    assert last_id(client) - before == 2


@pytest.mark.parametrize("after_accept", [False, True])
def test_delay_outlasts_the_clients_patience_but_not_the_order(slow, client, fired, eventually, after_accept):
    before = last_id(client)
    slow.fault(name="slow", action="delay", seconds=0.4, after_accept=after_accept, match={"method": "POST"}, times=1)

    with pytest.raises(httpx.ReadTimeout):
        client.post(f"{BASE}/orders", json=order(), timeout=0.2)

    fired("slow")
    assert eventually(lambda: last_id(client) - before) == 2


def test_success_without_json_is_still_a_success(slow, client, fired):
    slow.fault(name="html", action="non_json", match={"path": "*/summary"}, times=1)

    reply = client.get(f"{BASE}/summary")

    assert (reply.status_code, reply.text) == (200, "<!doctype html>")
    fired("html")


def test_forced_reject_writes_a_reject_transaction(slow, fired):
    slow.fault(name="no", action="reject", reason="INSTRUMENT_NOT_TRADEABLE", times=1)

    with pytest.raises(V20Error, match="INSTRUMENT_NOT_TRADEABLE"):
        slow.sdk().request(OrderCreate(ACCOUNT, data=order()))

    fired("no")


def test_forced_cancel_is_a_201(slow, client, fired):
    slow.fault(name="cancel", action="cancel_201", reason="FIFO_VIOLATION", times=1)

    reply = client.post(f"{BASE}/orders", json=order())

    assert (reply.status_code, reply.json()["orderCancelTransaction"]["reason"]) == (201, "FIFO_VIOLATION")
    fired("cancel")


def test_thin_market_cancels_fill_or_kill_and_half_fills_immediate_or_cancel(slow, client, fired):
    slow.fault(name="thin", action="partial_fill", fraction=0.4, times=2)

    kill = client.post(f"{BASE}/orders", json=order(100, timeInForce="FOK")).json()
    part = client.post(f"{BASE}/orders", json=order(100, timeInForce="IOC", positionFill="OPEN_ONLY")).json()

    assert kill["orderCancelTransaction"]["reason"] == "INSUFFICIENT_LIQUIDITY"
    assert "40" == part["orderFillTransaction"]["units"] == part["orderFillTransaction"]["tradeOpened"]["units"]
    fired("thin", 2)


@pytest.mark.parametrize(("legs", "left"), [(None, set()), (["stopLoss"], {"takeProfitOrder"})])
def test_bracket_is_lost_in_silence(slow, client, fired, legs, left):
    slow.fault(name="lost", action="lose_bracket", times=1, **({} if legs is None else {"legs": legs}))

    body = client.post(f"{BASE}/orders", json=order(5, positionFill="OPEN_ONLY", **BRACKET)).json()
    trade = client.get(f"{BASE}/trades/{body['orderFillTransaction']['id']}").json()["trade"]

    assert {"stopLossOnFill", "takeProfitOnFill"} < set(body["orderCreateTransaction"])
    assert left == {key for key in trade if key.endswith("Order")}
    fired("lost")


def test_new_order_is_not_found_for_a_while(slow, client, fired, eventually):
    slow.fault(name="lag", action="order_not_found_lag", seconds=0.4, times=1)

    order_id = client.post(f"{BASE}/orders", json=order()).json()["orderCreateTransaction"]["id"]
    early = client.get(f"{BASE}/orders/{order_id}")

    assert (early.status_code, early.json()["errorCode"]) == (404, "NO_SUCH_ORDER")
    assert eventually(lambda: client.get(f"{BASE}/orders/{order_id}").status_code == 200)
    fired("lag")


def test_late_fill_is_neither_listed_nor_counted_until_it_is_due(slow, client, fired, eventually):
    slow.fault(name="late", action="late_transactions", seconds=0.4, times=1)

    body = client.post(f"{BASE}/orders", json=order()).json()
    first = int(body["orderCreateTransaction"]["id"])

    def since():
        return client.get(f"{BASE}/transactions/sinceid", params={"id": first - 1}).json()

    assert (["MARKET_ORDER"], str(first)) == (
        [i["type"] for i in since()["transactions"]],
        since()["lastTransactionID"],
    )
    assert eventually(lambda: len(since()["transactions"]) == 2)
    fired("late")


def test_transactions_come_twice_in_reply_and_stream(slow, client, fired):
    before = last_id(client)
    slow.fault(name="twice", action="duplicate_transactions")
    with client.stream("GET", f"{BASE}/transactions/stream") as reply:
        lines = reply.iter_lines()
        next(lines)
        with closing(slow.client()) as other:
            other.post(f"{BASE}/orders", json=order())
            listed = other.get(f"{BASE}/transactions/sinceid", params={"id": before}).json()["transactions"]
        streamed = [json.loads(next(lines)) for _ in range(4)]

    pattern = [str(before + 1), str(before + 1), str(before + 2), str(before + 2)]
    assert pattern == [item["id"] for item in listed] == [item["id"] for item in streamed]
    fired("twice", 3)


def lines_for(client, seconds, path=f"{BASE}/pricing/stream?instruments=EUR_USD,NZD_USD"):
    """Read a stream for a while; return its lines."""
    found, deadline = [], time.monotonic() + seconds
    with client.stream("GET", path, timeout=seconds) as reply:
        try:
            for line in reply.iter_lines():
                found.append(json.loads(line))
                if time.monotonic() > deadline:
                    break
        except httpx.ReadTimeout:
            pass
    return found


def test_stalled_instrument_is_silent_while_others_go_on(fast):
    fast.fault(name="stall", action="stall_stream", instruments=["EUR_USD"])
    with closing(fast.client()) as client:
        lines = lines_for(client, 1.0)[2:]

    assert {"NZD_USD"} == {line["instrument"] for line in lines}
    assert fast.state()["faults"]["stall"] == 1


def test_stalled_stream_keeps_its_heartbeats_five_wall_seconds_apart(fast):
    fast.fault(name="stall", action="stall_stream")
    with closing(fast.client()) as client, client.stream("GET", f"{BASE}/pricing/stream?instruments=EUR_USD") as reply:
        lines = (json.loads(line) for line in reply.iter_lines())
        first, began = next(lines), time.monotonic()
        then, waited = next(lines), time.monotonic() - began

    assert (first["type"], then["type"]) == ("PRICE", "HEARTBEAT")
    # at six hundred times the speed of the wall clock
    assert 4.5 < waited < 5.5


def test_muted_stream_sends_nothing_and_a_later_one_is_well(fast):
    fast.fault(name="mute", action="mute_stream", times=1)
    with closing(fast.client()) as client:
        muted, well = lines_for(client, 0.8), lines_for(client, 0.8)

    assert len(muted) == 2
    assert len(well) > 4
    assert fast.state()["faults"]["mute"] == 1


def test_mute_lifts_after_its_seconds(fast):
    fast.fault(name="mute", action="mute_stream", seconds=0.4, times=1)
    with closing(fast.client()) as client:
        assert len(lines_for(client, 1.5)) > 4


def test_cut_stream_breaks_the_chunked_reply(fast):
    fast.fault(name="cut", action="cut_stream", after_seconds=0.3, times=1)

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        for _ in fast.sdk().request(PricingStream(ACCOUNT, params={"instruments": "EUR_USD"})):
            pass

    assert fast.state()["faults"]["cut"] == 1


def test_ended_stream_just_stops(fast):
    fast.fault(name="end", action="end_stream", after_seconds=0.3, times=1)

    lines = list(fast.sdk().request(PricingStream(ACCOUNT, params={"instruments": "EUR_USD"})))

    assert lines
    assert fast.state()["faults"]["end"] == 1


def test_fault_added_later_reaches_an_open_stream(fast):
    with closing(fast.client()) as client, client.stream("GET", f"{BASE}/transactions/stream") as reply:
        lines = reply.iter_lines()
        next(lines)
        fast.fault(name="end", action="end_stream", match={"path": "*/transactions/stream"})

        assert list(lines) == []


def test_forced_weekend_halts_between_two_times(lab):
    lab.venue.faults.add(
        [{"name": "halt", "action": "weekend", "between": ["2014-05-02T12:00:00Z", "2014-05-02T13:00:00Z"]}], 0
    )
    trade = lab.order(100, stopLossOnFill={"distance": "0.00100"})[1]["orderFillTransaction"]["id"]

    halted = lab.at("2014-05-02T12:45:00Z").order(1)[1]
    price = lab.get("pricing", instruments="EUR_USD")["prices"][0]
    still_open = lab.get(f"trades/{trade}")["trade"]["state"]
    lab.at("2014-05-02T13:00:01Z")
    fill = next(item for item in lab.transactions() if item.get("reason") == "STOP_LOSS_ORDER")

    assert halted["orderCancelTransaction"]["reason"] == "MARKET_HALTED"
    assert (price["tradeable"], price["time"][:16]) == (False, "2014-05-02T11:59")
    # the stop was passed while nothing traded; it fills on the first quote after
    assert still_open == "OPEN"
    assert fill["time"][:19] == "2014-05-02T13:00:00"
    assert lab.venue.faults.faults[0].fired > 0


def test_frozen_quote_stands_still_while_orders_meet_the_market(lab):
    before = lab.quote()
    span = ["2014-05-02T10:00:00Z", "2014-05-02T11:00:00Z"]
    lab.venue.faults.add([{"name": "ice", "action": "freeze_quote", "instruments": ["EUR_USD"], "between": span}], 0)

    lab.at("2014-05-02T10:30:00Z")
    frozen, state = lab.quote(), lab.send("GET", "/_sim/state")[1]
    fill = lab.order(1)[1]["orderFillTransaction"]["price"]
    thawed = lab.at("2014-05-02T11:00:01Z").quote()

    assert before == frozen != thawed
    assert state["faults"]["ice"] > 0
    assert state["quotes"]["EUR_USD"]["ask"] == fill != str(frozen[1])


def test_fault_can_be_for_one_account_and_one_time_span(make_lab):
    lab = make_lab()
    span = ["2014-05-02T10:30:00Z", "2014-05-02T10:40:00Z"]
    script = {"action": "cancel_201", "reason": "MARKET_HALTED"}
    lab.venue.faults.add([{"name": "a", "match": {"account": "someone-else"}, **script}], 0)
    lab.venue.faults.add([{"name": "b", "between": span, **script}], 0)

    assert "orderFillTransaction" in lab.order(1)[1]
    assert "orderCancelTransaction" in lab.at("2014-05-02T10:35:00Z").order(1)[1]
    assert "orderFillTransaction" in lab.at("2014-05-02T10:40:00Z").order(1)[1]
    assert lab.send("GET", "/_sim/state")[1]["faults"] == {"a": 0, "b": 1}


GOOD = {"name": "f", "action": "status", "status": 500}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"action": "explode"}, "faults[0].action"),
        ({"name": None}, "faults[0].name"),
        ({"status": 200}, "faults[0].status"),
        ({"times": 0}, "faults[0].times"),
        ({"after": -1}, "faults[0].after"),
        ({"between": ["2014-05-02T10:00:00Z"]}, "faults[0].between"),
        ({"match": {"host": "x"}}, "faults[0].match"),
        ({"fraction": 0.5}, "faults[0].fraction"),
        ({"retry_after": "soon"}, "faults[0].retry_after"),
        ({"action": "delay"}, "faults[0].status"),
        ({"action": "weekend", "status": None}, "faults[0].status"),
    ],
)
def test_bad_fault_names_its_field(slow, change, field):
    reply = httpx.post(f"{slow.url}/_sim/faults", json=[{**GOOD, **change}])

    assert reply.status_code == 422
    assert reply.json()["error"].startswith(field)
    assert httpx.get(f"{slow.url}/_sim/faults").json()["faults"] == []


def test_missing_parameter_and_taken_name_are_refused(slow):
    slow.fault(**GOOD, match={"path": "/v3/none"})

    missing = httpx.post(f"{slow.url}/_sim/faults", json=[{"name": "g", "action": "partial_fill"}])
    taken = httpx.post(f"{slow.url}/_sim/faults", json=GOOD)

    market = httpx.post(f"{slow.url}/_sim/faults", json={"name": "h", "action": "weekend", "match": {"account": "*"}})
    fills = {"name": "h", "action": "late_transactions", "seconds": 1, "match": {"path": "*"}}
    late = httpx.post(f"{slow.url}/_sim/faults", json=fills)

    assert "faults[0].match" in market.json()["error"]
    assert "faults[0].match" in late.json()["error"]
    assert "faults[0].fraction" in missing.json()["error"]
    assert "faults[0].name" in taken.json()["error"]
    assert httpx.delete(f"{slow.url}/_sim/faults", params={"name": "f"}).json() == {"removed": 1}


def test_readme_names_every_action():
    text = (Path(__file__).parents[2] / "simulators" / "README.md").read_text()

    assert [action for action in ACTIONS if f"`{action}`" not in text] == []
