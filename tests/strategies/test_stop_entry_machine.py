"""The stop-entry machine: its table is total, facts reach every row, and each edge does the right thing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stop_entry_rig import CLOSE, DAY, NOW, PARAMS, SIZE, D, asked, entry, facts, held, quote, stop

from domain.vocabulary import OrderState, TimeInForce
from strategies.stop_entry.actions import (
    ArmEntry,
    CancelEntry,
    CancelReason,
    CancelStop,
    Escalate,
    ExitNeed,
    Freeze,
    FreezeReason,
    PlaceStop,
    ResizeStop,
    StopFault,
    Wait,
    WaitReason,
)
from strategies.stop_entry.facts import Facts, Phase, Session
from strategies.stop_entry.machine import IMPOSSIBLE, TABLE, Event, State, observe, perceive, step, transition

COOLING: Mapping[str, Any] = {"cooldown_until": NOW + timedelta(minutes=5)}
PENDING: Mapping[str, Any] = {"entry": entry(), "stops": (stop(attached=True, level=None),)}
PARTLY: Mapping[str, Any] = {
    "entry": entry(state=OrderState.PARTIAL, filled=D(4)),
    "held": D(4),
    "position": D(4),
    "stops": (stop(attached=True),),
}
ASKED_NOW = NOW - timedelta(seconds=1)

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


def waits(given: Facts) -> set[WaitReason]:
    return {action.reason for action in step(given, PARAMS).actions if isinstance(action, Wait)}


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


def test_the_entry_waits_five_percent_above_the_last_trade_with_a_stop_ten_percent_below_the_best_price() -> None:
    assert asked(facts()) == (
        ArmEntry(
            trigger=D("105.00"),
            limit=None,
            trail_percent=D(10),
            trail_offset=None,
            tif=TimeInForce.DAY,
            outside_hours=False,
            session="2014-05-06",
        ),
    )


def test_triggers_are_rounded_up_and_bounds_down_to_the_tick() -> None:
    params = replace(PARAMS, stop_limit=True, trailing_limit=True)
    (armed,) = asked(facts(last=D("33.333"), reference=D(33)), params)

    assert isinstance(armed, ArmEntry)
    assert (armed.trigger, armed.limit, armed.trail_offset) == (D("35.00"), D("35.35"), D("0.07"))


@pytest.mark.parametrize("last", [None, D(0), D(-1), D("NaN")])
def test_without_a_price_nothing_is_armed(last: Decimal | None) -> None:
    given = facts(quote=replace(quote(D(100)), last=last))

    assert (asked(given), waits(given)) == ((), {WaitReason.NO_PRICE})


def test_without_a_quote_or_in_a_halted_market_nothing_is_armed() -> None:
    assert waits(facts(quote=None)) == {WaitReason.NO_PRICE}
    assert waits(facts(quote=replace(quote(D(100)), tradeable=False))) == {WaitReason.NO_PRICE}


def test_a_price_too_low_for_a_trigger_and_a_stop_arms_nothing() -> None:
    assert waits(facts(last=D("0.004"), reference=D("0.004"))) == {WaitReason.NO_PRICE}


def test_an_offer_that_has_gapped_beyond_the_trigger_arms_nothing() -> None:
    gapped = facts(quote=replace(quote(D(100)), bid=D(104), ask=D("105.00")))

    assert (asked(gapped), waits(gapped)) == ((), {WaitReason.CROSSED})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"session": Session(name=DAY.name, phase=Phase.PRE, ends_at=CLOSE)}, WaitReason.HOURS),
        ({"session": Session(name=DAY.name, phase=Phase.POST, ends_at=CLOSE)}, WaitReason.HOURS),
        ({"session": Session(name=DAY.name, phase=Phase.CLOSED, ends_at=NOW)}, WaitReason.HOURS),
        ({"now": CLOSE - timedelta(minutes=15)}, WaitReason.CLOSING),
        ({"may_open": False}, WaitReason.HALTED),
        ({"listed": False}, WaitReason.DELISTED),
        ({"rearm_at": NOW + timedelta(seconds=1)}, WaitReason.REFUSED),
        ({"entry": entry(state=OrderState.REJECTED)}, WaitReason.REFUSED),
        ({"reference": D(700)}, WaitReason.OFF_SCALE),
        ({"stops": (stop(ours=False),)}, WaitReason.FOREIGN_ORDER),
        ({"stops": (stop(state=OrderState.UNKNOWN),)}, WaitReason.LEFTOVER),
    ],
)
def test_what_bars_an_entry_is_named(changes: dict[str, Any], reason: WaitReason) -> None:
    given = facts(**changes)

    assert asked(given) == ()
    assert reason in waits(given)


def test_a_minute_before_the_last_quarter_of_an_hour_an_entry_is_still_armed_and_on_half_days_earlier() -> None:
    early = Session(name="2014-11-28", phase=Phase.REGULAR, ends_at=CLOSE - timedelta(hours=3))

    assert len(asked(facts(now=CLOSE - timedelta(minutes=16)))) == 1
    assert len(asked(facts(now=CLOSE - timedelta(hours=3, minutes=16), session=early))) == 1
    assert asked(facts(now=CLOSE - timedelta(hours=3, minutes=15), session=early)) == ()


def test_entries_outside_regular_hours_are_armed_only_where_the_settings_say_so() -> None:
    pre = Session(name=DAY.name, phase=Phase.PRE, ends_at=CLOSE)
    post = Session(name=DAY.name, phase=Phase.POST, ends_at=CLOSE)
    both = replace(PARAMS, allow_pre_market=True, allow_after_hours=True)

    for session in (pre, post):
        (armed,) = asked(facts(session=session), both)
        assert isinstance(armed, ArmEntry)
        assert armed.outside_hours
    assert asked(facts(session=post), replace(PARAMS, allow_pre_market=True)) == ()
    # The close is not the end any more: the last quarter of an hour is that of the evening.
    assert len(asked(facts(now=CLOSE - timedelta(minutes=5)), both)) == 1
    assert asked(facts(now=CLOSE - timedelta(minutes=5), session=post), both) == ()


def test_a_refused_entry_is_proposed_again_after_its_rest() -> None:
    long_ago = NOW - timedelta(seconds=PARAMS.rearm_s)

    assert len(asked(facts(entry=entry(state=OrderState.REJECTED, changed_at=long_ago)))) == 1


def test_an_entry_that_did_not_fill_is_armed_again_next_session_unless_the_settings_say_no() -> None:
    yesterday = facts(entry=entry(state=OrderState.CANCELLED, session="2014-05-05"))

    assert len(asked(yesterday)) == 1
    once = step(yesterday, replace(PARAMS, rearm_next_session=False))
    assert (once.orders, once.actions) == ((), (Wait(reason=WaitReason.SPENT),))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"may_open": False}, CancelReason.HALTED),
        ({"frozen": True}, CancelReason.HALTED),
        ({"listed": False}, CancelReason.DELISTED),
        ({"now": CLOSE - timedelta(minutes=15)}, CancelReason.SESSION_ENDING),
        ({"session": Session(name=DAY.name, phase=Phase.POST, ends_at=CLOSE)}, CancelReason.OUTSIDE_HOURS),
        ({"session": Session(name=DAY.name, phase=Phase.CLOSED, ends_at=CLOSE)}, CancelReason.OUTSIDE_HOURS),
        ({"reference": D(200)}, CancelReason.OFF_SCALE),
        (COOLING, CancelReason.COOLDOWN),
        ({"exiting": True}, CancelReason.EXITING),
    ],
)
def test_an_entry_is_taken_back_with_the_reason(changes: dict[str, Any], reason: CancelReason) -> None:
    assert asked(facts(**{**PENDING, **changes})) == (CancelEntry(order_id="entry-1", reason=reason),)


def test_an_entry_moves_down_after_a_fall_but_not_too_often_and_never_up() -> None:
    old = entry(armed_at=NOW - timedelta(seconds=PARAMS.reprice_min_s))
    young = entry(armed_at=NOW - timedelta(seconds=PARAMS.reprice_min_s - 1))
    fallen, risen, little = (facts(last=last, entry=old) for last in (D("98.9"), D(104), D("99.1")))

    assert asked(fallen) == (CancelEntry(order_id="entry-1", reason=CancelReason.REPRICE),)
    assert (asked(risen), asked(little), asked(replace(fallen, entry=young))) == ((), (), ())
    assert asked(replace(fallen, quote=None)) == ()


def test_an_entry_that_has_begun_to_fill_is_never_moved() -> None:
    begun = entry(state=OrderState.PARTIAL, filled=D(4), armed_at=NOW - timedelta(hours=1))

    assert asked(facts(**{**PARTLY, "entry": begun, "last": D(80)})) == ()


def test_a_stop_limit_entry_that_was_triggered_and_left_behind_is_taken_back() -> None:
    left = entry(limit=D(106), triggered_at=NOW - timedelta(seconds=PARAMS.stuck_s))

    assert asked(facts(last=D(110), entry=left)) == (CancelEntry(order_id="entry-1", reason=CancelReason.MISSED),)
    assert asked(facts(last=D(110), entry=replace(left, triggered_at=NOW))) == ()
    # A buy stop at any price is filling: to take it back would race with the fill.
    assert asked(facts(last=D(110), entry=replace(left, limit=None))) == ()


@pytest.mark.parametrize("state", [OrderState.INTENDED, OrderState.SENT, OrderState.UNKNOWN])
def test_an_entry_that_was_only_intended_or_sent_arms_no_second_one(state: OrderState) -> None:
    given = facts(entry=entry(state=state), may_open=False)

    assert (observe(given), asked(given)) == (State.ENTRY_PENDING, ())


def test_a_provisional_cancel_arms_no_second_entry() -> None:
    given = facts(entry=entry(state=OrderState.CANCELLED, provisional=True))

    assert (observe(given), asked(given)) == (State.ENTRY_PENDING, ())


def test_a_late_fill_after_a_cancel_is_a_position_and_gets_its_stop() -> None:
    given = held(entry=entry(state=OrderState.CANCELLED, filled=SIZE), stops=())

    assert observe(given) is State.POSITION_OPEN
    assert asked(given) == (PlaceStop(quantity=SIZE, percent=D(10), offset=None),)


def test_a_missing_stop_is_placed_at_any_hour_halted_or_not_for_the_shares_the_broker_confirms() -> None:
    night = Session(name=DAY.name, phase=Phase.CLOSED, ends_at=NOW)
    given = held(stops=(), session=night, may_open=False, quote=None)

    assert asked(given) == (PlaceStop(quantity=SIZE, percent=D(10), offset=None),)
    assert asked(held(stops=(), position=D(6), settled=False)) == (
        PlaceStop(quantity=D(6), percent=D(10), offset=None),
    )


def test_a_trailing_limit_is_placed_with_its_offset_and_as_a_plain_stop_without_a_price() -> None:
    params = replace(PARAMS, trailing_limit=True)

    assert asked(held(stops=()), params) == (PlaceStop(quantity=SIZE, percent=D(10), offset=D("0.20")),)
    assert asked(held(stops=(), quote=None), params) == (PlaceStop(quantity=SIZE, percent=D(10), offset=None),)


def test_each_symbol_has_its_own_distances() -> None:
    params = replace(PARAMS, overrides="TSLA:entry=4,trail=8")
    (armed,), (placed,) = asked(facts(), params), asked(held(stops=()), params)

    assert isinstance(armed, ArmEntry)
    assert isinstance(placed, PlaceStop)
    assert (armed.trigger, armed.trail_percent, placed.percent) == (D("104.00"), D(8), D(8))


def test_of_two_stops_the_tighter_one_is_kept() -> None:
    loose, tight = stop(order_id="loose", level=D(90)), stop(order_id="tight", level=D(95))

    assert asked(held(stops=(tight, loose))) == (CancelStop(order_id="loose", reason=StopFault.DUPLICATE),)
    assert asked(held(stops=(loose, replace(tight, quantity=D(4))))) == (
        CancelStop(order_id="loose", reason=StopFault.DUPLICATE),
        ResizeStop(order_id="tight", quantity=SIZE),
    )


def test_a_change_of_quantity_is_asked_for_again_when_it_was_lost() -> None:
    long_ago = NOW - timedelta(seconds=PARAMS.retry_s)
    changing = stop(quantity=D(4), resizing_to=SIZE, resize_asked_at=ASKED_NOW)
    change = (ResizeStop(order_id="stop-1", quantity=SIZE),)

    assert asked(held(stops=(changing,))) == ()
    assert asked(held(stops=(replace(changing, resize_asked_at=long_ago),))) == change
    assert asked(held(stops=(replace(changing, resize_asked_at=None),))) == change
    assert asked(held(stops=(replace(changing, resizing_to=D(6)),))) == change


def test_of_two_equal_stops_the_one_of_the_right_quantity_is_kept() -> None:
    wrong, right = stop(order_id="z", quantity=D(4)), stop(order_id="a")

    assert asked(held(stops=(wrong, right))) == (CancelStop(order_id="z", reason=StopFault.DUPLICATE),)


def test_a_stop_that_has_begun_to_sell_is_kept_and_left_alone() -> None:
    selling = stop(order_id="a", level=D(80), state=OrderState.PARTIAL, quantity=D(4))

    assert asked(held(stops=(selling, stop(order_id="b", level=D(95))))) == (
        CancelStop(order_id="b", reason=StopFault.DUPLICATE),
    )
    assert asked(held(stops=(selling,))) == ()


def test_a_stop_of_unknown_state_is_neither_doubled_nor_cancelled() -> None:
    unknown = stop(order_id="u", state=OrderState.UNKNOWN)

    assert asked(held(stops=(unknown,))) == ()
    assert asked(held(stops=(unknown, stop()))) == ()


def test_a_stop_without_a_position_is_taken_back_before_it_sells_short() -> None:
    assert asked(facts(stops=(stop(),), **COOLING)) == (CancelStop(order_id="stop-1", reason=StopFault.ORPHAN),)


def test_a_position_sold_by_somebody_else_takes_the_stop_with_it_and_arms_nothing() -> None:
    given = held(position=D(0))

    assert asked(given) == (CancelStop(order_id="stop-1", reason=StopFault.ORPHAN),)
    assert WaitReason.UNEXPLAINED in waits(replace(given, stops=()))


def test_a_position_without_a_journal_is_left_to_a_person_and_its_stop_too() -> None:
    given = facts(position=SIZE, stops=(stop(),))

    assert (observe(given), asked(given)) == (State.NO_POSITION, ())
    assert waits(given) == {WaitReason.UNEXPLAINED}


def test_more_shares_than_ours_are_protected_as_many_as_the_broker_says() -> None:
    assert asked(held(position=D(13))) == (ResizeStop(order_id="stop-1", quantity=D(13)),)
    assert asked(held(position=D(7))) == (ResizeStop(order_id="stop-1", quantity=D(7)),)


def test_a_split_freezes_the_symbol_replaces_a_stop_above_the_market_and_protects_the_new_count() -> None:
    split = held(position=D(70), last=D("14.3"), reference=D("14.2"))
    first = asked(split)
    then = asked(replace(split, frozen=True, stops=()))
    placed = stop(quantity=D(70), level=D("12.9"))

    assert first == (
        Freeze(reason=FreezeReason.SPLIT, ratio=Fraction(7)),
        CancelStop(order_id="stop-1", reason=StopFault.OFF_SCALE),
    )
    assert then == (PlaceStop(quantity=D(70), percent=D(10), offset=None),)
    assert asked(replace(split, frozen=True, stops=(placed,))) == ()
    assert asked(replace(split, held=D(70), stops=(placed,))) == ()


def test_a_stop_whose_level_is_not_told_is_replaced_after_a_forward_split() -> None:
    given = held(position=D(20), last=D(50), reference=D(50), frozen=True, stops=(stop(level=None),))

    assert asked(given) == (CancelStop(order_id="stop-1", reason=StopFault.OFF_SCALE),)


def test_a_stop_is_not_made_larger_before_its_split_is_explained() -> None:
    given = held(position=D(70))

    assert asked(given) == (Freeze(reason=FreezeReason.SPLIT, ratio=Fraction(7)),)


def test_a_reverse_split_only_shrinks_the_stop() -> None:
    given = held(position=D(1), last=D(1000), reference=D(1000))

    assert asked(given) == (
        Freeze(reason=FreezeReason.SPLIT, ratio=Fraction(1, 10)),
        ResizeStop(order_id="stop-1", quantity=D(1)),
    )


def test_a_stop_above_a_market_that_fell_overnight_stays() -> None:
    before_opening = Session(name=DAY.name, phase=Phase.PRE, ends_at=CLOSE)

    assert asked(held(last=D(70), session=before_opening)) == ()


def test_half_the_shares_in_the_middle_of_a_fill_are_no_split() -> None:
    assert asked(facts(**{**PARTLY, "position": D(8)})) == ()
    assert asked(held(position=D(5), settled=False)) == ()
    assert asked(held(position=D(5), stops=(stop(triggered_at=NOW),))) == ()


def test_a_short_position_freezes_the_symbol_and_takes_sell_stops_back() -> None:
    assert asked(held(position=D(-10))) == (
        Freeze(reason=FreezeReason.SHORT, ratio=None),
        CancelStop(order_id="stop-1", reason=StopFault.ORPHAN),
    )


def test_a_part_of_a_share_beside_whole_ones_waits_and_alone_is_sold_at_market() -> None:
    assert asked(held(D("7.5"), stops=(stop(quantity=D(7)),))) == ()
    assert asked(held(D("7.5"), stops=())) == (PlaceStop(quantity=D(7), percent=D(10), offset=None),)
    assert asked(held(D("0.5"), stops=())) == (Escalate(reason=ExitNeed.FRACTION, quantity=D("0.5"), order_id=None),)


def test_a_stop_refused_again_and_again_becomes_an_exit_at_market_in_regular_hours() -> None:
    long_ago = NOW - timedelta(seconds=PARAMS.retry_s)
    given = held(stops=(), stop_refusals=3, stop_refused_at=NOW)
    night = Session(name=DAY.name, phase=Phase.CLOSED, ends_at=NOW)

    assert asked(given) == (Escalate(reason=ExitNeed.STOP_REFUSED, quantity=SIZE, order_id=None),)
    assert asked(replace(given, stop_refusals=2)) == ()
    assert len(asked(replace(given, stop_refusals=2, stop_refused_at=long_ago))) == 1
    assert asked(replace(given, session=night)) == ()


def test_a_fraction_whose_sale_is_refused_again_and_again_waits() -> None:
    refused = held(D("0.5"), stops=(), stop_refusals=PARAMS.max_stop_refusals, stop_refused_at=NOW - timedelta(hours=1))

    assert asked(refused) == ()


def test_an_exit_at_market_that_was_refused_is_not_tried_again_at_once() -> None:
    refused = held(stops=(), stop_refusals=4, stop_refused_at=NOW)
    fraction = held(D("0.5"), stops=(), stop_refusals=1, stop_refused_at=NOW)
    long_ago = NOW - timedelta(minutes=1)

    assert asked(refused) == asked(fraction) == ()
    assert len(asked(replace(refused, stop_refused_at=long_ago))) == 1
    assert len(asked(replace(fraction, stop_refused_at=long_ago))) == 1


def test_while_an_exit_runs_no_stop_is_placed_beside_it() -> None:
    assert asked(held(stops=(), exiting=True)) == ()


def test_a_delisted_position_is_left_to_a_person() -> None:
    assert (asked(held(listed=False, stops=())), waits(held(listed=False))) == ((), {WaitReason.DELISTED})


def test_with_the_link_down_nothing_at_all_is_asked() -> None:
    for example in EXAMPLES.values():
        assert asked(replace(example, link_usable=False)) == ()


def test_a_step_tells_its_state_its_reason_and_what_follows() -> None:
    seen = step(facts(), PARAMS)

    assert (seen.state, seen.after, seen.reason) == (State.NO_POSITION, State.ENTRY_PENDING, "may_arm")
