"""Entries of the stop-entry machine: where one waits, what bars it, when it moves and when it is taken back."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from stop_entry_rig import CLOSE, COOLING, DAY, NOW, PARAMS, PARTLY, PENDING, D, asked, entry, facts, quote, stop, waits

from domain.vocabulary import OrderState, TimeInForce
from strategies.stop_entry.actions import (
    ArmEntry,
    CancelEntry,
    CancelReason,
    Wait,
    WaitReason,
)
from strategies.stop_entry.facts import Phase, Session
from strategies.stop_entry.machine import State, observe, step


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


def test_an_entry_whose_stop_is_gone_is_taken_back_unless_it_has_begun_to_fill() -> None:
    alone = entry(alone=True)

    assert asked(facts(entry=alone)) == (CancelEntry(order_id="entry-1", reason=CancelReason.ALONE),)
    begun = replace(alone, state=OrderState.PARTIAL, filled=D(4))
    assert not any(isinstance(one, CancelEntry) for one in asked(facts(**{**PARTLY, "entry": begun})))


@pytest.mark.parametrize("state", [OrderState.INTENDED, OrderState.SENT, OrderState.UNKNOWN])
def test_an_entry_that_was_only_intended_or_sent_arms_no_second_one(state: OrderState) -> None:
    given = facts(entry=entry(state=state), may_open=False)

    assert (observe(given), asked(given)) == (State.ENTRY_PENDING, ())


def test_a_provisional_cancel_arms_no_second_entry() -> None:
    given = facts(entry=entry(state=OrderState.CANCELLED, provisional=True))

    assert (observe(given), asked(given)) == (State.ENTRY_PENDING, ())
