"""The stop-entry machine: its table is total, facts reach every row, and each edge does the right thing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stop_entry_rig import (
    ASKED_NOW,
    CLOSE,
    COOLING,
    DAY,
    NOW,
    PARAMS,
    PARTLY,
    PENDING,
    SIZE,
    D,
    asked,
    entry,
    facts,
    held,
    stop,
)

from domain.vocabulary import OrderState
from strategies.stop_entry.actions import (
    ArmEntry,
    Escalate,
    PlaceStop,
    ResizeStop,
    Wait,
    WaitReason,
)
from strategies.stop_entry.facts import Facts, Phase, Session
from strategies.stop_entry.machine import IMPOSSIBLE, TABLE, Event, State, observe, perceive, step, transition

# What facts show each row of the table.
EXAMPLES: Mapping[tuple[State, Event], Facts] = {
    (State.NO_POSITION, Event.LINK_DOWN): facts(link_usable=False),
    (State.ENTRY_PENDING, Event.LINK_DOWN): facts(**PENDING, link_usable=False),
    (State.POSITION_OPEN, Event.LINK_DOWN): held(link_usable=False, stops=()),
    (State.COOLDOWN, Event.LINK_DOWN): facts(**COOLING, link_usable=False),
    (State.NO_POSITION, Event.ACCOUNT_UNREAD): facts(position=None),
    (State.ENTRY_PENDING, Event.ACCOUNT_UNREAD): facts(**PENDING, position=None),
    (State.POSITION_OPEN, Event.ACCOUNT_UNREAD): held(position=None, stops=()),
    (State.COOLDOWN, Event.ACCOUNT_UNREAD): facts(**COOLING, position=None),
    (State.NO_POSITION, Event.FROZEN): facts(frozen=True),
    (State.ENTRY_PENDING, Event.FROZEN): facts(**PENDING, frozen=True),
    (State.POSITION_OPEN, Event.FROZEN): held(frozen=True),
    (State.COOLDOWN, Event.FROZEN): facts(**COOLING, frozen=True),
    (State.NO_POSITION, Event.SHORT): facts(position=D(-5)),
    (State.COOLDOWN, Event.SHORT): facts(**COOLING, position=D(-5)),
    (State.POSITION_OPEN, Event.SPLIT_SUSPECTED): held(position=D(70)),
    (State.NO_POSITION, Event.UNEXPLAINED): facts(position=D(3)),
    (State.POSITION_OPEN, Event.UNEXPLAINED): held(position=D(13)),
    (State.COOLDOWN, Event.UNEXPLAINED): facts(**COOLING, position=D(3)),
    (State.ENTRY_PENDING, Event.ENTRY_DOUBTFUL): facts(entry=entry(state=OrderState.UNKNOWN)),
    (State.POSITION_OPEN, Event.ENTRY_DOUBTFUL): facts(
        **{**PARTLY, "entry": entry(state=OrderState.CANCELLED, provisional=True, filled=D(4))}
    ),
    (State.ENTRY_PENDING, Event.ENTRY_LEAVING): facts(entry=entry(cancel_asked_at=ASKED_NOW), may_open=False),
    (State.POSITION_OPEN, Event.ENTRY_LEAVING): facts(**{**PARTLY, "entry": entry(filled=D(4), cancel_asked_at=NOW)}),
    (State.ENTRY_PENDING, Event.ENTRY_UNWANTED): facts(**PENDING, may_open=False),
    (State.POSITION_OPEN, Event.ENTRY_UNWANTED): facts(**PARTLY, may_open=False),
    (State.ENTRY_PENDING, Event.ENTRY_RESTS): facts(**PENDING),
    (State.POSITION_OPEN, Event.ENTRY_RESTS): facts(**PARTLY),
    (State.NO_POSITION, Event.ARMING_BARRED): facts(may_open=False),
    (State.COOLDOWN, Event.ARMING_BARRED): facts(**COOLING),
    (State.NO_POSITION, Event.MAY_ARM): facts(),
    (State.NO_POSITION, Event.EXIT_RUNNING): facts(exiting=True),
    (State.ENTRY_PENDING, Event.EXIT_RUNNING): facts(**PENDING, exiting=True),
    (State.POSITION_OPEN, Event.EXIT_RUNNING): held(exiting=True, stops=()),
    (State.COOLDOWN, Event.EXIT_RUNNING): facts(**COOLING, exiting=True),
    (State.POSITION_OPEN, Event.DELISTED): held(listed=False, stops=()),
    (State.NO_POSITION, Event.STOP_SUPERFLUOUS): facts(stops=(stop(),)),
    (State.ENTRY_PENDING, Event.STOP_SUPERFLUOUS): facts(entry=entry(), stops=(stop(),)),
    (State.POSITION_OPEN, Event.STOP_SUPERFLUOUS): held(stops=(stop(), stop(order_id="stop-2"))),
    (State.COOLDOWN, Event.STOP_SUPERFLUOUS): facts(**COOLING, stops=(stop(),)),
    (State.POSITION_OPEN, Event.STOP_OFF_SCALE): held(position=D(70), last=D("14.5")),
    (State.POSITION_OPEN, Event.EXIT_NEEDED): held(D("0.5"), stops=()),
    (State.POSITION_OPEN, Event.STOP_MISSING): held(stops=()),
    (State.POSITION_OPEN, Event.STOP_REFUSED): held(stops=(), stop_refusals=1, stop_refused_at=ASKED_NOW),
    (State.POSITION_OPEN, Event.STOP_DOUBTFUL): held(stops=(stop(state=OrderState.UNKNOWN),)),
    (State.POSITION_OPEN, Event.STOP_WORKING): held(stops=(stop(triggered_at=NOW),)),
    (State.POSITION_OPEN, Event.STOP_MISSIZED): held(stops=(stop(quantity=D(4)),)),
    (State.POSITION_OPEN, Event.STOP_RESIZING): held(
        stops=(stop(quantity=D(4), resizing_to=SIZE, resize_asked_at=ASKED_NOW),)
    ),
    (State.POSITION_OPEN, Event.FRACTION_WAITS): held(
        D("0.5"), stops=(), session=Session(name=DAY.name, phase=Phase.CLOSED, ends_at=CLOSE)
    ),
    (State.POSITION_OPEN, Event.SETTLING): held(stops=(), position=D(0), settled=False),
    (State.POSITION_OPEN, Event.PROTECTED): held(),
}

COUNTS = st.sampled_from([D(0), D("0.5"), D(4), D(10), D(20), D(70)])
STATES = st.sampled_from(list(OrderState))
MOMENTS = st.none() | st.sampled_from([NOW - timedelta(seconds=s) for s in (0, 1, 400)])
ENTRIES = st.builds(
    entry,
    state=STATES,
    filled=COUNTS,
    provisional=st.booleans(),
    cancel_asked_at=MOMENTS,
    triggered_at=MOMENTS,
    limit=st.sampled_from([None, D(106)]),
    trigger=st.sampled_from([D(105), D(120)]),
    armed_at=MOMENTS.filter(bool),
)
STOPS = st.builds(
    stop,
    order_id=st.sampled_from(["a", "b", "c"]),
    quantity=COUNTS,
    state=STATES,
    level=st.sampled_from([None, D(80), D(90), D(200)]),
    is_limit=st.booleans(),
    attached=st.booleans(),
    ours=st.booleans(),
    provisional=st.booleans(),
    cancel_asked_at=MOMENTS,
    triggered_at=MOMENTS,
    resizing_to=st.none() | COUNTS,
    resize_asked_at=MOMENTS,
)
SESSIONS = st.builds(
    Session,
    name=st.just(DAY.name),
    phase=st.sampled_from(Phase),
    ends_at=st.sampled_from([NOW, NOW + timedelta(minutes=14), CLOSE]),
)
ANY_FACTS = st.builds(
    facts,
    last=st.sampled_from([None, D(0), D("NaN"), D("0.01"), D(14), D(90), D(100), D(106)]),
    session=SESSIONS,
    link_usable=st.booleans(),
    may_open=st.booleans(),
    listed=st.booleans(),
    entry=st.none() | ENTRIES,
    held=COUNTS,
    position=st.none() | COUNTS | st.just(D(-5)),
    settled=st.booleans(),
    stops=st.lists(STOPS, max_size=3, unique_by=lambda one: one.order_id).map(tuple),
    cooldown_until=st.sampled_from([None, NOW, NOW + timedelta(minutes=1)]),
    exiting=st.booleans(),
    frozen=st.booleans(),
    stop_refusals=st.integers(0, 4),
    stop_refused_at=MOMENTS,
)


def test_every_pair_of_state_and_event_is_in_the_table_or_named_as_impossible() -> None:
    assert TABLE.keys() & IMPOSSIBLE.keys() == set()
    assert TABLE.keys() | IMPOSSIBLE.keys() == set(product(State, Event))
    assert all(IMPOSSIBLE.values())


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_pair_has_an_answer_and_an_impossible_one_is_to_wait(state: State, event: Event) -> None:
    after, actions = transition(state, event, facts(), PARAMS)

    assert after in State
    if (state, event) in IMPOSSIBLE:
        assert (after, actions) == (state, (Wait(reason=WaitReason.IMPOSSIBLE),))


def test_every_row_of_the_table_has_an_example() -> None:
    assert EXAMPLES.keys() == TABLE.keys()


@pytest.mark.parametrize("pair", EXAMPLES, ids=lambda pair: "-".join(pair))
def test_facts_show_every_row_of_the_table(pair: tuple[State, Event]) -> None:
    given = EXAMPLES[pair]

    assert observe(given) is pair[0]
    assert pair[1] in perceive(given, PARAMS)


@settings(max_examples=250, deadline=None)
@given(given_facts=ANY_FACTS)
def test_no_facts_show_an_impossible_pair(given_facts: Facts) -> None:
    seen = step(given_facts, PARAMS)

    assert {(seen.state, event) for event in seen.events} <= TABLE.keys()
    assert Wait(reason=WaitReason.IMPOSSIBLE) not in seen.actions
    assert seen == step(given_facts, PARAMS)
    assert seen.actions


@settings(max_examples=250, deadline=None)
@given(given_facts=ANY_FACTS)
def test_no_facts_ask_for_what_could_sell_more_than_is_there_or_buy_a_second_time(given_facts: Facts) -> None:
    orders = asked(given_facts)
    most = max(given_facts.held, given_facts.position or D(0))

    for order in orders:
        assert given_facts.link_usable
        if isinstance(order, ArmEntry):
            assert orders == (order,)
            assert given_facts.held == given_facts.position == 0
            assert given_facts.live_entry is None
            assert not given_facts.stops
        if isinstance(order, PlaceStop):
            assert not given_facts.own_stops
            assert 0 < order.quantity <= min(most, given_facts.position or D(0))
            assert order.quantity % 1 == 0
        if isinstance(order, ResizeStop):
            assert 0 < order.quantity <= most
        if isinstance(order, Escalate):
            assert 0 < order.quantity <= most


@settings(max_examples=50, deadline=None)
@given(events=st.lists(st.sampled_from(list(Event)), max_size=20), given_facts=ANY_FACTS)
def test_no_sequence_of_events_leaves_the_four_states_or_raises(events: list[Event], given_facts: Facts) -> None:
    state = State.NO_POSITION
    for event in events:
        state, actions = transition(state, event, given_facts, PARAMS)

        assert state in State
        assert isinstance(actions, tuple)


def test_with_the_link_down_nothing_at_all_is_asked() -> None:
    for example in EXAMPLES.values():
        assert asked(replace(example, link_usable=False)) == ()
