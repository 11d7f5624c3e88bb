"""Dying at every write of a resolver's day."""

from collections import Counter
from decimal import Decimal

import pytest

from domain.vocabulary import ExitReason, Kind, Leg

D = Decimal
DAY_S = 24 * 3600.0


def live(stage, fuse):
    """Let one trade be stopped out in parts, one run out of time without an answer, one be closed unpublished."""
    stage.fuse = fuse
    signals = {"stopped": stage.trade(), "timed": stage.trade("GBP_USD"), "silent": stage.trade(published=False)}
    stage.broker.accidents.extend([stage.Accident.REPLY_LOST])
    steps = (
        (0, lambda: None),
        (61, lambda: stage.hit(signals["stopped"], ExitReason.BROKER, quantity=D(300))),
        (61, lambda: stage.hit(signals["stopped"])),
        (61, lambda: stage.hit(signals["silent"], ExitReason.TAKE_PROFIT, "1.1100")),
        (DAY_S, lambda: setattr(stage.broker, "hesitations", 1)),
        (61, lambda: None),
        (61, lambda: None),
    )
    deaths = 0
    for seconds, change in steps:
        change()
        while True:
            try:
                stage.tick(seconds)
                break
            except stage.Crash:
                deaths += 1
                seconds = 0
                stage.end()
                fuse.tear()
    return signals, deaths


def assert_sound(stage, signals):
    resolutions = {row["signal_id"]: row for row in stage.records(Kind.RESOLUTION)}
    closes = Counter(row["signal_id"] for row in stage.records(Kind.SIGNAL))
    reasons = {name: resolutions[signal_id]["reason"] for name, signal_id in signals.items()}
    assert reasons == {"stopped": "stop_loss", "timed": "time", "silent": "take_profit"}
    assert len(stage.records(Kind.RESOLUTION)) == 3
    assert closes == {signals["stopped"]: 1, signals["timed"]: 1}
    assert stage.broker.trades == {}
    assert max(Counter(intent.client_order_id for intent in stage.broker.sent).values()) == 1
    assert len([fill for fill in stage.broker.log if fill.closes]) == 4
    assert stage.fold.bankroll.realised == sum(fill.realised for fill in stage.broker.log)
    assert stage.fold.unfinished(Leg.EXIT) == []
    stage.verify()


def test_the_day_without_a_crash_is_sound(make_stage):
    stage = make_stage("calm")
    signals, deaths = live(stage, stage.Fuse())

    assert deaths == 0
    assert_sound(stage, signals)


@pytest.mark.proves("N11")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_crash_at_any_write_gives_one_resolution_and_one_close_a_signal(make_stage, after, times):
    calm = make_stage("calm")
    live(calm, calm.Fuse())

    for number in range(1, calm.fuse.count + 1):
        stage = make_stage(f"crash-{number}")
        signals, deaths = live(stage, stage.Fuse(*range(number, number + times), after=after))
        assert deaths >= 1
        try:
            assert_sound(stage, signals)
        except AssertionError as error:
            raise AssertionError(f"after {times} crashes from write {number} on: {error}") from error
        finally:
            stage.end()


@pytest.mark.proves("N11", "row 38", "J2", "J4")
@pytest.mark.parametrize("share", [0, 0.5, 1], ids=["nothing", "half", "everything"])
def test_a_crash_in_the_middle_of_any_write_gives_no_more(make_stage, share):
    calm = make_stage("calm")
    live(calm, calm.Fuse())

    for number in range(1, calm.fuse.count + 1):
        stage = make_stage(f"crash-{number}")
        fuse = stage.TornFuse(stage.house.log("fx", "resolutions"), share, number)
        signals, deaths = live(stage, fuse)
        assert deaths == 1
        assert (fuse.torn > 0) == (share < 1)
        try:
            assert_sound(stage, signals)
        except AssertionError as error:
            raise AssertionError(f"after a torn write {number}: {error}") from error
        finally:
            stage.end()


def test_a_restart_writes_nothing_when_nothing_happened(stage):
    signal_id = stage.trade()
    stage.trade("GBP_USD")
    stage.tick()
    stage.hit(signal_id)
    stage.tick()
    before = stage.records()
    stage.restart().tick()
    stage.restart().tick()

    assert stage.records() == before
