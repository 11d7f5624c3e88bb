"""The end of a trading day, written down: once, whole, and in sums that agree however late something came."""

from datetime import timedelta
from decimal import Decimal

import pytest

from audit.performance import performance
from domain.performance import DayPerformance
from domain.vocabulary import Kind
from journal import decode

D = Decimal
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
# The trading day of the stage ends five hours after it begins, at 17:00 in New York.
TO_THE_END_S = 5 * HOUR_S


def told(stage):
    return [decode(record, DayPerformance) for record in stage.records("decisions", Kind.PERFORMANCE)]


def day_by_day(stage, seconds=TO_THE_END_S + 60):
    """Let time pass into the next trading day, and the surface turn."""
    stage.tick(seconds)


@pytest.fixture
def stage(running):
    running.tick()
    return running


def test_a_day_is_told_when_the_next_one_begins_and_not_before(stage):
    stage.stop_out(stage.trade())
    stage.tick(TO_THE_END_S - 120)
    before = told(stage)
    stage.tick(HOUR_S)
    stage.tick()
    (day,) = told(stage)

    assert before == []
    assert day.day.isoformat() == "2026-03-03"
    assert (day.equity, day.balance, day.realised, day.profit, day.trades) == (9950, 9950, -50, -50, 1)
    assert (day.positions, day.unrealised, day.exposure, day.unmarked) == (0, 0, 0, 0)
    assert (day.ended, day.capital, day.currency) == (1, 10_000, "USD")


def test_what_is_still_open_is_marked_and_counted(stage):
    stage.trade()
    # 10,000 bought at 1.1000.
    stage.broker.price("EUR_USD", "1.1020", "1.1021")
    day_by_day(stage)
    (day,) = told(stage)

    assert (day.equity, day.balance, day.unrealised, day.profit) == (10_020, 10_000, 20, 20)
    assert (day.positions, day.trades, day.realised) == (1, 0, 0)
    assert day.exposure > 0


def test_a_position_without_a_price_is_counted_as_such(stage):
    stage.trade()
    stage.broker.silence("EUR_USD")
    day_by_day(stage)

    assert [(day.positions, day.unmarked) for day in told(stage)] == [(1, 1)]


def test_days_follow_each_other_and_a_restart_tells_none_twice(stage):
    for _ in range(3):
        stage.stop_out(stage.trade(thesis=str(stage.clock.now())))
        day_by_day(stage, DAY_S)
        stage.restart()
        stage.tick()
    found = told(stage)

    assert [day.day.isoformat() for day in found] == ["2026-03-03", "2026-03-04", "2026-03-05"]
    assert [day.trades for day in found] == [1, 1, 1]
    assert [day.profit for day in found] == [-50, D("-49.75"), D("-49.5")]


def test_a_process_away_at_night_tells_the_day_when_it_is_back(stage):
    stage.end()
    stage.clock.advance(DAY_S)
    stage.start()
    stage.tick()
    stage.tick()

    assert [day.day.isoformat() for day in told(stage)] == ["2026-03-03"]


def test_several_days_away_leave_one_day_and_lose_no_profit(stage):
    signal_id = stage.trade()
    stage.end()
    stage.clock.advance(2 * DAY_S)
    stage.stop_out(signal_id)
    stage.start()
    stage.tick()
    day_by_day(stage, DAY_S)
    found = told(stage)

    # The stop was hit on the second day after: the first is told without it.
    assert [(day.day.isoformat(), day.profit, day.trades) for day in found] == [
        ("2026-03-03", 0, 0),
        ("2026-03-05", -50, 1),
    ]


@pytest.mark.parametrize("write", [1, 2], ids=["the day's end", "the next day's beginning"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_around_the_change_of_days_tells_the_day_once(stage, write, after):
    stage.stop_out(stage.trade())
    stage.tick()
    stage.fuse = stage.FusedBooks.fuse = stage.Fuse(write, after=after)
    with pytest.raises(stage.Crash):
        day_by_day(stage)
    stage.fuse = stage.Fuse()
    stage.restart()
    stage.tick()

    assert [(day.day.isoformat(), day.profit) for day in told(stage)] == [("2026-03-03", -50)]
    assert stage.books.fold.day.day.isoformat() == "2026-03-04"


def test_an_end_written_after_its_day_was_told_is_in_the_next(stage):
    signal_id = stage.trade()
    number = next(iter(stage.broker.trades))
    stage.broker.end(number, None, D("1.0950"))
    day_by_day(stage)
    stage.settle()
    stage.settle()
    day_by_day(stage, DAY_S)
    first, second = told(stage)

    assert signal_id in stage.books.fold.resolutions
    assert (first.trades, second.trades) == (0, 1)
    assert first.realised + second.realised == -50
    assert first.profit + second.profit == -50


def test_money_set_aside_between_two_days_is_no_profit(stage):
    day_by_day(stage)
    stage.end()
    stage.limits = type(stage.limits)(bankroll=D(20_000))
    stage.start()
    day_by_day(stage, DAY_S)
    _, second = told(stage)

    assert (second.equity, second.capital, second.profit, second.realised) == (20_000, 20_000, 0, 0)


def test_the_days_profits_add_up_to_what_equity_gained(stage):
    for price in ("1.1020", "1.0990", "1.1010"):
        stage.trade(thesis=price)
        stage.broker.price("EUR_USD", price, str(D(price) + D("0.0001")))
        day_by_day(stage, DAY_S)
    found = told(stage)

    assert len(found) == 3
    assert sum(day.profit for day in found) == found[-1].equity - 10_000


def test_the_report_reads_what_was_told(stage):
    stage.stop_out(stage.trade())
    day_by_day(stage)
    (days,) = performance(stage.house.log("fx", "decisions").parent.parent, None).days

    assert [day.profit for day in days.days] == [-50]
    assert days.returns().total == pytest.approx(-0.005)


def test_a_clock_set_back_tells_no_day_again(stage):
    day_by_day(stage)
    stage.restart()
    stage.clock.advance(-2 * HOUR_S)
    stage.loop.on_tick()
    day_by_day(stage, 3 * HOUR_S)

    assert len(told(stage)) == 1
    assert stage.books.fold.told.day + timedelta(days=1) == stage.books.fold.day.day
