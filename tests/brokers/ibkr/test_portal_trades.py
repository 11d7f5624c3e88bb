"""The life of a trade through the Client Portal: restarts at any point of it, its stop, its end."""

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest
from portal_desk import desks, started

from domain.errors import Ask, Refuse, Retry
from domain.vocabulary import Leg, OrderState, Side, TimeInForce

D = Decimal
BEGINNING = "1970-01-01T00:00:00.000000Z"
SPY = 756733


@pytest.fixture(scope="module")
def gateway():
    yield from started()


@pytest.fixture
def desk(gateway):
    yield from desks(gateway)


@pytest.fixture
def linked(desk):
    desk.connect()
    return desk


def orders_with(desk, reference):
    """Return all orders the venue has of one id, live or done."""
    account = desk.venue()
    return [row for row in (*account["live"], *account["done"]) if row.get("order_ref") == reference]


def orders_of(desk):
    """Return order -> what the venue says has become of it."""
    account = desk.venue()
    return {row["orderId"]: (row["status"], row["filledQuantity"]) for row in (*account["live"], *account["done"])}


def rest(desk, intent):
    desk.executor.submit(intent)


def fill_in_part(desk, intent):
    desk.gateway.fault("partial_fill", quantity=4, times=1)
    desk.executor.submit(intent)
    desk.until_state(intent, "partial")


def fill(desk, intent):
    desk.executor.submit(intent)
    desk.reach(intent)


def lose_the_stop(desk, intent):
    fill(desk, intent)
    desk.executor.cancel(desk.stop_of(intent))


def end(desk, intent):
    fill(desk, intent)
    desk.executor.submit(desk.exit_of(intent))
    desk.until_state(desk.exit_of(intent), "filled")


@pytest.mark.parametrize("stage", [rest, fill_in_part, fill, lose_the_stop, end])
def test_restarting_twice_at_any_point_of_a_brackets_life_changes_nothing(linked, stage):
    intent = linked.entry() if stage is rest else linked.near()
    stage(linked, intent)
    linked.eventually(lambda: all(row["status"] != "PendingCancel" for row in linked.venue()["live"]))
    before, sent = orders_of(linked), len(linked.sent())
    for _ in range(2):
        linked.restart()
        linked.executor.submit(intent)
        if stage is end:
            linked.executor.submit(linked.exit_of(intent))
        linked.executor.open_trades()

    assert orders_of(linked) == before
    assert len(linked.sent()) == sent


def test_exit_takes_the_stop_back_before_it_sells(linked, gateway):
    intent = linked.bought()
    exit_ = linked.exit_of(intent)
    linked.executor.submit(exit_)
    linked.until_state(exit_, "filled")
    steps = [
        row["method"]
        for row in gateway.requests()
        if f"/{linked.account}/" in row["path"]
        and (row["method"] == "DELETE" or row["path"].endswith("/orders"))
        and not row["path"].endswith("/-1")
    ]

    assert steps == ["POST", "DELETE", "POST"]
    assert linked.position() == 0
    assert linked.live_refs() == []
    assert linked.find(exit_)[-1].realised == linked.executor.fills_since(BEGINNING)[0][-1].realised


def test_exit_sent_twice_and_after_a_restart_sells_once(linked):
    intent = linked.bought()
    exit_ = linked.exit_of(intent)
    linked.executor.submit(exit_)
    linked.executor.submit(exit_)
    linked.restart()
    linked.executor.submit(exit_)
    linked.until_state(exit_, "filled")

    assert linked.position() == 0
    assert len(orders_with(linked, exit_.client_order_id)) == 1


def test_exit_that_was_cut_off_after_the_cancel_goes_on(linked, gateway):
    intent = linked.bought()
    name = gateway.fault("no_session", match={"path": "*/positions/*"}, times=1)
    first = linked.exit_of(intent)
    with pytest.raises(Retry):
        linked.executor.submit(first)
    linked.until_up()
    second = linked.exit_of(intent, attempt=2)
    linked.executor.submit(second)
    linked.until_state(second, "filled")

    assert gateway.fired(name) == 1
    assert linked.states(first) == ["absent"]
    assert linked.position() == 0


def test_exit_sells_only_what_its_stop_has_left(linked, gateway):
    intent = linked.bought(quantity=D(10))
    gateway.trade_by_hand(SPY, -4, linked.account)
    exit_ = linked.exit_of(intent)
    linked.executor.submit(exit_)
    linked.until_state(exit_, "filled")

    assert linked.find(exit_)[-1].quantity == D(6)
    assert linked.position() == 0


def stop_intent(desk, intent, **levels):
    """Build the stop that takes the place of the one sent with the entry."""
    reference = desk.stop_of(intent, 2)
    return replace(
        desk.exit_of(intent), client_order_id=reference, leg=Leg.STOP, attempt=2, tif=TimeInForce.GTC, **levels
    )


def test_stop_that_has_no_level_takes_the_old_one_back_and_sells_at_the_market(linked):
    intent = linked.bought()
    escalated = stop_intent(linked, intent)
    linked.executor.submit(escalated)
    linked.until_state(escalated, "filled")

    assert linked.position() == 0
    assert linked.live_refs() == []


def test_trailing_limit_without_a_level_begins_at_the_market(linked):
    intent = linked.bought()
    linked.executor.cancel(linked.stop_of(intent))
    linked.until_state(linked.stop_of(intent), "cancelled")
    linked.executor.submit(stop_intent(linked, intent, trailing_percent=D(10), trailing_offset=D("0.50")))
    (stop,) = [order for order in linked.executor.resting() if order.side is Side.SELL]

    assert abs(stop.trigger - linked.quote().ask * D("0.9")) < 1
    assert stop.trigger - stop.limit == D("0.50")


def test_part_of_a_trade_is_sold_and_its_stop_protects_the_rest(linked):
    intent = linked.bought(quantity=D(10))
    exit_ = linked.exit_of(intent, quantity=D(4))
    linked.executor.submit(exit_)
    linked.until_state(exit_, "filled")
    stops = [order for order in linked.executor.resting() if order.side is Side.SELL]

    assert linked.position() == D(6)
    assert [(stop.client_order_id, stop.quantity) for stop in stops] == [(linked.stop_of(intent), D(6))]


def test_exit_of_a_trade_that_is_gone_is_rejected(linked):
    events = linked.executor.submit(linked.exit_of(linked.entry()))

    assert [(event.state, event.reason) for event in events] == [(OrderState.REJECTED, "TRADE_DOESNT_EXIST")]


def test_protection_that_is_missing_is_added_once(linked):
    intent = linked.bought()
    linked.executor.cancel(linked.stop_of(intent))
    linked.until_state(linked.stop_of(intent), "cancelled")
    for _ in range(2):
        linked.executor.protect(intent.client_order_id, stop_loss=D("150.00"), take_profit=None, trailing_distance=None)
    (trade,) = linked.executor.open_trades()

    assert linked.live_refs() == [linked.stop_of(intent, 2)]
    assert trade.stop_loss == D("150")


def test_protection_that_ibkr_refuses_is_told(linked, gateway):
    intent = linked.bought()
    linked.executor.cancel(linked.stop_of(intent))
    linked.until_state(linked.stop_of(intent), "cancelled")
    name = gateway.fault("reject_200", error="No stops today.", times=1)
    with pytest.raises(Refuse, match="No stops today"):
        linked.executor.protect(intent.client_order_id, stop_loss=D("150.00"), take_profit=None, trailing_distance=None)

    assert gateway.fired(name) == 1
    assert linked.live_refs() == []


def test_position_somebody_else_opened_is_nobodys_trade(linked, gateway):
    gateway.trade_by_hand(SPY, 3, linked.account)
    (trade,) = linked.executor.open_trades()

    assert (trade.client_order_id, trade.market, trade.quantity) == (None, "SPY", D(3))


def test_position_of_an_earlier_week_belongs_to_the_trade_the_journals_hold(linked, gateway):
    gateway.trade_by_hand(SPY, 3, linked.account)
    (found,) = linked.executor.open_trades()
    intent = linked.entry()
    kept = replace(found, trade_id=intent.client_order_id, client_order_id=intent.client_order_id)
    linked.restart(held=lambda: [kept])
    (trade,) = linked.executor.open_trades()

    assert trade.client_order_id == intent.client_order_id


def test_position_that_others_added_to_is_shown_whole(linked, gateway):
    intent = linked.bought(quantity=D(10))
    gateway.trade_by_hand(SPY, 10, linked.account)
    (trade,) = linked.executor.open_trades()
    stops = [order for order in linked.executor.resting() if order.side is Side.SELL]

    assert (trade.client_order_id, trade.quantity) == (intent.client_order_id, D(20))
    assert [stop.quantity for stop in stops] == [D(10)]


def test_exit_takes_back_a_stop_that_another_process_has_just_put_there(linked):
    intent = linked.bought()
    linked.executor.cancel(linked.stop_of(intent))
    linked.until_state(linked.stop_of(intent), "cancelled")
    surface, (_, resolver) = linked.executor, linked.connect(portal_page_pause_s=0.5)
    resolver.resting()
    surface.submit(stop_intent(linked, intent, trailing_percent=D(10)))
    exit_ = linked.exit_of(intent)
    resolver.submit(exit_)
    linked.until_state(exit_, "filled")

    assert linked.position() == 0
    assert linked.live_refs() == []


def test_exit_does_not_sell_again_what_its_stop_sold_meanwhile_whatever_the_list_of_positions_says(linked, gateway):
    intent = linked.bought()
    before = linked.executor._holdings.positions()
    linked.executor._exits._holdings = SimpleNamespace(positions=lambda: before)
    fault = gateway.fault("late_fill_after_cancel", times=1)
    events = linked.executor.submit(linked.exit_of(intent))

    assert gateway.fired(fault) == 1
    assert events[-1].state is OrderState.REJECTED
    assert linked.position() == 0


def lagging(desk, gateway, **fields):
    """Let the list of positions show what it showed last, whatever has been executed since."""
    return gateway.fault("stale_positions", match={"path": f"*/{desk.account}/positions/[0-9]*"}, **fields)


def stopped_out(desk, intent):
    """Let the trade's stop sell everything: one that the market has reached already takes the place of the first."""
    desk.executor.cancel(desk.stop_of(intent))
    desk.until_state(desk.stop_of(intent), "cancelled")
    stop = stop_intent(desk, intent, trigger=desk.quote().ask + 1)
    desk.executor.submit(stop)
    desk.until_state(stop, "filled")
    return stop


def test_exit_leaves_the_stop_where_the_list_of_positions_does_not_show_yet_what_was_bought(linked, gateway):
    intent = linked.bought()
    name = lagging(linked, gateway, times=1)
    exit_ = linked.exit_of(intent)
    with pytest.raises(Retry, match="executions"):
        linked.executor.submit(exit_)
    resting = linked.live_refs()
    linked.eventually(lambda: linked.executor.submit(exit_))
    linked.until_state(exit_, "filled")

    assert gateway.fired(name) == 1
    assert resting == [linked.stop_of(intent)]
    assert (linked.position(), linked.live_refs()) == (0, [])


def test_position_that_stays_away_is_believed_to_be_gone_in_the_end(linked, gateway):
    intent = linked.bought()
    name = lagging(linked, gateway)
    events = linked.eventually(lambda: linked.executor.submit(linked.exit_of(intent)))

    assert gateway.fired(name) > 2
    assert events[-1].reason == "TRADE_DOESNT_EXIST"
    assert linked.live_refs() == []


def test_exit_sells_nothing_where_the_list_of_positions_still_shows_what_a_stop_has_sold(linked, gateway):
    intent = linked.bought()
    linked.executor.open_trades()
    name = lagging(linked, gateway)
    stopped_out(linked, intent)
    events = linked.executor.submit(linked.exit_of(intent))

    assert gateway.fired(name) > 0
    assert events[-1].reason == "TRADE_DOESNT_EXIST"
    assert linked.position() == 0


def test_no_stop_is_sent_for_what_a_stop_has_just_sold(desk):
    desk.connect(portal_page_pause_s=0.5)
    linked, intent = desk, desk.bought()
    stop = stopped_out(linked, intent)
    again = replace(stop, client_order_id=linked.stop_of(intent, 3), attempt=3, trigger=D("150.00"))
    with pytest.raises(Retry, match="sold"):
        linked.executor.submit(again)

    assert linked.live_refs() == []


def test_exit_of_what_we_bought_leaves_the_owners_shares_alone(linked, gateway):
    gateway.trade_by_hand(SPY, 5, linked.account)
    intent = linked.bought(quantity=D(10))
    exit_ = linked.exit_of(intent)
    linked.executor.submit(exit_)
    linked.until_state(exit_, "filled")

    assert linked.position() == D(5)
    assert linked.live_refs() == []


def test_holding_of_the_same_symbol_abroad_is_another_market(linked, gateway):
    intent = linked.bought(market="AAPL", stop_loss=D("1.00"))
    linked.eventually(lambda: linked.executor.fills_since(BEGINNING)[0])
    name = gateway.fault("foreign_holding", quantity=500)
    trades = {trade.market: trade.quantity for trade in linked.executor.open_trades()}
    fills = linked.eventually(lambda: told(linked, 2))
    exit_ = linked.exit_of(intent)
    linked.executor.submit(exit_)
    linked.until_state(exit_, "filled")

    assert gateway.fired(name) >= 2
    assert trades == {"AAPL@38708077": D(500), "AAPL": D(10)}
    assert [(fill.market, fill.closes) for fill in fills] == [("AAPL", False), ("AAPL@38708077", False)]
    assert (linked.position("AAPL"), linked.live_refs()) == (0, [])


def told(desk, number):
    """Return all fills once there are so many."""
    found = desk.executor.fills_since(BEGINNING)[0]
    return found if len(found) == number else None


# What can become of one request on the way to an exit.
CUTS = [
    ("drop", {}),
    ("error_500", {"after_accept": True}),
    ("no_session", {"form": "401"}),
    ("status", {"status": 429, "retry_after": 1}),
]


@pytest.mark.parametrize(("action", "fields"), CUTS)
@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "*/order/*"), ("POST", "*/orders"), ("POST", "*/positions/invalidate"), ("GET", "*/order/status/*")],
)
def test_exit_cut_off_at_any_step_sells_once_when_it_is_gone_on_with(linked, gateway, action, fields, method, path):
    intent = linked.bought()
    cut = gateway.fault(action, times=1, match={"method": method, "path": path}, **fields)
    exit_ = linked.exit_of(intent)
    linked.eventually(lambda: gone_on(linked, exit_), 20)
    linked.until_up()
    linked.until_state(exit_, "filled")

    assert gateway.fired(cut) == 1
    assert (linked.position(), linked.live_refs()) == (0, [])
    assert len(orders_with(linked, exit_.client_order_id)) == 1


def gone_on(desk, exit_):
    """Go on with an exit as the resolver does: what may have been sent is asked about, never sent again unasked."""
    try:
        events = desk.executor.submit(exit_)
    except Ask:
        events = desk.find(exit_)
    return events[-1].state in (OrderState.FILLED, OrderState.ACCEPTED, OrderState.PARTIAL)
