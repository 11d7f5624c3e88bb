"""Dying at every write of a whole day, and what the next life makes of it."""

from dataclasses import replace
from decimal import Decimal

import pytest
from surface_day import DAY, assert_sound, live
from sweeping import assert_never_looser, holds

from domain.operation import TIGHTNESS, StateChange
from domain.vocabulary import ExitReason, Kind, OrderState, State

D = Decimal


def test_the_day_without_a_crash_has_four_trades_three_ends_and_a_breaker(make_stage):
    stage = make_stage("calm")

    assert live(stage, stage.Fuse()) == 0
    assert_sound(stage)
    assert [len(stage.broker.sent), len(stage.broker.trades)] == [4, 1]
    assert OrderState.UNKNOWN in stage.events()


@pytest.mark.proves("N11")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_write_costs_no_second_order_and_no_signal(make_stage, after):
    calm = make_stage("calm")
    live(calm, calm.Fuse())

    for number in range(1, calm.fuse.count + 1):
        stage = make_stage(f"crash-{number}")
        assert live(stage, stage.Fuse(number, after=after)) == 1, number
        try:
            assert_sound(stage)
        except AssertionError as error:
            raise AssertionError(f"after a crash at write {number}: {error}") from error
        finally:
            stage.end()


@pytest.mark.proves("N11", "row 38", "J2", "J4")
@pytest.mark.parametrize("share", [0, 0.5, 1], ids=["nothing", "half", "everything"])
def test_a_crash_in_the_middle_of_any_write_costs_no_more(make_stage, share):
    """The record may reach the disk, or a part of it, without anybody having been told that it did."""
    calm = make_stage("calm")
    live(calm, calm.Fuse())

    for number in range(1, calm.fuse.count + 1):
        stage = make_stage(f"crash-{number}")
        fuse = stage.TornFuse(stage.house.logs, share, number)
        assert live(stage, fuse) == 1, number
        assert (fuse.torn > 0) == (share < 1)
        try:
            assert_sound(stage)
        except AssertionError as error:
            raise AssertionError(f"after a torn write {number}: {error}") from error
        finally:
            stage.end()


def test_a_crash_at_any_write_and_again_at_the_next_ones_costs_no_more(make_stage):
    calm = make_stage("calm")
    live(calm, calm.Fuse())

    for number in range(1, calm.fuse.count + 1, 2):
        stage = make_stage(f"crash-{number}")
        assert live(stage, stage.Fuse(number, number + 1, number + 2)) == 3, number
        try:
            assert_sound(stage)
        except AssertionError as error:
            raise AssertionError(f"after three crashes from write {number} on: {error}") from error
        finally:
            stage.end()


@pytest.mark.proves("N11")
def test_whatever_prefix_of_the_journals_a_start_finds_it_is_no_looser_than_the_process_that_wrote_it(make_stage):
    stage, moments = make_stage("calm"), []

    class Watched(stage.Fuse):
        def around(self, write, fold):
            super().around(write, fold)
            moments.append((stage.heads(), holds(fold), fold.state.state))

    live(stage, Watched())
    entries = stage.entries()
    assert len(moments) == stage.fuse.count
    assert {state for _, _, state in moments} == {State.RUN, State.REDUCE}

    for heads, held, state in moments:
        fold = stage.new_fold()
        for stream, found in entries.items():
            for entry in found[: heads[stream]]:
                fold.apply(entry.record)
        assert_never_looser(held, holds(fold))
        assert TIGHTNESS[fold.state.state] >= TIGHTNESS[state]


def test_what_a_process_believes_is_what_its_next_life_believes(running):
    running.stop_out(running.trade())
    running.tick()
    running.trade("GBP_USD")
    running.books.changed(StateChange(state=State.REDUCE, reason="test"))
    before = vars(running.books.fold) | {"_handlers": None, "bankroll": running.books.fold.bankroll.balance}
    running.restart()
    after = vars(running.books.fold) | {"_handlers": None, "bankroll": running.books.fold.bankroll.balance}

    assert after == before


@pytest.mark.proves("N11")
def test_restarting_twice_in_a_row_at_any_point_of_the_day_changes_nothing_at_the_broker(make_stage):
    stage = make_stage("restless")
    stage.limits = replace(stage.limits, daily_loss=D(90))
    stage.start()
    for seconds, change in DAY:
        change(stage)
        stage.clock.advance(seconds)
        stage.loop.on_tick()
        stage.settle()
        before = (list(stage.broker.sent), dict(stage.broker.trades), list(stage.broker.log))
        stage.restart()
        stage.restart()
        stage.settle()
        stage.loop.on_tick()

        assert (stage.broker.sent, stage.broker.trades, stage.broker.log) == before
    assert_sound(stage)


@pytest.mark.proves("N11")
def test_restarting_twice_in_a_row_writes_nothing_but_the_comparison_with_the_broker(running):
    running.stop_out(running.trade())
    running.tick()
    running.trade("GBP_USD")
    # The desk would propose what is younger than a minute once more.
    running.clock.advance(61)
    count = {stream: len(running.records(stream)) for stream in ("decisions", "orders", "signals", "resolutions")}
    running.restart()
    running.restart()
    running.tick()
    running.settle()
    running.settle()

    after = {stream: len(running.records(stream)) for stream in count}
    assert after == count | {"decisions": count["decisions"] + 2}
    assert [r["kind"] for r in running.records("decisions")[-2:]] == [Kind.RECONCILIATION] * 2
    assert len(running.broker.sent) == 2


def test_a_crash_after_the_intent_and_before_the_socket_leaves_nothing_to_find(running):
    def die(intent):
        raise running.Crash

    running.broker.on_submit = die
    running.propose()
    with pytest.raises(running.Crash):
        running.tick()
    running.broker.on_submit = lambda intent: None
    running.restart()
    running.tick()

    assert running.events() == [OrderState.ABSENT]
    assert running.broker.sent == []


def test_a_position_that_ends_while_its_surface_is_down_unpublished_is_never_published(running):
    write, running.books.published = running.books.published, None
    running.propose()
    with pytest.raises(TypeError):
        running.tick()
    running.books.published = write
    [number] = running.broker.trades
    running.end()
    running.settle()
    running.broker.end(number, ExitReason.TAKE_PROFIT, D("1.1100"))
    running.settle()
    running.start()
    running.tick()

    assert running.signals() == []
    assert running.records("resolutions", Kind.SIGNAL) == []
    assert len(running.records("resolutions", Kind.RESOLUTION)) == 1


def test_a_position_that_ends_while_its_surface_starts_up_is_not_published(running):
    write, running.books.published = running.books.published, None
    running.propose()
    with pytest.raises(TypeError):
        running.tick()
    running.books.published = write
    running.end()
    loop, look = running.open(), running.broker.open_trades

    def look_and_end():
        found = look()
        running.broker.open_trades = look
        running.settle()
        running.broker.end(found[0].trade_id, ExitReason.STOP_LOSS, D("1.0950"))
        running.settle()
        return found

    running.broker.open_trades = look_and_end
    loop.startup()

    assert running.signals() == []
    assert len(running.records("resolutions", Kind.RESOLUTION)) == 1


def test_trades_of_a_dry_run_are_none_of_the_practice_account_that_follows(make_stage, tmp_path):
    from audit.fold import SurfaceFold
    from domain.vocabulary import Mode, Surface
    from surfaces.books import Books

    stage = make_stage("home", mode=Mode.DRY_RUN).start()
    stage.stop_out(stage.trade())
    stage.tick()
    stage.trade("GBP_USD")
    stage.books.changed(StateChange(state=State.REDUCE, reason="a person said so"))
    stage.end()

    with Books(stage.house, Surface.FX, Mode.PAPER, stage.clock, SurfaceFold(D(10_000), "USD", Mode.PAPER)) as books:
        fold = books.fold

    assert fold.positions() == []
    assert fold.bankroll.balance == 10_000
    assert (fold.recent, fold.resolutions, fold.published, fold.day) == ({}, {}, {}, None)
    assert fold.state.state is State.REDUCE
