"""The production failures that concern orders through TWS, each injected at the wire: what the adapter makes of them.

The numbers are those of the table "What TWS was seen to do wrong" in docs/brokers.md. Nothing is ever sent twice, no
fill is lost, and no order leaves while the link is not UP.
"""

from datetime import timedelta
from decimal import Decimal

import pytest
from tws_desk import desks, started

from domain.errors import Ask, Retry
from domain.vocabulary import ExitReason, Link, OrderState

D = Decimal
# An order's fate counts as unknown, and an unknown order as absent, sooner than in other tests.
SOON = {"order_timeout_s": 0.4, "fresh_order_grace_s": 0.6}


@pytest.fixture(scope="module")
def gateway():
    yield from started()


@pytest.fixture
def desk(gateway):
    for made in desks(gateway):
        made.connect()
        yield made


def since(desk):
    return desk.clock.now() - timedelta(minutes=30)


# ------------------------------------------------------------------------------- 1: resend after an ambiguous failure


def test_failure_01_order_whose_reply_is_lost_is_found_and_never_doubled(desk):
    desk.restart(probe_interval_s=30, **SOON)
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
    desk.restart(**SOON)
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
    desk.restart(probe_interval_s=30, **SOON)
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


def test_failure_03_commission_that_comes_soon_is_waited_for(desk):
    desk.restart(commission_wait_s=3)
    fault = desk.fault("late_commission", times=1, seconds=0.3, match=desk.mine())
    intent = desk.at_market()
    filled = desk.executor.submit(intent)[-1]

    assert desk.gateway.fired(fault) == 1
    assert (filled.state, filled.fee, filled.revision) == (OrderState.FILLED, D(1), 0)


def test_failure_03_commission_that_comes_too_late_takes_the_place_of_none(desk):
    desk.restart(commission_wait_s=0.1)
    fault = desk.fault("late_commission", times=1, seconds=1, match=desk.mine())
    intent = desk.at_market()
    before = desk.executor.submit(intent)[-1]
    after = desk.eventually(lambda: (one := desk.find(intent)[-1]).fee and one)

    assert desk.gateway.fired(fault) == 1
    assert (before.fee, after.fee, after.transaction_id) == (D(0), D(1), before.transaction_id)
    assert after.revision > before.revision


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


def test_failure_04_entry_whose_stop_nobody_ever_acknowledged_is_taken_back(desk):
    desk.restart(**SOON)
    fault = desk.fault("swallowed_order", times=1, after=1, match=desk.mine())
    intent = desk.far()
    events = desk.executor.submit(intent)

    assert desk.gateway.fired(fault) == 1
    assert events[-1].state is OrderState.CANCELLED
    assert "never acknowledged" in events[-1].reason
    assert desk.live_refs() == []
    assert desk.states(intent) == ["cancelled"]


# -------------------------------------------------------------------------------------------------- 5: partial fills


def test_failure_05_stop_of_a_partial_fill_is_brought_down_to_the_position(desk):
    desk.restart(**SOON)
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
    assert desk.states(intent) == ["cancelled"]
    assert desk.executor.fills_since(end)[0] == []


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
    intent = desk.at_market(stop_loss=None, trailing_percent=D("0.01"))
    desk.executor.submit(intent)  # so close a stop may be gone before anybody has seen it rest
    fills = desk.eventually(lambda: len(found := desk.executor.fills_since(cursor)[0]) > 1 and found)

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
