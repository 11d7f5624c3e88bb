"""The whole client on the simulated Kalshi: from an open to its settlement, one order whatever happens in between."""

import json
from decimal import Decimal as D

import pytest

from tbot_client.brokers.kalshi import KalshiBroker
from tbot_client.clock import parse_clock
from tbot_client.journal import read
from tbot_client.status import problems, summary

ORDERS = "/trade-api/v2/portfolio/events/orders"


@pytest.fixture
def live(client, feed, kalshi_venue, make_kalshi):
    """Return the client trading on the simulator, feed and venue on one clock; a run begins as after a restart."""
    client.clock = parse_clock(kalshi_venue.spec)
    feed.now = client.clock.now
    client.with_(size={"units": D(10)})
    run, running = client.run_once, client.running

    def run_once():
        client.broker = make_kalshi()
        return run()

    def stay():
        client.broker = make_kalshi()
        return running()

    client.run_once, client.running = run_once, stay
    return client


def publish(feed, market, side="buy", **fields):
    price, stop, target = ("0.41", "0", "1") if side == "buy" else ("0.39", "1", "0")
    levels = {"reference_price": price, "stop_loss": stop, "take_profit": target}
    return feed.open(**({"market": market, "side": side} | levels | fields))


def ordered(kalshi_venue, signal):
    """Return the orders created for a signal: id at the venue -> how often."""
    stem = f"tc-{signal.removeprefix('sig_')}"
    return {name: n for name, n in kalshi_venue.created().items() if name.startswith(stem)}


def entered_once(kalshi_venue, signal):
    return ordered(kalshi_venue, signal) == {f"tc-{signal.removeprefix('sig_')}-entry-1": 1}


@pytest.mark.parametrize(("side", "result"), [("buy", "yes"), ("sell", "yes"), ("sell", "no")])
def test_an_open_is_followed_to_its_settlement_and_nothing_private_reaches_the_feed(
    live, feed, kalshi_venue, side, result
):
    before = D(kalshi_venue.account()["cash"])
    market = kalshi_venue.closing(result)
    signal = publish(feed, market, side)
    with live.running():
        live.until(lambda: feed.stages(signal)[-1:] == ["resolved"])

    gained = D(kalshi_venue.account()["cash"]) - before
    (outcome,) = feed.bodies(signal, "resolved")
    assert (outcome["reason"], D(outcome["price"]), outcome["quantity"]) == ("settled", D(result == "yes"), "10")
    assert (D(outcome["realised"]), outcome["currency"]) == (gained, "USD")
    assert (gained > 0) == ((side == "buy") == (result == "yes"))
    assert entered_once(kalshi_venue, signal)
    for canary in (kalshi_venue.key_id, "PRIVATE KEY", kalshi_venue.pem[100:140], "1000.0", kalshi_venue.url):
        assert canary.encode() not in feed.wire, canary


def test_a_settlement_during_an_absence_is_read_after_the_restart(live, feed, kalshi_venue):
    before = D(kalshi_venue.account()["cash"])
    market = kalshi_venue.closing("yes")
    signal = publish(feed, market)
    assert live.run_once() == 0
    kalshi_venue.until(lambda: kalshi_venue.account()["settlements"])
    feed.end(signal, market=market, exit_price="1", reason="settled")
    assert live.run_once() == 0

    (outcome,) = feed.bodies(signal, "resolved")
    assert (outcome["reason"], D(outcome["realised"])) == ("settled", D(kalshi_venue.account()["cash"]) - before)
    assert live.state.trades == {}


def test_an_end_published_before_the_venue_settles_waits_for_the_venues_word(live, feed, kalshi_venue, capsys):
    market = kalshi_venue.closing("no")
    late = kalshi_venue.fault("late_settlement", seconds=20, match={"ticker": market})
    signal = publish(feed, market)
    with live.running():
        live.until(lambda: "executed" in feed.stages(signal))
        live.until(lambda: not live.broker.quote(market, D(1)).tradeable)
        feed.end(signal, market=market, exit_price="0", reason="settled")
        live.until(lambda: "resolved" in feed.stages(signal))

    assert kalshi_venue.fired(late) == 1
    assert entered_once(kalshi_venue, signal)
    assert feed.bodies(signal, "resolved")[0]["reason"] == "settled"
    assert "gone at the broker" not in capsys.readouterr().err


def test_a_close_before_settlement_sells_at_what_is_bid(live, feed, kalshi_venue):
    before = D(kalshi_venue.account()["cash"])
    signal = publish(feed, kalshi_venue.kept)
    live.run_once()
    feed.amend(signal, stop_loss="0", take_profit="1", market=kalshi_venue.kept)
    feed.end(signal, market=kalshi_venue.kept, exit_price="0.39", reason="time")
    assert live.run_once() == 0

    (outcome,) = feed.bodies(signal, "resolved")
    assert (outcome["reason"], D(outcome["price"])) == ("time", D("0.39"))
    assert D(outcome["realised"]) == D(kalshi_venue.account()["cash"]) - before
    assert kalshi_venue.account()["positions"] == {}


def test_a_close_while_the_market_is_paused_is_done_when_it_goes_on(live, feed, kalshi_venue):
    signal = publish(feed, kalshi_venue.kept)
    live.run_once()
    name = kalshi_venue.fault("market_paused", match={"ticker": kalshi_venue.kept})
    feed.end(signal, market=kalshi_venue.kept, exit_price="0.39")
    with live.running():
        live.until(lambda: kalshi_venue.fired(name))
        assert "resolved" not in feed.stages(signal)
        kalshi_venue.reset()
        live.until(lambda: "resolved" in feed.stages(signal))

    assert kalshi_venue.account()["positions"] == {}


def test_a_market_that_closes_early_settles_all_the_same(live, feed, kalshi_venue):
    market = kalshi_venue.closing("yes")
    signal = publish(feed, market)
    live.run_once()
    name = kalshi_venue.fault("early_close", match={"ticker": market})
    late = publish(feed, market)
    with live.running():
        live.until(lambda: "resolved" in feed.stages(signal))

    assert kalshi_venue.fired(name) == 1
    assert feed.bodies(late)[0]["reason"] == "market_closed"
    assert feed.bodies(signal, "resolved")[0]["reason"] == "settled"


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("drop_reply", {}),
        ("drop_request", {}),
        ("non_json", {}),
        ("status", {"status": 503}),
        ("status", {"status": 502, "after_accept": True}),
        ("ok_without_order", {"processed": True}),
        ("late_listing", {"seconds": 0.4, "match": None}),
        ("rate_limit", {}),
    ],
)
def test_a_fault_on_the_order_leaves_exactly_one(live, feed, kalshi_venue, make_kalshi, action, fields):
    make_kalshi.__defaults__ = (0.3,)
    fields = {"match": {"path": ORDERS}, "times": 1} | fields
    name = kalshi_venue.fault(action, **{key: value for key, value in fields.items() if value is not None})
    signal = publish(feed, kalshi_venue.kept)
    assert live.run_once() == 0

    assert kalshi_venue.fired(name) == 1
    assert entered_once(kalshi_venue, signal)
    assert feed.stages(signal) == ["ack", "executed"]
    assert kalshi_venue.account()["positions"] == {kalshi_venue.kept: 10}


def test_a_lost_reply_of_an_order_listed_late_and_a_restart_in_between_leave_one(live, feed, kalshi_venue, make_kalshi):
    make_kalshi.__defaults__ = (0,)
    live.with_(poll={"settle_s": 0.0})  # nothing but the venue's own guard of our id is left
    names = [
        kalshi_venue.fault("late_listing", seconds=0.8, times=1),
        kalshi_venue.fault("drop_reply", match={"path": ORDERS}, times=1),
    ]
    signal = publish(feed, kalshi_venue.kept)
    assert live.run_once() == 0

    assert [kalshi_venue.fired(name) for name in names] == [1, 1]
    assert entered_once(kalshi_venue, signal)
    assert feed.stages(signal) == ["ack", "executed"]


def test_a_lost_reply_of_a_close_sells_once(live, feed, kalshi_venue):
    kalshi_venue.by_hand(kalshi_venue.kept, "bid", 5, "0.41")
    signal = publish(feed, kalshi_venue.kept)
    live.run_once()
    name = kalshi_venue.fault("drop_reply", match={"path": ORDERS}, times=1)
    feed.end(signal, market=kalshi_venue.kept, exit_price="0.39")
    assert live.run_once() == 0

    assert kalshi_venue.fired(name) == 1
    assert kalshi_venue.account()["positions"] == {kalshi_venue.kept: 5}
    assert len(ordered(kalshi_venue, signal)) == 2
    assert len(feed.bodies(signal, "resolved")) == 1


def test_what_the_account_cannot_pay_for_is_skipped_before_and_corrected_after(live, feed, kalshi_venue, monkeypatch):
    kalshi_venue.key_id = "key-poor"
    skipped = publish(feed, kalshi_venue.kept)
    live.run_once()
    account = KalshiBroker.account
    # An account that shrinks between the question and the order: the venue itself refuses then.
    monkeypatch.setattr(KalshiBroker, "_account", lambda self, balance: _rich(account, self, balance))
    refused = publish(feed, kalshi_venue.kept)
    live.run_once()

    assert feed.bodies(skipped)[0]["reason"] == "balance"
    assert [body.get("reason") for body in feed.bodies(refused)] == [None, "broker:insufficient_balance"]
    assert ordered(kalshi_venue, skipped) == ordered(kalshi_venue, refused) == {}


def _rich(account, broker, balance):
    from tbot_client.brokers.port import Account

    return Account(currency="USD", equity=D(1000), last_id=broker._ledger.last_id, cash=D(1000))


def test_a_partial_fill_is_what_is_held_reported_and_settled(live, feed, kalshi_venue):
    name = kalshi_venue.fault("partial_fill", fraction=0.4, times=1)
    market = kalshi_venue.closing("yes")
    signal = publish(feed, market)
    with live.running():
        live.until(lambda: "resolved" in feed.stages(signal))

    (fill,), (outcome,) = feed.bodies(signal, "executed"), feed.bodies(signal, "resolved")
    assert kalshi_venue.fired(name) == 1
    assert (fill["quantity"], fill["ordered_quantity"], outcome["quantity"]) == ("4", "10", "4")


def test_what_the_owner_sold_by_hand_ends_the_trade_with_its_own_price(live, feed, kalshi_venue):
    signal = publish(feed, kalshi_venue.kept)
    live.run_once()
    kalshi_venue.by_hand(kalshi_venue.kept, "ask", 10, "0.39")
    assert live.run_once() == 0
    (outcome,) = feed.bodies(signal, "resolved")
    assert (outcome["reason"], D(outcome["price"])) == ("broker", D("0.39"))


def test_a_position_the_journal_does_not_know_is_taken_over_and_closed_with_its_signal(live, feed, kalshi_venue):
    signal = publish(feed, kalshi_venue.kept)
    live.run_once()
    live.home.journal.unlink()
    live.home.kalshi.unlink()
    feed.end(signal, market=kalshi_venue.kept, exit_price="0.39")
    assert live.run_once() == 0

    assert live.state.counts["adopted"] == 1
    assert kalshi_venue.account()["positions"] == {}
    assert ordered(kalshi_venue, signal).keys() == {f"tc-{signal[4:]}-entry-1", f"tc-{signal[4:]}-exit-1"}


def test_a_silent_feed_flattens_contracts_too(live, feed, kalshi_venue):
    live.with_(limits={"dead_man": "flatten", "dead_man_s": 600.0})
    signal = publish(feed, kalshi_venue.kept)
    live.run_once()
    feed.script += [("/api/", 503, {}, b'{"code":"busy"}')] * 1000
    real, shift = live.clock.monotonic, []
    live.clock.monotonic = lambda: real() + sum(shift)
    with live.running():
        shift.append(601)
        live.until(lambda: kalshi_venue.account()["positions"] == {})
        feed.script.clear()
        live.until(lambda: "resolved" in feed.stages(signal))

    assert feed.bodies(signal, "resolved")[0]["reason"] == "dead_man"


def test_the_marked_loss_of_contracts_ends_the_day(live, feed, kalshi_venue):
    live.with_(limits={"daily_loss": D("0.15"), "max_drift_bp": D(5000)})
    publish(feed, kalshi_venue.kept)
    live.run_once()
    late = publish(feed, kalshi_venue.kept)
    live.run_once()
    assert feed.bodies(late)[0]["reason"] == "daily_loss"


def test_a_status_shows_the_contract_and_no_problem_of_it(live, feed, kalshi_venue):
    publish(feed, kalshi_venue.kept)
    live.run_once()
    found = summary(live.home, live.clock, live.config)
    assert [(p["market"], p["units"], p["settles"]) for p in found["positions"]] == [(kalshi_venue.kept, "10", True)]
    assert problems(found) == ["no client is running on this home"]
    assert [json.loads(line)["kind"] for line in live.home.kalshi.read_text().splitlines()] == ["opened"]
    assert [r["id"] for r in read(live.home.journal) if r["kind"] == "transaction"][-1].startswith("1-")
