"""The states of an order are a closed set with named subsets and a table of what may follow what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.order import OPEN_AT_BROKER, TERMINAL, TRANSITIONS, may_follow
from domain.vocabulary import OrderState


def test_the_table_names_every_state_and_nothing_else():
    assert set(TRANSITIONS) == set(OrderState)
    assert set().union(*TRANSITIONS.values()) == set(OrderState) - {OrderState.INTENDED}


def test_a_state_is_intended_open_at_the_broker_or_final_and_only_one_of_these():
    assert not TERMINAL & OPEN_AT_BROKER
    assert set(OrderState) == TERMINAL | OPEN_AT_BROKER | {OrderState.INTENDED}


def test_nothing_follows_a_final_state_but_the_late_fill_of_a_cancelled_order():
    followed = {state: TRANSITIONS[state] for state in TERMINAL if TRANSITIONS[state]}

    assert followed == {OrderState.CANCELLED: {OrderState.PARTIAL, OrderState.FILLED}}


@pytest.mark.parametrize("state", sorted(OPEN_AT_BROKER | {OrderState.INTENDED}))
def test_every_order_that_is_not_final_can_still_fill_or_get_lost(state):
    assert may_follow(state, OrderState.FILLED)
    assert state is OrderState.UNKNOWN or may_follow(state, OrderState.UNKNOWN)


def test_no_order_goes_back_before_the_socket():
    assert not any(may_follow(state, OrderState.INTENDED) for state in OrderState)
    assert [state for state in OrderState if may_follow(state, OrderState.SENT)] == [OrderState.INTENDED]


def test_an_order_the_broker_has_taken_cannot_turn_out_absent_or_rejected():
    taken = {OrderState.ACCEPTED, OrderState.PARTIAL}

    assert not any(may_follow(state, OrderState.ABSENT) or may_follow(state, OrderState.REJECTED) for state in taken)


@given(st.data())
def test_any_walk_through_the_table_ends_where_nothing_more_can_fill(data):
    state, walk = OrderState.INTENDED, []

    while TRANSITIONS[state] and len(walk) < 30:
        state = data.draw(st.sampled_from(sorted(TRANSITIONS[state])))
        walk.append(state)

    assert walk[-1] in TERMINAL or len(walk) == 30
    assert OrderState.FILLED not in walk[:-1]
    assert OrderState.INTENDED not in walk
