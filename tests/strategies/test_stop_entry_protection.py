"""Positions of the stop-entry machine: one stop for every share, splits, and what is left to a person."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

from stop_entry_rig import (
    ASKED_NOW,
    CLOSE,
    COOLING,
    DAY,
    NOW,
    PARAMS,
    PARTLY,
    SIZE,
    D,
    asked,
    entry,
    facts,
    held,
    stop,
    waits,
)

from domain.vocabulary import OrderState
from strategies.stop_entry.actions import (
    ArmEntry,
    CancelStop,
    Escalate,
    ExitNeed,
    Freeze,
    FreezeReason,
    PlaceStop,
    ResizeStop,
    StopFault,
    WaitReason,
)
from strategies.stop_entry.facts import Phase, Session
from strategies.stop_entry.machine import State, observe, step


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


def test_a_stop_is_replaced_and_not_made_larger_when_a_split_is_written_down_at_night_without_a_price() -> None:
    night = Session(name="2014-05-07", phase=Phase.CLOSED, ends_at=NOW)
    given = held(70, stops=(stop(level=D(560)),), quote=None, session=night)
    suspected = replace(given, held=SIZE)

    assert asked(given) == (CancelStop(order_id="stop-1", reason=StopFault.OFF_SCALE),)
    assert asked(replace(given, stops=())) == (PlaceStop(quantity=D(70), percent=D(10), offset=None),)
    assert asked(suspected) == (Freeze(reason=FreezeReason.SPLIT, ratio=Fraction(7)),)


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


def test_a_step_tells_its_state_its_reason_and_what_follows() -> None:
    seen = step(facts(), PARAMS)

    assert (seen.state, seen.after, seen.reason) == (State.NO_POSITION, State.ENTRY_PENDING, "may_arm")


def test_a_stop_left_behind_by_an_exit_is_taken_back_as_soon_as_nothing_is_held() -> None:
    flat = facts(exiting=True, position=D(0), settled=False, stops=(stop(),))
    lagging = facts(exiting=True, position=SIZE, settled=False, stops=(stop(),))

    assert asked(flat) == (CancelStop(order_id=stop().order_id, reason=StopFault.ORPHAN),)
    assert asked(lagging) == asked(held(exiting=True)) == ()
