"""What goes wrong on request at the venue behind the IBKR simulators."""

from decimal import Decimal

import ibkr_venue_lab
import pytest
from ibkr_venue_lab import ACCOUNT, IBM

from simulators.ibkr.events import Executed
from simulators.ibkr.venue import Unknown

D = Decimal


@pytest.fixture
def lab():
    return ibkr_venue_lab.written()


def test_a_correction_is_the_next_issue_and_moves_cash_and_position(lab):
    lab.place("BUY", 100)
    [first] = lab.venue.executions()
    after = lab.venue.correct(first.exec_id, D("99.00"), D(90))

    assert (first.exec_id[-3:], after.exec_id) == (".01", first.exec_id[:-2] + "02")
    assert lab.held() == 90
    assert lab.cash == 100_000 - 90 * 99 - 1
    assert [each.quantity for each in lab.venue.executions()] == [100, 90]


def test_a_bust_takes_the_trade_back(lab):
    order = lab.place("BUY", 100)
    lab.venue.bust(lab.venue.executions()[0].exec_id)

    assert (lab.held(), lab.cash) == (0, 100_000)
    assert (order.status, order.remaining) == ("Filled", 100)


def test_a_correction_changes_the_profit_of_what_was_sold_after_it(lab):
    lab.place("BUY", 100)
    lab.place("SELL", 100)
    bought = lab.venue.executions()[0]
    lab.venue.correct(bought.exec_id, D("101.01"), D(100))

    assert lab.venue.account_values(ACCOUNT)["RealizedPnL"] == D("-104")
    with pytest.raises(Unknown):
        lab.venue.bust("0000e0d5.00000000.01.01")


def test_an_order_can_be_held_back_until_it_is_changed_to_transmit(lab):
    order = lab.place("BUY", 100, transmit=False)
    lab.venue.hold_fills(order.perm_id, D(30))
    before = (order.filled, list(lab.told))
    lab.modify(order, transmit=True)

    assert before == (0, [])
    assert (order.filled, order.status) == (30, "Submitted")


def test_a_late_fill_comes_after_the_cancel_and_leaves_the_status(lab):
    order = lab.place("BUY", 100, "LMT", limit="99")
    lab.venue.cancel(order.perm_id)
    lab.after(1)
    lab.venue.fill_after_cancel(order.perm_id)

    assert (order.status, order.filled, lab.held()) == ("Cancelled", 100, 100)
    assert lab.fills() == [(D(100), D("99.00"))]


def test_held_fills_stay_partial_until_they_are_let_go(lab):
    order = lab.place("BUY", 100, "LMT", limit="99")
    lab.venue.hold_fills(order.perm_id, D(40))
    lab.trade("98").trade("98")
    held = order.filled
    lab.venue.hold_fills(order.perm_id, None)
    lab.trade("98")

    assert (held, order.filled) == (40, 100)


def test_an_order_can_be_made_inactive(lab):
    lab.place("BUY", 100)
    order = lab.place("SELL", 100, "STP", stop="90")
    lab.venue.force_inactive(order.perm_id, "no shares")

    assert (order.status, order.reason) == ("Inactive", "no shares")


@pytest.mark.parametrize(
    ("orders", "quantity", "stop"), [("keep", 100, D("98.00")), ("scale", 700, D("14.00")), ("cancel", None, None)]
)
def test_a_split_multiplies_shares_and_leaves_orders_as_told(lab, orders, quantity, stop):
    lab.place("BUY", 100)
    order = lab.place("SELL", 100, "STP", stop="98", tif="GTC")
    lab.venue.split("IBM", 7, 1, orders=orders)
    [position] = lab.venue.positions()

    assert (position.quantity, round(position.average_cost, 6)) == (700, D("14.288571"))
    assert order.is_done if quantity is None else (order.terms.quantity, order.stop_now) == (quantity, stop)


def test_a_trade_by_hand_has_no_owner(lab):
    lab.venue.trade_by_hand(ACCOUNT, IBM, D(50))
    lab.venue.trade_by_hand(ACCOUNT, IBM, D(-20))

    assert lab.held() == 30
    assert [event.execution.order.owner for event, _ in lab.told if isinstance(event, Executed)] == [None, None]


def test_a_frozen_quote_stands_still_while_orders_meet_the_true_one(lab):
    order = lab.place("BUY", 10, "LMT", limit="99")
    lab.venue.freeze("IBM")
    lab.trade("98")
    shown = lab.venue.quote(IBM)
    lab.venue.freeze("IBM", False)

    assert (shown.last, order.status) == (D("100.00"), "Filled")
    assert lab.venue.quote(IBM).last == D("98.00")


def test_a_listener_may_ask_the_venue_inside_an_event(lab):
    held = []
    lab.venue.subscribe(lambda event: held.append(lab.held()) if isinstance(event, Executed) else None)
    lab.place("BUY", 10, "LMT", limit="99")
    lab.trade("98")

    assert held == [10]
