"""Dying at every write of a whole day, and what the next life makes of it."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from domain.operation import StateChange
from domain.vocabulary import Action, Cause, ExitReason, Kind, Leg, OrderState, State

D = Decimal


def stop_out(market):
    """Return a step in which the market falls through the stop and the broker sells."""

    def step(stage):
        for number, trade in list(stage.broker.trades.items()):
            if trade.market == market:
                stage.broker.end(number, ExitReason.STOP_LOSS, D("1.0950"))

    return step


def nothing(stage): ...


# Each step changes the world; then five seconds or more pass and both processes turn. Three trades are stopped out, any
# two of which trip the breaker; the fourth stays open. The second order's reply is lost, and the broker wavers.
DAY = (
    (5, lambda stage: stage.propose("EUR_USD")),
    (5, lambda stage: stage.broker.accidents.append(stage.Accident.REPLY_LOST)),
    (0, lambda stage: setattr(stage.broker, "hesitations", 1)),
    (5, lambda stage: stage.propose("GBP_USD")),
    (5, nothing),
    (5, nothing),
    (5, lambda stage: stage.propose("AUD_USD")),
    (5, lambda stage: stage.propose("NZD_USD")),
    (61, stop_out("EUR_USD")),
    (5, nothing),
    (61, stop_out("GBP_USD")),
    (5, stop_out("AUD_USD")),
    (5, nothing),
    (5, lambda stage: stage.propose("EUR_USD", thesis="another")),
    (305, nothing),
    (61, nothing),
)


def live(stage, fuse):
    """Let the day pass, starting whatever dies anew; return how often something died."""
    stage.limits = replace(stage.limits, daily_loss=D(90))
    stage.fuse = fuse
    deaths = 0
    for seconds, change in DAY:
        change(stage)
        stage.clock.advance(seconds)
        while True:
            try:
                if stage.books is None:
                    stage.start()
                stage.loop.on_tick()
                stage.settle()
                break
            except stage.Crash:
                deaths += 1
                stage.end()
    return deaths


def assert_sound(stage):
    """Assert what must hold at the end of the day, wherever it was interrupted."""
    broker = stage.broker
    assert max(Counter(intent.client_order_id for intent in broker.sent).values()) == 1
    # One bet each, and the one proposed again after the breaker none.
    assert max(Counter(intent.market for intent in broker.sent if intent.leg is Leg.ENTRY).values()) == 1

    entered = {fill.opened_by[6:-8] for fill in broker.log if not fill.closes}
    left = {fill.opened_by[6:-8] for fill in broker.log if fill.closes}
    opened = [signal["signal_id"][4:] for signal in stage.signals() if signal["action"] == Action.OPEN]
    closed = [r["signal_id"][4:] for r in stage.records("resolutions", Kind.SIGNAL)]
    resolved = [r["signal_id"][4:] for r in stage.records("resolutions", Kind.RESOLUTION)]
    assert sorted(opened) == sorted(entered)
    assert sorted(closed) == sorted(resolved) == sorted(left)
    assert len(stage.records("decisions", Kind.COOLDOWN)) == len(left)

    fold = stage.books.fold
    held = {trade.client_order_id[6:-8]: trade.quantity for trade in broker.trades.values()}
    assert {position.signal_id[4:]: position.quantity for position in fold.positions()} == held
    assert fold.bankroll.realised == sum(fill.realised for fill in broker.log)
    assert fold.unfinished(Leg.ENTRY) == []
    assert fold.wish(Cause.BREAKER).state is State.REDUCE
    assert fold.wish(Cause.RECONCILIATION).state is State.RUN
    stage.verify()


def test_the_day_without_a_crash_has_four_trades_three_ends_and_a_breaker(make_stage):
    stage = make_stage("calm")

    assert live(stage, stage.Fuse()) == 0
    assert_sound(stage)
    assert [len(stage.broker.sent), len(stage.broker.trades)] == [4, 1]
    assert OrderState.UNKNOWN in stage.events()


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


def test_what_a_process_believes_is_what_its_next_life_believes(running):
    running.stop_out(running.trade())
    running.tick()
    running.trade("GBP_USD")
    running.books.changed(StateChange(state=State.REDUCE, reason="test"))
    before = vars(running.books.fold) | {"_handlers": None, "bankroll": running.books.fold.bankroll.balance}
    running.restart()
    after = vars(running.books.fold) | {"_handlers": None, "bankroll": running.books.fold.bankroll.balance}

    assert after == before


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
