"""Orders at the venue behind the IBKR simulators: what fills, when and at what price."""

from decimal import Decimal

import ibkr_venue_lab
import pytest
from ibkr_venue_lab import IBM

from simulators.ibkr.orders import Rejected

D = Decimal


@pytest.fixture
def lab():
    return ibkr_venue_lab.written()


def bracket(lab, quantity=100, limit="100.01", stop="98", target=None, **exit_terms):
    kind = "STP" if stop else "TRAIL"
    parent = lab.place("BUY", quantity, "LMT", limit=limit, transmit=False)
    children = []
    if target:
        children.append(lab.place("SELL", quantity, "LMT", limit=target, parent=parent.perm_id, transmit=False))
    children.append(lab.place("SELL", quantity, kind, stop=stop, parent=parent.perm_id, **exit_terms))
    return [parent, *children]


# -- kinds of orders
def test_a_market_order_buys_at_the_ask_and_tells_in_the_brokers_order(lab):
    order = lab.place("BUY", 100)

    assert order.status == "Filled"
    assert lab.fills() == [(D(100), D("100.01"))]
    assert lab.statuses(order) == ["PreSubmitted", "Submitted", "Filled"]
    assert lab.kinds() == ["order", "order", "fill", "order", "fee", "position"]


def test_a_limit_order_waits_and_then_trades_at_its_limit(lab):
    order = lab.place("BUY", 100, "LMT", limit="99.00")
    lab.trade("99.50").trade("98.90")

    assert lab.fills(order) == [(D(100), D("99.00"))]


def test_a_limit_order_the_market_jumped_over_trades_at_the_market(lab):
    order = lab.place("BUY", 100, "LMT", limit="99.00")
    lab.trade("98.50", seconds=600)

    assert lab.fills(order) == [(D(100), D("98.51"))]


def test_a_limit_order_that_is_marketable_at_once_gets_the_better_price(lab):
    order = lab.place("BUY", 100, "LMT", limit="101")

    assert lab.fills(order) == [(D(100), D("100.01"))]


def test_a_stop_waits_for_a_trade_not_for_a_quote(lab):
    lab.place("BUY", 100)
    stop = lab.place("SELL", 100, "STP", stop="98")
    lab.trade("97", is_trade=False)
    waiting = (stop.status, stop.why_held)
    lab.trade("97.90")

    assert waiting == ("PreSubmitted", "trigger")
    assert lab.fills(stop) == [(D(100), D("97.89"))]


def test_a_gap_through_a_stop_fills_at_the_open_of_the_next_day(lab):
    lab.place("BUY", 100)
    stop = lab.place("SELL", 100, "STP", stop="98", tif="GTC")
    lab.at("2014-05-07T11:00:00+00:00").trade("90", seconds=1)
    before_open = stop.status
    lab.at("2014-05-07T13:30:00+00:00").trade("91.00", seconds=1)

    assert before_open == "PreSubmitted"
    assert lab.fills(stop) == [(D(100), D("90.99"))]


def test_a_stop_limit_that_is_jumped_over_rests_at_its_limit(lab):
    lab.place("BUY", 100)
    order = lab.place("SELL", 100, "STP LMT", stop="98", limit="97.50")
    lab.trade("95")
    resting = (order.status, order.triggered, order.filled)
    lab.trade("97.60")

    assert resting == ("Submitted", True, 0)
    assert lab.fills(order) == [(D(100), D("97.50"))]


def test_a_trailing_stop_follows_by_amount_and_says_so(lab):
    lab.place("BUY", 100)
    stop = lab.place("SELL", 100, "TRAIL", trail_amount="2")
    placed = stop.stop_now
    lab.trade("103")
    moved = stop.stop_now
    lab.trade("101.50")

    assert (placed, moved, stop.stop_now) == (D("98.00"), D("101.00"), D("101.00"))
    assert lab.statuses(stop) == ["PreSubmitted", "PreSubmitted"]


def test_a_trailing_stop_follows_by_percent_from_its_first_stop(lab):
    lab.place("BUY", 100)
    stop = lab.place("SELL", 100, "TRAIL", trail_percent="1", trail_stop="99.50")
    placed = stop.stop_now
    lab.trade("100.20")
    kept = stop.stop_now
    lab.trade("101.15")

    assert placed == kept == D("99.50")
    assert stop.stop_now == D("100.13")


def test_a_trailing_buy_stop_falls_with_the_market(lab):
    stop = lab.place("BUY", 100, "TRAIL", trail_amount="1")
    lab.trade("95").trade("96.10")

    assert lab.fills(stop) == [(D(100), D("96.11"))]


def test_a_trailing_limit_keeps_its_limit_at_the_offset(lab):
    lab.place("BUY", 100)
    order = lab.place("SELL", 100, "TRAIL LIMIT", trail_amount="2", limit_offset="0.10")
    lab.trade("103")

    assert (order.stop_now, order.limit_now) == (D("101.00"), D("100.90"))


def test_a_trailing_limit_with_a_first_limit_keeps_its_distance(lab):
    lab.place("BUY", 100)
    order = lab.place("SELL", 100, "TRAIL LIMIT", trail_amount="2", trail_stop="98", limit="97.80")
    lab.trade("103")

    assert (order.stop_now, order.limit_now) == (D("101.00"), D("100.80"))


def test_fills_take_no_more_than_is_shown(lab):
    lab.trade("100", size=300)
    first = lab.place("BUY", 400)
    second = lab.place("BUY", 100)
    alone = (first.filled, second.filled)
    lab.trade("100.10", size=150)
    lab.trade("100.20", size=150)

    assert alone == (300, 0)
    assert lab.fills() == [(D(300), D("100.01")), (D(100), D("100.11")), (D(50), D("100.11")), (D(50), D("100.21"))]
    assert first.average_price == D("100.035")


# -- time
def test_only_orders_for_outside_regular_hours_trade_before_the_open(lab):
    lab.at("2014-05-06T20:30:00+00:00").at("2014-05-07T08:30:00+00:00")
    plain = lab.place("BUY", 10, "LMT", limit="101")
    early = lab.place("BUY", 10, "LMT", limit="101", outside_rth=True)
    lab.trade("100.50")
    before_open = (plain.status, early.status)
    lab.at("2014-05-07T13:30:00+00:00").trade("100.50")

    assert before_open == ("PreSubmitted", "Filled")
    assert plain.status == "Filled"


def test_a_day_order_ends_with_the_session_and_a_lasting_one_stays(lab):
    day = lab.place("BUY", 10, "LMT", limit="90")
    lasting = lab.place("BUY", 10, "LMT", limit="90", tif="GTC")
    late = lab.place("BUY", 10, "LMT", limit="90", outside_rth=True)
    lab.at("2014-05-06T20:00:00+00:00")
    at_the_close = (day.status, day.reason, lasting.status, late.status)
    lab.at("2014-05-07T00:00:00+00:00")

    assert at_the_close == ("Cancelled", "expired", "Submitted", "Submitted")
    assert late.status == "Cancelled"


def test_a_day_order_given_after_the_close_is_for_the_next_session(lab):
    lab.at("2014-05-09T21:00:00+00:00")
    order = lab.place("BUY", 10, "LMT", limit="90")
    lab.at("2014-05-12T19:59:59+00:00")
    before = order.status
    lab.at("2014-05-12T20:00:00+00:00")

    assert (before, order.status) == ("PreSubmitted", "Cancelled")


def test_day_orders_end_at_one_o_clock_on_a_half_day():
    lab = ibkr_venue_lab.written(at="2013-11-29T15:00:00+00:00")
    order = lab.place("BUY", 10, "LMT", limit="90")
    lab.at("2013-11-29T18:00:00+00:00")

    assert order.status == "Cancelled"


def test_a_halted_stock_neither_triggers_nor_fills(lab):
    lab.place("BUY", 100)
    stop = lab.place("SELL", 100, "STP", stop="98")
    lab.venue.halt("IBM")
    lab.trade("95")
    halted = (stop.status, lab.venue.quote(IBM).halted)
    lab.venue.halt("IBM", False)
    lab.trade("94")

    assert halted == ("PreSubmitted", True)
    assert lab.fills(stop) == [(D(100), D("93.99"))]


# -- brackets and groups
def test_nothing_of_a_bracket_is_told_before_its_last_order_transmits(lab):
    parent = lab.place("BUY", 100, "LMT", limit="100.01", transmit=False)
    quiet = list(lab.told)
    stop = lab.place("SELL", 100, "STP", stop="98", parent=parent.perm_id)

    assert quiet == []
    assert lab.statuses(parent) == ["PreSubmitted", "Submitted", "Filled"]
    assert [seen[4] for _, seen in lab.told if seen and seen[0] == stop.perm_id] == ["child", "trigger"]


def test_a_child_waits_until_its_parent_fills(lab):
    parent, stop = bracket(lab, limit="99")
    lab.trade("99.50").trade("98.90", size=40)

    assert (parent.filled, stop.why_held, stop.filled) == (40, "trigger", 0)


def test_a_child_sells_no_more_than_its_parent_bought(lab):
    parent, stop = bracket(lab, limit="99")
    lab.trade("98.50", size=40)
    lab.venue.cancel(parent.perm_id)
    lab.after(1).trade("97")

    assert (parent.status, parent.filled) == ("Cancelled", 40)
    assert lab.fills(stop) == [(D(40), D("96.99"))]
    assert stop.status == "Cancelled"
    assert lab.held() == 0


def test_children_go_with_a_parent_that_never_filled(lab):
    parent, stop = bracket(lab, limit="90")
    lab.venue.cancel(parent.perm_id)
    lab.after(1)

    assert (parent.status, stop.status) == ("Cancelled", "Cancelled")


def test_the_other_exit_of_a_bracket_goes_when_one_fills(lab):
    _, target, stop = bracket(lab, target="102")
    lab.trade("102.05")

    assert (target.status, stop.status) == ("Filled", "Cancelled")


def test_the_other_exit_of_a_bracket_shrinks_when_one_fills_in_part(lab):
    _, target, stop = bracket(lab, target="102")
    lab.trade("102.05", size=30)

    assert (target.filled, stop.terms.quantity) == (30, 70)


@pytest.mark.parametrize(("oca_type", "left"), [(1, 0), (2, 70), (3, 70)])
def test_a_group_cancels_or_shrinks_by_its_type(lab, oca_type, left):
    lab.place("BUY", 100)
    one = lab.place("SELL", 100, "LMT", limit="102", oca_group="g", oca_type=oca_type)
    other = lab.place("SELL", 100, "STP", stop="98", oca_group="g", oca_type=oca_type)
    lab.trade("102.05", size=30)

    assert one.filled == 30
    assert (0 if other.is_done else other.remaining) == left


def test_an_exit_that_joins_the_stops_group_takes_the_stop_back(lab):
    lab.place("BUY", 100)
    stop = lab.place("SELL", 100, "STP", stop="98", oca_group="g", oca_type=1)
    lab.place("SELL", 100, oca_group="g", oca_type=1)

    assert stop.status == "Cancelled"
    assert lab.held() == 0


def test_a_child_of_a_parent_that_is_gone_is_refused(lab):
    parent = lab.place("BUY", 10, "LMT", limit="90")
    lab.venue.cancel(parent.perm_id)
    lab.after(1)

    with pytest.raises(Rejected) as refused:
        lab.place("SELL", 10, "STP", stop="80", parent=parent.perm_id)
    assert refused.value.code == 135


# -- changes and ends
def test_a_cancel_is_pending_first(lab):
    order = lab.place("BUY", 10, "LMT", limit="90")
    lab.venue.cancel(order.perm_id)
    pending = order.status
    lab.after(0)

    assert (pending, order.status) == ("PendingCancel", "Cancelled")
    assert lab.told[-1][1][-1] == 202


def test_what_is_done_cannot_be_cancelled_and_what_is_unknown_neither(lab):
    order = lab.place("BUY", 10)
    codes = []
    for perm_id in (order.perm_id, 1):
        with pytest.raises(Rejected) as refused:
            lab.venue.cancel(perm_id)
        codes.append(refused.value.code)

    assert codes == [10148, 10147]


def test_a_changed_stop_counts_at_once(lab):
    lab.place("BUY", 100)
    stop = lab.place("SELL", 100, "STP", stop="90")
    lab.modify(stop, stop=D("99"), quantity=D(60))
    lab.trade("98.90")

    assert lab.fills(stop) == [(D(60), D("98.89"))]


def test_a_change_of_something_else_keeps_where_the_trail_stands(lab):
    lab.place("BUY", 100)
    stop = lab.place("SELL", 100, "TRAIL", trail_amount="2")
    lab.trade("104").trade("103")
    lab.modify(stop, quantity=D(50))

    assert stop.stop_now == D("102.00")


def test_a_trail_is_kept_when_a_client_sends_back_the_limit_it_was_told(lab):
    lab.place("BUY", 100)
    stop = lab.place("SELL", 100, "TRAIL LIMIT", trail_amount="2", trail_stop="98", limit="97.80")
    lab.trade("104").trade("103")
    lab.modify(stop, quantity=D(50), limit=stop.limit_now)

    assert (stop.stop_now, stop.limit_now) == (D("102.00"), D("101.80"))


def test_what_is_left_of_a_sale_can_be_changed(lab):
    lab.place("BUY", 100)
    lab.trade("100", size=60)
    order = lab.place("SELL", 100)
    lab.modify(order, kind="LMT", limit=D("99"))
    lab.trade("100")

    assert (order.status, lab.held()) == ("Filled", 0)


def test_a_trailing_limit_that_has_fired_keeps_its_limit_when_changed(lab):
    lab.place("BUY", 100)
    order = lab.place("SELL", 100, "TRAIL LIMIT", trail_amount="2", limit_offset="0.10")
    lab.trade("95")
    fired = (order.triggered, order.limit_now)
    lab.modify(order, quantity=D(50))
    kept = order.limit_now
    lab.modify(order, limit=D("94"))

    assert fired == (True, D("97.90"))
    assert kept == D("97.90")
    assert lab.fills(order) == [(D(50), D("94.99"))]


def test_a_change_of_side_or_below_what_filled_is_refused(lab):
    lab.trade("100", size=30)
    order = lab.place("BUY", 100)
    codes = []
    for change in ({"side": "SELL"}, {"quantity": D(30)}):
        with pytest.raises(Rejected) as refused:
            lab.modify(order, **change)
        codes.append(refused.value.code)

    assert codes == [105, 201]
