"""The production failures that concern TWS, each injected at the wire: what the adapter makes of them.

The numbers are those of the table "What was seen to fail" in docs/brokers.md. Nothing is ever sent twice, no fill is
lost, and no order leaves while the link is not UP.
"""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tws_desk import TwsDesk, desks, started

from domain.errors import Ask, Retry
from domain.vocabulary import ExitReason, Link, OrderState

D = Decimal


@pytest.fixture(scope="module")
def gateway():
    yield from started()


@pytest.fixture
def desk(gateway):
    for made in desks(gateway):
        made.connect()
        yield made


@pytest.fixture
def lone():
    """A gateway of its own, for faults that befall every client of one."""
    for gateway in started():
        made = TwsDesk(gateway, gateway_account(gateway), 5)
        made.connect()
        yield made
        made.close()


def gateway_account(gateway):
    return next(gateway.accounts)


def since(desk):
    return desk.clock.now() - timedelta(minutes=30)


# ------------------------------------------------------------------------------- 1: resend after an ambiguous failure


def test_failure_01_order_whose_reply_is_lost_is_found_and_never_doubled(desk):
    desk.restart(probe_interval_s=30)
    fault = desk.fault("lost_reply", times=2, match=desk.mine())
    intent = desk.far()
    with pytest.raises(Ask):
        desk.executor.submit(intent)
    found = desk.states(intent)
    again = desk.executor.submit(intent)

    assert desk.gateway.fired(fault) == 2
    assert found == ["accepted"]
    assert again[-1].state is OrderState.ACCEPTED
    assert len(desk.orders(intent.client_order_id)) == 1
    assert len(desk.orders(desk.stop_of(intent))) == 1


def test_failure_01_order_that_never_arrived_is_absent_only_after_the_grace(desk):
    fault = desk.fault("swallowed_order", times=1, match=desk.mine())
    intent = desk.far()
    with pytest.raises(Ask):
        desk.executor.submit(intent)
    with pytest.raises(Retry):
        desk.executor.find(intent.client_order_id, since=since(desk))
    found = desk.states(intent)
    before = desk.orders(intent.client_order_id)
    again = desk.executor.submit(intent)

    assert desk.gateway.fired(fault) == 1
    assert found == ["absent"]
    assert before == []
    assert again[-1].state is OrderState.ACCEPTED
    assert len(desk.orders(intent.client_order_id)) == len(desk.orders(desk.stop_of(intent))) == 1


def test_failure_01_lost_reply_is_made_good_by_the_next_reading(desk):
    fault = desk.fault("lost_reply", times=2, match=desk.mine())
    events = desk.executor.submit(desk.far())

    assert desk.gateway.fired(fault) == 2
    assert events[-1].state is OrderState.ACCEPTED


def test_failure_01_restart_after_a_lost_reply_finds_the_order(desk):
    desk.restart(probe_interval_s=30)
    fault = desk.fault("lost_reply", times=2, match=desk.mine())
    intent = desk.far()
    with pytest.raises(Ask):
        desk.executor.submit(intent)
    desk.restart()
    again = desk.executor.submit(intent)

    assert desk.gateway.fired(fault) == 2
    assert again[-1].state is OrderState.ACCEPTED
    assert len(desk.orders(intent.client_order_id)) == 1


# --------------------------------------------------------------------------------------- 2: order numbers come again


def test_failure_02_numbers_that_go_back_are_not_used_again(desk):
    first = desk.far()
    desk.executor.submit(first)
    fault = desk.fault("id_rollback", by=1000, match={"client": desk.client})
    desk.restart()
    second = desk.far()
    desk.executor.submit(second)
    numbers = [one["order_id"] for one in desk.orders()]

    assert desk.gateway.fired(fault) == 1
    assert len(set(numbers)) == len(numbers) == 4
    assert desk.states(first) == desk.states(second) == ["accepted"]


def test_failure_02_order_in_flight_when_the_socket_goes_is_resolved_by_its_reference(desk):
    fault = desk.fault("drop_socket", when="after", times=1, after=1, match=desk.mine(message="placeOrder"))
    intent = desk.far()
    with pytest.raises(Ask):
        desk.executor.submit(intent)
    desk.until_link(Link.UP)
    found = desk.states(intent)

    assert desk.gateway.fired(fault) == 1
    assert found == ["accepted"]
    assert len(desk.orders(intent.client_order_id)) == 1


# ------------------------------------------------------------------------------ 3: statuses missing, doubled, late


def test_failure_03_fills_without_any_status_are_booked_from_executions(desk):
    fault = desk.fault("missing_status", times=None, match=desk.mine())
    intent = desk.at_market()
    events = desk.executor.submit(intent)

    assert desk.gateway.fired(fault) > 0
    assert [(one.state, one.quantity) for one in events] == [(OrderState.FILLED, D(10))]


def test_failure_03_doubled_and_reordered_news_is_booked_once(desk):
    cursor = desk.executor.account().cursor
    faults = [
        desk.fault("duplicate_status", times=None, match=desk.mine()),
        desk.fault("duplicate_execution", times=None, match=desk.mine()),
        desk.fault("reordered_execution", times=1, seconds=0.1, match=desk.mine()),
    ]
    intent = desk.at_market()
    desk.executor.submit(intent)
    desk.until_state(intent, "filled")
    fills = desk.eventually(lambda: desk.executor.fills_since(cursor)[0])
    second = desk.executor.submit(desk.exit_of(intent))

    assert [desk.gateway.fired(one) > 0 for one in faults] == [True] * 3
    assert [one.quantity for one in fills] == [D(10)]
    assert second[-1].state is OrderState.FILLED
    assert desk.position() == 0


def test_failure_03_fill_after_a_cancel_is_not_lost(desk):
    cursor = desk.executor.account().cursor
    fault = desk.fault("late_fill_after_cancel", times=1, seconds=0.3, match=desk.mine())
    intent = desk.far()
    desk.executor.submit(intent)
    cancelled = desk.executor.cancel(intent.client_order_id)
    fills = desk.eventually(lambda: desk.executor.fills_since(cursor)[0])

    assert desk.gateway.fired(fault) == 1
    assert cancelled[-1].state is OrderState.CANCELLED
    assert [(one.client_order_id, one.quantity) for one in fills] == [(intent.client_order_id, D(10))]
    assert desk.states(intent) == ["filled"]
    assert [one.quantity for one in desk.executor.open_trades()] == [D(10)]


def test_failure_03_commission_that_comes_before_its_execution_is_kept(desk):
    cursor = desk.executor.account().cursor
    fault = desk.fault("commission_first", times=None, match=desk.mine())
    intent = desk.at_market()
    desk.executor.submit(intent)
    fills = desk.eventually(lambda: desk.executor.fills_since(cursor)[0])

    assert desk.gateway.fired(fault) == 1
    assert [one.fee for one in fills] == [D(1)]


# ------------------------------------------------------------------------------------ 4: remarks taken for refusals


@pytest.mark.parametrize("remark", ["tif_preset", "order_message"])
def test_failure_04_remark_about_a_live_order_leaves_it_live(desk, remark):
    fault = desk.fault(remark, times=2, match=desk.mine())
    intent = desk.far()
    events = desk.executor.submit(intent)
    found = desk.states(intent)

    assert desk.gateway.fired(fault) == 2
    assert events[-1].state is OrderState.ACCEPTED
    assert found == ["accepted"]
    assert len(desk.executor.resting()) == 2


@pytest.mark.parametrize("code", [161, 10147, 10148])
def test_failure_04_refused_cancel_leaves_the_order_as_it_is(desk, code):
    intent = desk.far()
    desk.executor.submit(intent)
    fault = desk.fault("cancel_refused", code=code, times=1, match=desk.mine())
    events = desk.executor.cancel(intent.client_order_id)

    assert desk.gateway.fired(fault) == 1
    assert events[-1].state is OrderState.ACCEPTED
    assert str(code) in events[-1].reason
    assert desk.executor.cancel(intent.client_order_id)[-1].state is OrderState.CANCELLED


@pytest.mark.parametrize("action", ["rejected", "inactive"])
def test_failure_04_refusal_is_told_with_its_reason(desk, action):
    fault = desk.fault(action, times=1, reason="no margin for this", match=desk.mine())
    intent = desk.far()
    events = desk.executor.submit(intent)

    assert desk.gateway.fired(fault) == 1
    assert events[-1].state is OrderState.REJECTED
    assert events[-1].reason
    assert desk.eventually(lambda: not desk.executor.resting())


def test_failure_04_entry_whose_stop_is_refused_is_taken_back(desk):
    fault = desk.fault("rejected", times=1, after=1, reason="stop not allowed", match=desk.mine())
    intent = desk.far()
    events = desk.executor.submit(intent)

    assert desk.gateway.fired(fault) == 1
    assert events[-1].state is OrderState.CANCELLED
    assert "stop not allowed" in events[-1].reason
    assert desk.live_refs() == []


# -------------------------------------------------------------------------------------------------- 5: partial fills


def test_failure_05_stop_of_a_partial_fill_is_brought_down_to_the_position(desk):
    fault = desk.fault("partial_fill", fraction=0.4, times=1, match=desk.mine())
    intent = desk.at_market()
    events = desk.executor.submit(intent)
    cancelled = desk.executor.cancel(intent.client_order_id)
    desk.executor.amend(desk.stop_of(intent), quantity=D(4))
    (stop,) = desk.eventually(lambda: [o for o in desk.executor.resting() if o.client_order_id == desk.stop_of(intent)])
    closed = desk.executor.submit(desk.exit_of(intent, quantity=D(4)))

    assert desk.gateway.fired(fault) == 1
    assert [(one.state, one.quantity) for one in events] == [(OrderState.PARTIAL, D(4))]
    assert [one.state for one in cancelled] == [OrderState.PARTIAL, OrderState.CANCELLED]
    assert stop.quantity == D(4)
    assert closed[-1].state is OrderState.FILLED
    assert desk.position() == 0
    assert desk.eventually(lambda: desk.live_refs() == [])


def test_failure_05_executions_of_a_partial_fill_are_increments(desk):
    cursor = desk.executor.account().cursor
    fault = desk.fault("partial_fill", fraction=0.4, seconds=0.2, times=1, match=desk.mine())
    intent = desk.at_market()
    desk.executor.submit(intent)
    desk.until_state(intent, "filled")
    fills = desk.eventually(lambda: len(found := desk.executor.fills_since(cursor)[0]) > 1 and found)

    assert desk.gateway.fired(fault) == 1
    assert [one.quantity for one in fills] == [D(4), D(6)]
    assert desk.states(intent) == ["partial", "filled"]


# ------------------------------------------------------------------------------------------- 6: corrected executions


def test_failure_06_correction_replaces_what_it_corrects(desk):
    cursor = desk.executor.account().cursor
    fault = desk.fault("execution_correction", price_change=0.25, seconds=0.2, times=1, match=desk.mine())
    intent = desk.at_market()
    before = desk.executor.submit(intent)[0]
    after = desk.eventually(lambda: (one := desk.find(intent)[0]).price != before.price and one)
    fills, _ = desk.executor.fills_since(cursor)

    assert desk.gateway.fired(fault) == 1
    assert after.price == before.price + D("0.25")
    assert after.transaction_id == before.transaction_id
    assert [(one.quantity, one.price) for one in fills] == [(D(10), after.price)]
    assert desk.executor.open_trades()[0].price == after.price


def test_failure_06_bust_of_a_fill_that_was_handed_out_is_handed_out_as_its_reversal(desk):
    cursor = desk.executor.account().cursor
    fault = desk.fault("busted_trade", seconds=0.3, times=1, match=desk.mine())
    intent = desk.at_market()
    desk.executor.submit(intent)
    first, middle = desk.eventually(lambda: (found := desk.executor.fills_since(cursor))[0] and found)
    second, end = desk.eventually(lambda: (found := desk.executor.fills_since(middle))[0] and found)

    assert desk.gateway.fired(fault) == 1
    assert [(one.closes, one.side, one.quantity) for one in first] == [(False, "buy", D(10))]
    assert [(one.closes, one.side, one.quantity) for one in second] == [(True, "sell", D(10))]
    assert desk.executor.fills_since(end)[0] == []


# ------------------------------------------------------------------------------------------- 7: resets and restarts


@pytest.mark.parametrize("restored", ["data_kept", "data_lost"])
def test_failure_07_no_order_leaves_until_all_was_read_again(lone, restored):
    before = lone.quote()
    fault = lone.fault("connectivity_lost", seconds=0.6, restored=restored, repeat=5)
    words = lone.until_link(Link.DOWN)
    with pytest.raises(Retry):
        lone.executor.submit(lone.far())
    sent = lone.gateway.state()["requests"].get("placeOrder", 0)
    asked = lone.gateway.state()["requests"]["reqExecutions"]
    lone.until_link(Link.UP)
    after = lone.eventually(lambda: (q := lone.quote()).received_at > before.received_at and q)

    assert lone.gateway.fired(fault) == 1
    assert "1100" in words
    assert sent == 0
    assert lone.gateway.state()["requests"]["reqExecutions"] > asked
    assert after.bid > 0
    assert lone.executor.submit(lone.far())[-1].state is OrderState.ACCEPTED


def test_failure_07_fill_of_an_outage_is_handed_out_once(lone):
    cursor = lone.executor.account().cursor
    intent = lone.at_market()
    lone.fault("partial_fill", fraction=0.4, seconds=0.8, times=1)
    lone.executor.submit(intent)
    fault = lone.fault("connectivity_lost", seconds=1.0, restored="data_lost")
    lone.until_link(Link.DOWN)
    lone.until_link(Link.UP)
    lone.until_state(intent, "filled")
    fills, end = lone.executor.fills_since(cursor)

    assert lone.gateway.fired(fault) == 1
    assert [one.quantity for one in fills] == [D(4), D(6)]
    assert lone.executor.fills_since(end)[0] == []


def test_failure_07_nightly_reset_is_survived_and_subscriptions_come_back(lone):
    lone.quote()
    intent = lone.bought()
    fault = lone.fault("nightly_reset", seconds=0.5, storm=20)
    lone.until_link(Link.DOWN)
    lone.until_link(Link.UP)
    quote = lone.quote()

    assert lone.gateway.fired(fault) == 1
    assert quote.bid > 0
    assert [one.client_order_id for one in lone.executor.open_trades()] == [intent.client_order_id]
    assert [one.client_order_id for one in lone.executor.resting()] == [lone.stop_of(intent)]


def test_failure_07_gateway_that_is_half_up_is_down(desk):
    fault = desk.fault("half_up", times=2, match={"client": desk.client})
    desk.close()
    desk.connect(up=False)
    words = desk.eventually(lambda: desk.gateway.fired(fault) and desk.executor.link())

    assert words[0] is Link.DOWN
    assert desk.until_link(Link.UP)
    assert desk.gateway.fired(fault) == 2


def test_failure_07_client_id_in_use_leaves_a_watcher_that_sends_nothing(desk):
    intent = desk.bought()
    fault = desk.fault("client_id_in_use", times=2, match={"client": desk.client})
    desk.close()
    desk.connect(up=False)
    words = desk.until_link(Link.DEGRADED)
    trades = desk.executor.open_trades()
    with pytest.raises(Retry):
        desk.executor.submit(desk.far())

    assert desk.gateway.fired(fault) >= 1
    assert f"client id {desk.client} is in use" in words
    assert [one.client_order_id for one in trades] == [intent.client_order_id]
    assert desk.until_link(Link.UP)


def test_failure_07_dead_socket_is_found_by_the_probe(desk):
    fault = desk.fault("dead_socket", match={"client": desk.client})
    words = desk.until_link(Link.DOWN)
    desk.gateway.clear(fault)
    desk.until_link(Link.UP)

    assert "the time" in words
    assert desk.executor.submit(desk.far())[-1].state is OrderState.ACCEPTED


def test_failure_07_every_stream_is_asked_for_again_after_a_reconnect(desk):
    desk.eventually(lambda: len(desk.data.quotes(["SPY", "AAPL"])) == 2)
    fault = desk.fault("drop_socket", times=1, match=desk.mine(message="reqCurrentTime"))
    desk.eventually(lambda: desk.gateway.fired(fault))
    desk.until_link(Link.UP)
    quotes = desk.eventually(lambda: len(found := desk.data.quotes(["SPY", "AAPL"])) == 2 and found)

    assert set(quotes) == {"SPY", "AAPL"}


# ------------------------------------------------------------------------------------------------ 8: bars that stop


def test_failure_08_bars_do_not_depend_on_updates_that_stop(desk):
    desk.fault("keep_up_to_date_stops", match=desk.mine())
    start = desk.clock.now() - timedelta(minutes=5)
    first = desk.data.bars("SPY", 60, start=start)[-1]
    later = desk.eventually(lambda: (bar := desk.data.bars("SPY", 60, start=start)[-1]).start > first.start and bar)
    bars = desk.data.bars("SPY", 60, start=start)

    assert later.start == first.start + timedelta(minutes=1)
    assert [one.start for one in bars] == [bars[0].start + timedelta(minutes=n) for n in range(len(bars))]


def test_failure_08_silent_stream_is_asked_for_again(desk):
    desk.restart(quote_silence_s=0.1)
    desk.quote()
    before = len(desk.gateway.requests("cancelMktData"))
    desk.fault("stale_ticker", match=desk.mine())

    assert desk.eventually(lambda: len(desk.gateway.requests("cancelMktData")) > before)


# ----------------------------------------------------------------------------------- 9: prices that prove nothing


def test_failure_09_stream_that_stands_still_is_replaced_by_polling(desk):
    desk.restart(quote_silence_s=0.1)
    before = desk.quote()
    fault = desk.fault("stale_ticker", match=desk.mine())
    desk.eventually(lambda: desk.gateway.fired(fault))
    after = desk.eventually(lambda: (q := desk.quote()).bid != before.bid and q)
    true = desk.gateway.state()["quotes"]["SPY"]

    assert abs(after.bid - D(true["bid"])) <= D("0.10")
    assert desk.executor.link()[0] is Link.UP


def test_failure_09_price_that_nobody_renews_is_no_quote(lone):
    lone.restart(quote_max_age_s=20, quote_silence_s=0.2)
    lone.quote()
    fault = lone.fault("farm_broken", farm="market")
    words = lone.until_link(Link.DEGRADED)
    lone.eventually(lambda: "SPY" not in lone.data.quotes(["SPY"]))
    with pytest.raises(Retry):
        lone.executor.submit(lone.far())
    lone.gateway.clear(fault)

    assert "2103" in words
    assert lone.until_link(Link.UP)
    assert lone.quote().bid > 0


def test_failure_09_competing_session_stops_orders_until_prices_come_back(desk):
    desk.quote()
    fault = desk.fault("competing_session", match=desk.mine())
    words = desk.until_link(Link.DEGRADED)
    with pytest.raises(Retry):
        desk.executor.submit(desk.far())
    desk.gateway.clear(fault)
    desk.eventually(lambda: desk.data.quotes(["SPY"]))

    assert "10197" in words
    assert desk.until_link(Link.UP)


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("delayed_data", {}),
        ("no_quote", {"price": -1, "sides": "bid"}),
        ("no_quote", {"price": 0, "sides": "ask"}),
        ("not_subscribed", {"code": 354}),
    ],
)
def test_failure_09_what_is_no_live_price_is_no_quote(desk, action, fields):
    desk.fault(action, match=desk.mine(), **fields)

    assert dict(desk.data.quotes(["SPY"])) == {}


# ----------------------------------------------------------------------------------------------------- 10: pacing


def test_failure_10_pacing_violation_costs_a_pause_and_is_not_repeated(desk):
    fault = desk.fault("pacing_violation", times=1, match=desk.mine())
    start = desk.clock.now() - timedelta(hours=1)
    with pytest.raises(Retry) as refused:
        desk.data.bars("SPY", 60, start=start)
    asked = len(desk.gateway.requests("reqHistoricalData"))
    with pytest.raises(Retry):
        desk.data.bars("SPY", 60, start=start)

    assert desk.gateway.fired(fault) == 1
    assert refused.value.after_s is not None
    assert refused.value.after_s >= 5
    assert len(desk.gateway.requests("reqHistoricalData")) == asked


def test_failure_10_no_more_messages_a_second_than_allowed(desk):
    desk.restart(messages_per_s=20, poll_interval_s=0.001)
    began, before = time.monotonic(), sum(desk.gateway.state()["requests"].values())
    while (elapsed := time.monotonic() - began) < 1:
        desk.executor.account()
        desk.executor.resting()
    sent = sum(desk.gateway.state()["requests"].values()) - before

    assert 15 < sent <= 20 * (elapsed + 1)


# ------------------------------------------------------------------------------------------ 15: clocks and time zones


def test_failure_15_executions_and_bars_are_in_utc(desk):
    now = desk.clock.now()
    intent = desk.at_market()
    event = desk.executor.submit(intent)[0]
    bars = desk.data.bars("SPY", 60, start=now - timedelta(minutes=10))
    days = desk.data.bars("SPY", 86_400, start=now - timedelta(days=6))

    assert event.happened_at.tzinfo is UTC
    assert abs(event.happened_at - now) < timedelta(minutes=5)
    assert timedelta(0) <= now - bars[-1].start < timedelta(minutes=3)
    assert {one.start.hour for one in days} == {4}
    assert days[-1].end <= desk.clock.now()


@pytest.mark.parametrize(("begin", "hour"), [("2014-03-07T15:00:00Z", 5), ("2014-03-11T15:00:00Z", 4)])
def test_failure_15_days_begin_at_midnight_in_new_york_on_both_sides_of_the_switch(begin, hour):
    for gateway in started(begin=begin):
        desk = TwsDesk(gateway)
        desk.connect()
        days = desk.data.bars("SPY", 86_400, start=datetime.fromisoformat(begin) - timedelta(days=2))
        desk.close()

        assert days
        assert days[-1].start.hour == hour


# ------------------------------------------------------------------------------------- 16: children that go missing


def test_failure_16_stop_that_a_list_leaves_out_is_still_there(desk):
    intent = desk.bought()
    fault = desk.fault("omitted_child", leg="any", times=1, match=desk.mine())
    desk.eventually(lambda: desk.executor.resting() and desk.gateway.fired(fault))
    stops = [one.client_order_id for one in desk.executor.resting()]

    assert stops == [desk.stop_of(intent)]


def test_failure_16_every_position_has_exactly_one_stop_after_a_restart(desk):
    intent = desk.bought()
    (trade,) = desk.executor.open_trades()
    for _ in range(2):
        desk.restart()
        desk.executor.protect(trade.trade_id, stop_loss=D("150.00"), take_profit=None, trailing_distance=None)
    stops = [one for one in desk.executor.resting() if one.market == "SPY"]

    assert [(one.trigger, one.quantity) for one in stops] == [(D("150.00"), D(10))]
    assert len(desk.live_refs()) == 1
    assert desk.position() == D(10)
    assert desk.executor.open_trades()[0].trade_id == intent.client_order_id


def test_failure_16_stop_reports_why_it_filled(desk):
    cursor = desk.executor.account().cursor
    intent = desk.bought(stop_loss=None, trailing_percent=D("0.01"))
    fills = desk.eventually(lambda: len(found := desk.executor.fills_since(cursor)[0]) > 1 and found, 20)

    assert (fills[1].client_order_id, fills[1].reason) == (desk.stop_of(intent), ExitReason.TRAILING_STOP)
    assert fills[1].realised == (fills[1].price - fills[0].price) * 10
    assert fills[1].opened_by == intent.client_order_id
    assert desk.position() == 0


# ------------------------------------------------------------------------------------- 18: the socket goes mid-call


@pytest.mark.parametrize("when", ["before", "middle", "after"])
@pytest.mark.parametrize("message", ["placeOrder", "reqExecutions", "reqAllOpenOrders"])
def test_failure_18_socket_that_goes_in_the_middle_of_a_call_ends_no_process(desk, when, message):
    fault = desk.fault("drop_socket", when=when, times=1, match=desk.mine(message=message))
    intent = desk.far()
    try:
        desk.executor.submit(intent)
    except (Ask, Retry):
        pass
    desk.eventually(lambda: desk.executor.fills_since(desk.executor.account().cursor) and desk.gateway.fired(fault))
    desk.until_link(Link.UP)
    if desk.states(intent) == ["absent"]:
        desk.executor.submit(intent)

    assert desk.until_state(intent, "accepted")
    assert len(desk.orders(intent.client_order_id)) == 1
