"""Stocks at the Client Portal simulator: one entry, one stop, one exit, whatever goes wrong in between."""

from dataclasses import replace
from decimal import Decimal as D

import pytest
from portal_venue import PortalVenue

from tbot_client.brokers.ibkr import IbkrBroker
from tbot_client.brokers.ibkr_wire import NoSession
from tbot_client.clock import parse_clock
from tbot_client.config import Broker
from tbot_client.errors import Refused, Retry, Unreachable
from tbot_client.status import as_text, summary

ORDERS = "*/iserver/account/DU1/orders"
REPLY = "*/iserver/reply/*"


@pytest.fixture
def live(client, feed, portal_venue, make_ibkr):
    """Return the client trading on the simulator, feed and venue on one clock; a run begins as after a restart."""
    client.clock = parse_clock(portal_venue.spec)
    feed.now = client.clock.now
    client.with_(size={"units": D(10)}, limits={"max_drift_bp": D(100)})
    client.waits = {}
    run, running = client.run_once, client.running

    def run_once():
        client.broker = make_ibkr(**client.waits)
        return run()

    def stay():
        client.broker = make_ibkr(**client.waits)
        return running()

    client.run_once, client.running = run_once, stay
    return client


@pytest.fixture
def publish(feed, portal_venue):
    """Return a function that publishes an open at the venue's price, with a stop ten percent away."""

    def publish(market="AIG", side="buy", **fields):
        bid, ask = map(D, portal_venue.quote(market))
        price, sign = (ask, 1) if side == "buy" else (bid, -1)
        stop = (price * (1 - D("0.1") * sign)).quantize(D("0.01"))
        levels = {"reference_price": str(price), "stop_loss": str(stop), "take_profit": None, "trailing_percent": "10"}
        return feed.open(**({"market": market, "side": side} | levels | fields))

    return publish


def stem(signal):
    return f"tc-{signal[4:]}"


def legs(portal_venue, signal, found=None):
    rows = portal_venue.orders(stem(signal)) if found is None else found
    return {ref.removeprefix(stem(signal) + "-"): row["status"] for ref, row in rows.items()}


def test_an_open_is_entered_protected_by_a_trailing_child_and_sold_with_its_signal(live, feed, portal_venue, publish):
    signal = publish()
    assert live.run_once() == 0
    (fill,) = feed.bodies(signal, "executed")
    stop = portal_venue.live(stem(signal))[f"{stem(signal)}-stop-1"]
    assert (fill["quantity"], portal_venue.held()) == ("10", 10)
    assert (stop["origOrderType"], stop["trailingType"], stop["trailingAmt"]) == ("TRAILING_STOP", "%", "10")
    assert (stop["timeInForce"], stop["remainingQuantity"]) == ("GTC", 10)
    assert "trailing 10 %" in as_text(summary(live.home, live.clock, live.config))

    feed.end(signal, market="AIG", exit_price="48.00", reason="stale")
    assert live.run_once() == 0

    (outcome,) = feed.bodies(signal, "resolved")
    assert (outcome["reason"], outcome["quantity"], outcome["currency"]) == ("stale", "10", "USD")
    assert D(outcome["realised"]) == (D(outcome["price"]) - D(fill["price"])) * 10 - D(2) * D("1.00")
    assert legs(portal_venue, signal) == {"entry-1": "Filled", "stop-1": "Cancelled", "exit-1": "Filled"}
    assert portal_venue.held() == 0
    for canary in ("DU1", "100000", portal_venue.url):
        assert canary.encode() not in feed.wire, canary


@pytest.mark.parametrize(
    "levels", [{"trailing_percent": None}, {"trailing_percent": None, "trailing_distance": "2.00"}]
)
def test_the_stop_is_of_the_kind_the_signal_asks_for(live, portal_venue, publish, levels):
    signal = publish(**levels)
    live.run_once()

    stop = portal_venue.live(stem(signal))[f"{stem(signal)}-stop-1"]
    assert stop["origOrderType"] == ("TRAILING_STOP" if "trailing_distance" in levels else "STOP")


def test_a_stop_that_fills_at_the_broker_ends_the_trade_without_a_signal(live, feed, portal_venue, publish):
    signal = publish(trailing_percent="0.05")
    live.run_once()
    with live.running():
        live.until(lambda: "resolved" in feed.stages(signal), 60)

    assert feed.bodies(signal, "resolved")[0]["reason"] == "trailing_stop"
    assert portal_venue.held() == 0
    assert legs(portal_venue, signal) == {"entry-1": "Filled", "stop-1": "Filled"}


def test_a_target_rests_beside_the_stop_and_both_go_with_the_exit(live, feed, portal_venue, publish):
    signal = publish(take_profit="60.00", trailing_percent=None)
    live.run_once()
    assert legs(portal_venue, signal, portal_venue.live(stem(signal))).keys() == {"stop-1", "target-1"}
    feed.end(signal, market="AIG", exit_price="48.00")
    live.run_once()

    assert (portal_venue.held(), portal_venue.live(stem(signal))) == (0, {})
    assert "resolved" in feed.stages(signal)


def test_an_amend_moves_the_resting_stop_and_leaves_one(live, feed, portal_venue, publish):
    signal = publish(trailing_percent=None)
    live.run_once()
    before = D(portal_venue.live(stem(signal))[f"{stem(signal)}-stop-1"]["stop_price"])
    feed.amend(signal, market="AIG", stop_loss=str(before + 2), take_profit=None)
    live.run_once()

    (stop,) = portal_venue.live(stem(signal)).values()
    assert D(stop["stop_price"]) == before + 2
    assert live.state.trades[signal].resting.stop == before + 2


def test_a_trailing_stop_that_came_closer_is_not_loosened_by_an_amend(live, feed, portal_venue, publish):
    signal = publish(trailing_percent="5")
    live.run_once()
    before = D(portal_venue.live(stem(signal))[f"{stem(signal)}-stop-1"]["stop_price"])
    feed.amend(signal, market="AIG", stop_loss=str(before - 1), take_profit=None)
    live.run_once()

    (stop,) = portal_venue.live(stem(signal)).values()
    assert (D(stop["stop_price"]) >= before, stop["trailingAmt"]) == (True, "5")


def test_a_split_scales_what_is_held_and_its_stop(live, feed, portal_venue, publish):
    signal = publish("TWX", trailing_percent=None)
    live.run_once()
    stop = D(portal_venue.live(stem(signal))[f"{stem(signal)}-stop-1"]["stop_price"])
    name = portal_venue.fault("split", conid=58666491, new=2, old=1, orders="cancel")
    portal_venue.quote("TWX")
    feed.amend(signal, market="TWX", stop_loss=str((stop / 2).quantize(D("0.01"))), take_profit=None, reason="split")
    live.run_once()

    (resting,) = portal_venue.live(stem(signal)).values()
    assert (portal_venue.fired(name), portal_venue.held("TWX"), resting["remainingQuantity"]) == (1, 20, 20)
    feed.end(signal, market="TWX", exit_price="24.00")
    live.run_once()
    assert portal_venue.held("TWX") == 0
    assert feed.bodies(signal, "resolved")[0]["quantity"] == "20"


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("lost_reply", {}),
        ("swallowed_order", {"acknowledged": True}),
        ("swallowed_order", {"acknowledged": False}),
        ("duplicate_coid", {"taken": True}),
        ("duplicate_coid", {"taken": False}),
        ("stale_reply", {"status": 400}),
        ("stale_reply", {"status": 503}),
        ("drop", {"match": {"path": ORDERS}}),
        ("error_500", {"match": {"path": REPLY}, "after_accept": True}),
        ("malformed", {"match": {"path": REPLY}}),
        ("extra_questions", {}),
        ("no_session", {"form": "401", "match": {"path": ORDERS}}),
        ("no_session", {"form": "body", "match": {"path": ORDERS}}),
        ("orders_cache_empty", {}),
        ("missing_child", {"times": 2}),
        ("session_expired", {"match": {"path": ORDERS}}),
        ("competing_session", {"match": {"path": ORDERS}}),
    ],
)
def test_a_fault_on_the_entry_leaves_exactly_one_with_one_stop(live, feed, portal_venue, publish, action, fields):
    name = portal_venue.fault(action, **({"times": 1} | fields))
    signal = publish()
    assert live.run_once() == 0

    assert portal_venue.fired(name) >= 1
    assert feed.stages(signal) == ["ack", "executed"]
    assert portal_venue.held() == 10
    assert legs(portal_venue, signal)["entry-1"] == "Filled"
    assert len(portal_venue.live(stem(signal))) == 1


@pytest.mark.parametrize("action", ["lost_reply", "swallowed_order", "stale_reply", "error_500", "no_session"])
def test_a_fault_on_the_exit_sells_once(live, feed, portal_venue, publish, action):
    portal_venue.by_hand(5)
    signal = publish()
    live.run_once()
    more = {"match": {"path": REPLY}, "after_accept": True} if action == "error_500" else {}
    more = {"match": {"path": ORDERS}} if action == "no_session" else more
    name = portal_venue.fault(action, times=1, **more)
    feed.end(signal, market="AIG", exit_price="48.00")
    assert live.run_once() == 0

    assert portal_venue.fired(name) == 1
    assert portal_venue.held() == 5
    assert len(feed.bodies(signal, "resolved")) == 1
    assert portal_venue.live(stem(signal)) == {}


def test_what_an_entry_does_not_get_at_once_is_taken_back_and_its_stop_shrinks(live, feed, portal_venue, publish):
    name = portal_venue.fault("partial_fill", quantity=4, times=1)
    signal = publish()
    live.run_once()

    (fill,) = feed.bodies(signal, "executed")
    (stop,) = portal_venue.live(stem(signal)).values()
    assert portal_venue.fired(name) == 1
    assert (fill["quantity"], fill["ordered_quantity"], portal_venue.held()) == ("4", "10", 4)
    assert (stop["totalSize"], legs(portal_venue, signal)["entry-1"]) == (4, "Cancelled")


def test_an_entry_nobody_fills_is_reported_as_not_traded(live, feed, portal_venue, publish):
    name = portal_venue.fault("inactive_order", times=1)
    signal = publish()
    live.run_once()

    assert portal_venue.fired(name) == 1
    assert [body.get("reason") for body in feed.bodies(signal)] == [None, "broker:INACTIVE"]
    assert portal_venue.held() == 0


@pytest.mark.parametrize(
    ("action", "reason"), [("reject_200", "broker:REJECTED"), ("unknown_question", "broker:QUESTION:o99999")]
)
def test_a_refusal_and_a_question_nobody_knows_are_told_without_what_they_say(
    live, feed, portal_venue, publish, action, reason
):
    words = {"error": "EQUITY [100,000.00 USD]"} if action == "reject_200" else {"text": "Sign DU1 away?"}
    name = portal_venue.fault(action, times=1, **words)
    signal = publish()
    live.run_once()

    assert portal_venue.fired(name) == 1
    assert [body.get("reason") for body in feed.bodies(signal)] == [None, reason]
    assert portal_venue.orders(stem(signal)) == {}


def test_an_entry_whose_stop_is_refused_is_taken_back(live, feed, portal_venue, publish):
    name = portal_venue.fault("child_refused", times=1)
    held = portal_venue.fault("partial_fill", quantity=0, times=1)
    signal = publish()
    live.run_once()

    assert (portal_venue.fired(name), portal_venue.fired(held)) == (1, 1)
    assert legs(portal_venue, signal)["entry-1"] == "Cancelled"
    assert feed.bodies(signal)[-1]["reason"] == "broker:NOT_FILLED"
    assert portal_venue.held() == 0


def test_an_entry_that_fills_before_its_refused_stop_could_take_it_back_gets_another(live, feed, portal_venue, publish):
    name = portal_venue.fault("child_refused", times=1)
    signal = publish()
    with live.running():
        live.until(lambda: portal_venue.live(stem(signal)) and "executed" in feed.stages(signal))

    assert portal_venue.fired(name) == 1
    assert [row["remainingQuantity"] for row in portal_venue.live(stem(signal)).values()] == [10]


def test_an_entry_that_fills_after_it_counted_as_not_filled_is_protected_and_sold(live, feed, portal_venue, publish):
    held = portal_venue.fault("partial_fill", quantity=0, times=1)
    late = portal_venue.fault("late_fill_after_cancel", seconds=4, times=1)
    live.waits = {"late_s": 0.0, "fill_s": 0.0, "grace_s": 0.3}
    signal = publish()
    with live.running():
        live.until(lambda: len(feed.bodies(signal)) == 2)
        live.until(lambda: portal_venue.held() == 10)
        live.until(lambda: portal_venue.live(stem(signal)))
        live.until(lambda: signal in live.state.trades)
        feed.end(signal, market="AIG", exit_price="48.00")
        live.until(lambda: portal_venue.held() == 0)
        live.until(lambda: signal not in live.state.trades)

    assert (portal_venue.fired(held), portal_venue.fired(late)) == (1, 1)
    assert feed.bodies(signal)[1]["reason"] == "broker:NOT_FILLED"
    assert portal_venue.live(stem(signal)) == {}


def test_an_exit_waits_with_the_stop_in_place_until_the_account_shows_what_was_bought(
    live, feed, portal_venue, publish
):
    name = portal_venue.fault("stale_positions")
    live.waits = {"grace_s": 5.0}
    signal = publish()
    with live.running():
        live.until(lambda: "executed" in feed.stages(signal))
        feed.end(signal, market="AIG", exit_price="48.00")
        live.until(lambda: live.state.trades[signal].end_reason)
        fired = portal_venue.fired(name)
        live.until(lambda: portal_venue.fired(name) > fired + 3)
        resting = portal_venue.live(stem(signal))
        portal_venue.http.delete("/_sim/faults", params={"name": name})
        live.until(lambda: "resolved" in feed.stages(signal))

    assert legs(portal_venue, signal, resting).keys() == {"stop-1"}
    assert portal_venue.held() == 0
    assert legs(portal_venue, signal) == {"entry-1": "Filled", "stop-1": "Cancelled", "exit-1": "Filled"}


def test_a_stop_that_vanished_is_placed_again_once(live, portal_venue, publish, capsys):
    signal = publish()
    live.run_once()
    number = portal_venue.live(stem(signal))[f"{stem(signal)}-stop-1"]["orderId"]
    portal_venue.http.delete(f"/v1/api/iserver/account/DU1/order/{number}")
    live.run_once()
    live.run_once()

    assert legs(portal_venue, signal) == {"entry-1": "Filled", "stop-1": "Cancelled", "stop-2": "PreSubmitted"}
    assert "no stop rests for 10 shares" in capsys.readouterr().err


def test_restarts_in_the_middle_of_a_trade_change_nothing(live, feed, portal_venue, publish):
    signal = publish()
    live.run_once()
    before = portal_venue.orders(stem(signal)).keys()
    lines = live.home.ibkr.read_text()
    for _ in range(2):
        assert live.run_once() == 0

    assert portal_venue.orders(stem(signal)).keys() == before
    assert live.home.ibkr.read_text() == lines
    assert feed.stages(signal) == ["ack", "executed"]


def test_a_position_whose_journals_are_lost_is_taken_over_and_closed_with_its_signal(live, feed, portal_venue, publish):
    signal = publish()
    live.run_once()
    live.home.journal.unlink()
    live.home.ibkr.unlink()
    feed.end(signal, market="AIG", exit_price="48.00")
    live.waits = {"grace_s": 0.1}
    assert live.run_once() == 0

    assert live.state.counts["adopted"] == 1
    assert portal_venue.held() == 0


def test_a_session_that_needs_a_person_is_said_and_gone_on_with_after_the_login(
    live, feed, portal_venue, publish, capsys
):
    signal = publish()
    live.run_once()
    with live.running():
        name = portal_venue.fault("needs_login", times=1)
        live.until(lambda: portal_venue.fired(name))
        feed.end(signal, market="AIG", exit_price="48.00")
        live.until(lambda: portal_venue.state()["session"]["standing"] == "needs login")
        assert portal_venue.held() == 10
        portal_venue.login()
        live.until(lambda: "resolved" in feed.stages(signal))

    assert "log in to your gateway in a browser" in capsys.readouterr().err
    assert portal_venue.held() == 0


def test_a_penalty_is_waited_out_in_silence(live, portal_venue, publish, make_ibkr):
    broker = make_ibkr(penalty_s=0.5)
    broker.account()
    name = portal_venue.fault("penalty_box", times=1, seconds=0.2)
    with pytest.raises(Exception, match="429"):
        broker.account()
    count = sum(portal_venue.state()["requests"].values())
    with pytest.raises(Exception, match="rate limit"):
        broker.account()

    assert portal_venue.fired(name) == 1
    assert sum(portal_venue.state()["requests"].values()) == count
    portal_venue.until(lambda: not portal_venue.state()["boxed"])
    live.clock.sleep(0.6)
    assert broker.account().currency == "USD"


@pytest.mark.parametrize("action", ["delayed_quotes", "halted_quote"])
def test_a_quote_that_is_not_live_is_none(live, feed, portal_venue, publish, action):
    signal = publish()
    name = portal_venue.fault(action)
    live.run_once()

    assert portal_venue.fired(name) >= 1
    assert feed.bodies(signal)[0]["reason"] == "market_closed"


def test_a_cash_account_never_orders_more_than_it_can_pay(live, feed, portal_venue, publish):
    live.waits = {"account": "DU2"}
    live.with_(size={"units": D(1000), "max_units": D(1000)})
    skipped = publish()
    live.run_once()
    live.with_(size={"units": D(100)})
    bought = publish()
    live.run_once()

    assert feed.bodies(skipped)[0]["reason"] == "balance"
    assert portal_venue.orders(stem(skipped), "DU2") == {}
    assert feed.stages(bought) == ["ack", "executed"]
    assert portal_venue.held(name="DU2") == 100


def test_an_entry_against_what_the_owner_holds_is_not_sent(live, feed, portal_venue, publish):
    portal_venue.by_hand(5)
    signal = publish(side="sell")
    live.run_once()

    assert feed.bodies(signal)[-1]["reason"] == "broker:OPPOSITE_POSITION"
    assert portal_venue.held() == 5


def test_what_the_owner_sold_by_hand_ends_the_trade_and_its_stop(live, feed, portal_venue, publish):
    signal = publish()
    live.run_once()
    made = portal_venue.by_hand(-10)
    assert live.run_once() == 0

    (outcome,) = feed.bodies(signal, "resolved")
    assert (outcome["reason"], D(outcome["price"])) == ("broker", D(made["price"]))
    assert portal_venue.live(stem(signal)) == {}


def test_a_stop_that_fills_after_it_was_taken_back_is_not_sold_twice(live, feed, portal_venue, publish):
    signal = publish()
    live.waits = {"late_s": 0.8}
    live.run_once()
    name = portal_venue.fault("late_fill_after_cancel", times=1)
    feed.end(signal, market="AIG", exit_price="48.00")
    assert live.run_once() == 0

    assert portal_venue.fired(name) == 1
    assert portal_venue.held() == 0
    assert legs(portal_venue, signal) == {"entry-1": "Filled", "stop-1": "Cancelled"}
    assert "resolved" in feed.stages(signal)


def test_a_person_signed_in_elsewhere_is_not_disturbed_when_the_settings_say_so(live, portal_venue, make_ibkr):
    broker = make_ibkr(compete=False)
    name = portal_venue.fault("competing_session", times=1)
    with pytest.raises(NoSession, match="sign out there"):
        broker.account()

    assert portal_venue.fired(name) == 1
    portal_venue.login()
    assert broker.account().equity > 0


def test_an_account_of_somebody_else_is_named_at_once(make_ibkr):
    with pytest.raises(Unreachable, match="account_id"):
        make_ibkr(account="DU9").account()


def test_a_gateways_own_certificate_is_trusted_only_when_asked_for(client, tmp_path):
    venue = PortalVenue("--tls")
    try:
        settings = Broker(kind="ibkr", account_id="DU1", api_url=venue.api_url, page_pause_s=0.0)
        client.clock = parse_clock(venue.spec)
        wary, trusting = (
            IbkrBroker(replace(settings, insecure=insecure), tmp_path / "l.jsonl", client.clock)
            for insecure in (False, True)
        )
        with pytest.raises(Retry, match="insecure = true"):
            wary.account()
        assert trusting.account().currency == "USD"
        wary.shut()
        trusting.shut()
    finally:
        venue.close()


def test_outside_of_the_session_the_stop_stays_and_nothing_is_sold(live, portal_venue, publish, make_ibkr):
    signal = publish()
    live.run_once()
    live.clock = parse_clock("sim:2014-05-06T21:00:00Z@1")
    broker = make_ibkr()
    with pytest.raises(Refused, match="stays"):
        broker.close(stem(signal), None)

    assert legs(portal_venue, signal, portal_venue.live(stem(signal))).keys() == {"stop-1"}
    assert portal_venue.held() == 10


def test_a_sale_is_bought_back_and_its_stop_is_above(live, feed, portal_venue, publish):
    signal = publish(side="sell")
    live.run_once()
    (stop,) = portal_venue.live(stem(signal)).values()
    price = D(feed.bodies(signal, "executed")[0]["price"])
    assert (portal_venue.held(), stop["side"], D(stop["stop_price"]) > price) == (-10, "BUY", True)
    feed.end(signal, market="AIG", exit_price="48.00")
    live.run_once()

    (outcome,) = feed.bodies(signal, "resolved")
    assert D(outcome["realised"]) == (price - D(outcome["price"])) * 10 - 2
    assert (portal_venue.held(), portal_venue.live(stem(signal))) == (0, {})


def test_two_signals_of_one_stock_are_kept_apart(live, feed, portal_venue, publish):
    first, second = publish(), publish()
    live.run_once()
    assert portal_venue.held() == 20
    feed.end(first, market="AIG", exit_price="48.00")
    live.run_once()

    assert portal_venue.held() == 10
    assert (portal_venue.live(stem(first)), len(portal_venue.live(stem(second)))) == ({}, 1)
    assert ("resolved" in feed.stages(first), "resolved" in feed.stages(second)) == (True, False)


def test_a_second_stop_is_taken_back_and_one_of_another_size_is_changed(live, portal_venue, publish, make_ibkr):
    signal = publish(trailing_percent=None)
    live.run_once()
    account = "/v1/api/iserver/account/DU1"
    (stop,) = portal_venue.live(stem(signal)).values()
    other = {"conid": stop["conid"], "orderType": "STP", "side": "SELL", "tif": "GTC", "price": 30}
    more = {"cOID": f"{stem(signal)}-stop-2", "quantity": 3}
    asked = portal_venue.http.post(f"{account}/orders", json={"orders": [other | more]}).json()
    while "messageIds" in asked[0]:
        asked = portal_venue.http.post(f"/v1/api/iserver/reply/{asked[0]['id']}", json={"confirmed": True}).json()
    assert len(portal_venue.live(stem(signal))) == 2

    broker = make_ibkr()
    broker.positions()
    portal_venue.until(lambda: broker.positions() and len(portal_venue.live(stem(signal))) == 1)
    (kept,) = portal_venue.live(stem(signal)).values()
    assert kept["remainingQuantity"] == 10
