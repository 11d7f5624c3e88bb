"""The daily-loss breaker, cooldowns and storms: written down, not forgotten, not for ever."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.vocabulary import Cause, Code, Kind, State

D = Decimal
DAY_S = 24 * 3600.0


@pytest.fixture
def strict(stage):
    """A surface that ends its day at a loss of 60: one full stop-out of 50 and a little more."""
    stage.limits = replace(stage.limits, daily_loss=D(60))
    return stage.start()


def breaker(stage):
    return stage.books.fold.wish(Cause.BREAKER)


def fall(stage, market="EUR_USD", bid="1.0970"):
    stage.broker.price(market, bid, str(D(bid) + D("0.0001")))


def test_a_realised_and_a_marked_loss_together_trip_the_breaker_for_the_trading_day(strict):
    strict.tick()
    strict.stop_out(strict.trade())
    strict.tick()
    realised_alone = breaker(strict).state
    strict.trade("GBP_USD")
    # 10,000 bought at 1.1000: 11 of open loss beside the 50 that are lost.
    fall(strict, "GBP_USD", "1.0989")
    strict.tick()
    strict.propose("AUD_USD")
    strict.tick()

    assert realised_alone is State.RUN
    assert breaker(strict).state is State.REDUCE
    assert strict.books.fold.day.day.isoformat() == "2026-03-03"
    assert strict.decisions()[-1].code is Code.STOPPED


def test_a_tripped_breaker_stays_when_the_market_comes_back_and_through_restarts(strict):
    strict.trade()
    fall(strict, bid="1.0930")
    strict.tick()
    fall(strict, bid="1.1100")
    strict.tick()
    strict.restart()
    strict.tick()

    assert breaker(strict).state is State.REDUCE
    assert [r["tripped"] for r in strict.records("decisions", Kind.DAY)] == [False, True]


def test_a_tripped_breaker_ends_with_its_trading_day_and_no_sooner(strict):
    strict.trade()
    fall(strict, bid="1.0930")
    strict.tick()
    # The trading day ends at 17:00 in New York, which is 22:00 UTC: midnight UTC is none of its ends.
    strict.tick(4.9 * 3600)
    at_the_end = breaker(strict).state
    strict.tick(0.2 * 3600)

    assert at_the_end is State.REDUCE
    assert breaker(strict).state is State.RUN
    assert strict.books.fold.day.day.isoformat() == "2026-03-04"


def test_a_breaker_of_yesterday_ends_at_the_first_turn_after_a_night_without_the_process(strict):
    strict.trade()
    fall(strict, bid="1.0930")
    strict.tick()
    strict.end()
    strict.clock.advance(DAY_S)
    fall(strict, bid="1.0999")
    strict.start()
    strict.tick()

    assert breaker(strict).state is State.RUN


def test_a_restart_does_not_begin_the_days_count_anew(strict):
    strict.tick()
    strict.stop_out(strict.trade())
    strict.restart()
    strict.tick()
    strict.trade("GBP_USD")
    fall(strict, "GBP_USD", "1.0989")
    strict.tick()

    assert breaker(strict).state is State.REDUCE
    assert [r["tripped"] for r in strict.records("decisions", Kind.DAY)] == [False, True]


def test_a_process_that_missed_the_days_beginning_counts_from_the_higher_of_two_equities(strict):
    signal_id = strict.trade()
    strict.end()
    strict.clock.advance(DAY_S)
    # Stopped out on the new day, before the surface is there to see it begin.
    strict.stop_out(signal_id)
    strict.start()
    strict.tick()
    strict.trade("GBP_USD")
    fall(strict, "GBP_USD", "1.0989")
    strict.tick()

    assert strict.books.fold.day.start_equity == 10_000
    assert breaker(strict).state is State.REDUCE


def test_a_position_without_a_quote_counts_as_it_was_last_marked(strict):
    strict.tick()
    strict.trade()
    # Beyond its stop of 50 already, and the last that is seen of it.
    fall(strict, bid="1.0942")
    strict.tick()
    strict.broker.silence("EUR_USD")
    strict.trade("GBP_USD")
    before = breaker(strict).state
    fall(strict, "GBP_USD", "1.0997")
    strict.tick()

    assert (before, breaker(strict).state) == (State.RUN, State.REDUCE)


def test_a_position_never_quoted_since_a_restart_lets_nothing_in_and_trips_nothing(strict):
    strict.tick()
    strict.trade()
    strict.broker.silence("EUR_USD")
    strict.restart()
    strict.tick()
    strict.trade("GBP_USD")
    before = breaker(strict).state
    # 50 at the one stop and 11 of open loss in the other market are more than the 60 allowed.
    fall(strict, "GBP_USD", "1.0988")
    strict.tick()

    strict.propose("AUD_USD")
    strict.tick()

    assert (before, breaker(strict).state) == (State.RUN, State.RUN)
    assert strict.decisions()[-1].code is Code.RISK_DAILY_LOSS


def test_a_day_that_begins_without_quotes_does_not_begin_lower_for_it(strict):
    strict.trade()
    strict.end()
    strict.clock.advance(4.99 * 3600)
    strict.broker.silence("EUR_USD")
    strict.start()
    strict.tick()
    strict.tick(0.1 * 3600)

    assert strict.books.fold.day.day.isoformat() == "2026-03-04"
    assert strict.books.fold.day.start_equity == 10_000


@pytest.mark.parametrize("wanted", [True, False])
def test_the_breaker_asks_for_a_flatten_only_when_told_to(stage, wanted):
    stage.limits = replace(stage.limits, daily_loss=D(60))
    stage.settings = replace(stage.settings, flatten_on_breaker=wanted)
    stage.start()
    stage.trade()
    stage.settle()
    fall(stage, bid="1.0930")
    stage.tick()
    stage.clock.advance(61)
    stage.settle()

    assert (stage.broker.trades == {}) is wanted


def test_a_stop_out_rests_its_market_once_and_a_restart_forgets_nothing(running):
    running.stop_out(running.trade())
    ended_at = running.clock.now()
    running.tick()
    running.restart()
    running.tick()
    running.propose(thesis="another")
    running.tick()
    resting = running.decisions()[-1].code
    running.clock.advance(1800)
    running.trade(thesis="a third")

    [cooldown] = running.records("decisions", Kind.COOLDOWN)
    assert resting is Code.COOLDOWN
    assert running.books.fold.cooldowns["EUR_USD"].until == ended_at + timedelta(seconds=1800)
    assert cooldown["market"] == "EUR_USD"
    assert running.decisions()[-1].admitted


def test_a_stop_out_seen_only_after_a_restart_rests_its_market_from_when_it_happened(running):
    signal_id = running.trade()
    running.end()
    running.stop_out(signal_id)
    ended_at = running.clock.now()
    running.clock.advance(600)
    running.start()
    running.tick()

    assert running.books.fold.cooldowns["EUR_USD"].until == ended_at + timedelta(seconds=1800)


def test_a_target_that_was_reached_rests_nothing(running):
    running.stop_out(running.trade(), price="1.1100", reason="take_profit")
    running.tick()

    assert running.records("decisions", Kind.COOLDOWN) == []


@pytest.fixture
def brave(stage):
    """A surface that can lose much in a day."""
    stage.limits = replace(stage.limits, daily_loss=D(1000))
    return stage.start()


def storm(stage):
    for market in ("EUR_USD", "GBP_USD", "AUD_USD"):
        stage.stop_out(stage.trade(market))
        stage.tick()


def test_a_storm_of_stop_outs_rests_the_sub_strategy_for_its_pause_and_not_for_ever(brave):
    storm(brave)
    last = brave.clock.now()
    brave.propose("NZD_USD")
    brave.tick()
    resting = brave.decisions()[-1].code
    brave.restart()
    brave.propose("NZD_USD", sub_strategy="pullback", thesis="other")
    brave.tick()
    other = brave.decisions()[-1].admitted
    brave.clock.advance(3600)
    brave.trade("NZD_USD", thesis="later")

    [suspension] = brave.records("decisions", Kind.SUSPENSION)
    until = brave.books.fold.suspensions["breakout"].until
    assert resting is Code.SUSPENDED
    assert other
    assert last - timedelta(seconds=10) <= until - timedelta(seconds=3600) <= last
    assert suspension["name"] == "breakout"
    assert brave.decisions()[-1].admitted


def test_one_more_stop_out_after_a_storms_pause_is_no_new_storm(brave):
    storm(brave)
    brave.clock.advance(3700)
    brave.stop_out(brave.trade("NZD_USD", thesis="later"))
    brave.tick()

    assert len(brave.records("decisions", Kind.SUSPENSION)) == 1


def test_stop_outs_far_apart_are_no_storm(brave):
    for market in ("EUR_USD", "GBP_USD", "AUD_USD"):
        brave.stop_out(brave.trade(market))
        brave.tick()
        brave.clock.advance(14_401 / 2)

    assert brave.records("decisions", Kind.SUSPENSION) == []
