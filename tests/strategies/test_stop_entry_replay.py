"""The stop-entry machine against a tiny broker: whatever happens in whatever order, and however often it restarts."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stop_entry_rig import NOW, PARAMS, SIZE, D, ModelBroker

from strategies.stop_entry.actions import CancelEntry, Escalate
from strategies.stop_entry.machine import State, observe, step

Happening = Callable[[ModelBroker], None]
MOVES = ("0.85", "0.93", "0.97", "0.99", "1.01", "1.03", "1.06", "1.2")


def moves(factor: str, available: Decimal = SIZE) -> Happening:
    return lambda broker: broker.move((broker.last * D(factor)).quantize(D("0.01")), available=available)


def waits(seconds: float) -> Happening:
    return lambda broker: broker.wait(seconds)


def sets(name: str, value: bool) -> Happening:
    return lambda broker: setattr(broker, name, value)


HAPPENINGS: dict[str, Happening] = {
    **{f"trades at {factor}": moves(factor) for factor in MOVES},
    "jumps, three shares on offer": moves("1.07", D(3)),
    "a second": waits(1),
    "a minute": waits(61),
    "half an hour": waits(1801),
    "a night": ModelBroker.next_session,
    "before the close": lambda broker: broker.wait((broker.session.ends_at - broker.now).total_seconds() - 600),
    "link down": sets("link_usable", False),
    "link up": sets("link_usable", True),
    "halted": sets("may_open", False),
    "running": sets("may_open", True),
    "mute": sets("is_mute", True),
    "answers": ModelBroker.answer,
    "a second stop": ModelBroker.duplicate,
    "a lost stop": ModelBroker.lose_stop,
    "positions lag": ModelBroker.positions_lag,
    "executions lag": ModelBroker.executions_lag,
    "all caught up": ModelBroker.catch_up,
    "stops refused": sets("refuses_stops", True),
    "stops accepted": sets("refuses_stops", False),
    "a split": lambda broker: broker.split(7),
    "a split explained": ModelBroker.explain,
}
STORIES = st.lists(st.sampled_from(sorted(HAPPENINGS)), max_size=40)


def settle(broker: ModelBroker) -> None:
    """Let the machine act until it is quiet, each time as a process that has just started."""
    for _ in range(4):
        before = broker.facts()
        assert step(before, PARAMS) == step(before, PARAMS)
        if not broker.obey().orders:
            return
    pytest.fail(f"still asking for {step(broker.facts(), PARAMS).orders} after four looks")


def assert_sound(broker: ModelBroker) -> None:
    """Assert what must hold whenever the machine could act and was answered."""
    seen = broker.facts()
    assert not step(seen, PARAMS).orders, "the same facts asked for something again"
    if not broker.link_usable or broker.is_mute or any(one.is_doubtful for one in seen.stops):
        return
    entry_is_live = broker.entry is not None and broker.entry.is_live
    # The broker's own child of an entry is as large as that was sent, until somebody knows what it bought.
    childs = entry_is_live or broker.is_lagging
    alone = [one for one in broker.stops.values() if not (one.attached and childs)]
    assert sum(one.quantity for one in alone) <= broker.position, "stops could sell more than is there"
    refused = broker.stop_refused_at
    rests = refused is not None and (broker.now - refused).total_seconds() < PARAMS.retry_s
    # A stop that sold on the old scale, before anybody could act, leaves shares that no journal explains at first.
    if (
        (seen.position != seen.held and not seen.settled)
        or broker.is_lagging
        or broker.refuses_stops
        or rests
        or seen.held == 0 < broker.position
    ):
        return
    if broker.position > 0 and not broker.exiting:
        assert len(broker.stops) == 1
        assert sum(one.quantity for one in broker.stops.values()) >= broker.position
    if broker.position == 0 and not entry_is_live:
        assert broker.stops == {}


@settings(max_examples=200, deadline=None)
@given(story=STORIES)
def test_whatever_happens_one_stop_protects_the_position_and_nothing_is_asked_twice(story: list[str]) -> None:
    broker = ModelBroker()
    settle(broker)
    for name in story:
        HAPPENINGS[name](broker)
        settle(broker)

        assert_sound(broker)


@settings(max_examples=100, deadline=None)
@given(story=STORIES)
def test_the_next_state_is_the_one_the_table_promised_unless_something_happened(story: list[str]) -> None:
    broker = ModelBroker()
    for name in story:
        HAPPENINGS[name](broker)
        seen = broker.obey()
        reached = observe(broker.facts())
        expected = {seen.state} if broker.is_mute or not seen.orders else {seen.after}
        # A position that was sold, or an entry taken back, rests while a cooldown runs; a fraction of one cannot.
        if State.NO_POSITION in expected or State.COOLDOWN in expected:
            expected |= {State.NO_POSITION, State.COOLDOWN}

        assert reached in expected | ({State.ENTRY_PENDING} if broker.is_mute else set())


def test_the_happenings_of_the_property_really_happen() -> None:
    broker = ModelBroker()
    story = ["a second", "jumps, three shares on offer", "before the close", "a second stop", "a night", "a split"]
    story += ["a split explained", "a lost stop", "trades at 0.85", "half an hour", "trades at 0.93", "a minute"]
    for name in story:
        settle(broker)
        HAPPENINGS[name](broker)
    settle(broker)

    wanted = {"ArmEntry", "partial fill", "CancelEntry", "ResizeStop", "CancelStop", "split", "Freeze", "PlaceStop"}
    assert wanted <= broker.events.keys()
    assert {"stop-out"} <= broker.events.keys()


def test_a_bracket_can_be_restarted_twice_at_any_point_of_its_life() -> None:
    broker, states = ModelBroker(), []
    for last in ("100", "105.00", "120", "108", "107"):
        broker.move(D(last))
        settle(broker)
        before = broker.facts()
        states.append(observe(before))

        assert step(before, PARAMS).orders == ()
        assert step(broker.facts(), PARAMS).orders == ()
        assert broker.facts() == before
    assert states == ["ENTRY_PENDING", "POSITION_OPEN", "POSITION_OPEN", "COOLDOWN", "COOLDOWN"]


def test_a_partial_fill_whose_rest_is_cancelled_leaves_a_stop_for_what_was_bought() -> None:
    broker = ModelBroker()
    settle(broker)
    broker.move(D(106), available=D(4))
    settle(broker)

    assert [one.quantity for one in broker.stops.values()] == [SIZE]  # the broker's own child of a working entry
    broker.wait(5 * 3600 - 600)
    settle(broker)
    broker.wait(PARAMS.settle_s)
    settle(broker)

    assert broker.events["CancelEntry"] == 1
    assert [(one.quantity, one.attached) for one in broker.stops.values()] == [(D(4), True)]


def test_a_cooldown_runs_on_over_a_night_and_ends_by_the_clock() -> None:
    broker = ModelBroker()
    settle(broker)
    broker.move(D(105))
    broker.wait(4 * 3600 + 2400)  # 19:40, before entries end at 19:45
    broker.move(D(90))
    settle(broker)

    assert observe(broker.facts()) is State.COOLDOWN
    broker.wait(600)
    assert broker.obey().orders == ()
    broker.next_session()
    settle(broker)

    assert observe(broker.facts()) is State.ENTRY_PENDING
    assert broker.entry is not None
    assert broker.entry.session == "2014-05-07"


def test_an_entry_of_unknown_outcome_is_never_armed_a_second_time() -> None:
    broker = ModelBroker(is_mute=True)
    settle(broker)
    for seconds in (1, 60, 600, 3600):
        broker.wait(seconds)

        assert broker.obey().orders == ()
    assert broker.events["ArmEntry"] == 1


def test_a_lost_cancel_is_asked_for_again_and_not_before() -> None:
    broker = ModelBroker()
    settle(broker)
    broker.is_mute, broker.may_open = True, False
    first, second = broker.obey().orders, broker.obey().orders
    broker.wait(PARAMS.retry_s)
    third = broker.obey().orders

    assert [type(one) for one in first] == [CancelEntry]
    assert (second, third) == ((), first)


def test_a_trailing_limit_that_is_triggered_and_left_behind_becomes_an_exit_at_market() -> None:
    broker = ModelBroker()
    settle(broker)
    broker.move(D(105))
    (name,) = broker.stops
    broker.stops[name] = replace(broker.stops[name], is_limit=True, triggered_at=NOW)
    broker.wait(PARAMS.stuck_s - 1)

    assert broker.obey().orders == ()
    broker.wait(1)
    seen = broker.obey()

    assert [type(one) for one in seen.orders] == [Escalate]
    assert (broker.position, broker.stops, seen.after) == (0, {}, State.COOLDOWN)
