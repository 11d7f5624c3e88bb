"""What trips, what rests, what is suspended, and that a restart is never looser."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.vocabulary import Code, Gate
from risk.breaker import Breaker, StopOut, cooldown_until, fold, roll, storms, trip
from risk.limits import Limits

D = Decimal
NEW_YORK = ZoneInfo("America/New_York")
DAY = date(2026, 3, 4)
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
LIMITS = Limits(bankroll=D(10000), daily_loss=D(100), storm_stop_outs=3, storm_window_s=3600, cooldown_s=600)


def test_first_day_starts_with_the_equity_found():
    assert Breaker(day=DAY, start_equity=D(10000)) == roll(None, DAY, D(10000))


@pytest.mark.parametrize("day", [DAY, DAY - timedelta(days=1)])
def test_breaker_stays_within_its_day_and_when_the_clock_steps_back(day):
    tripped = Breaker(day=DAY, start_equity=D(10000), tripped=True)

    assert tripped == roll(tripped, day, D(9000))


def test_next_day_starts_anew():
    tripped = Breaker(day=DAY, start_equity=D(10000), tripped=True)

    assert Breaker(day=DAY + timedelta(days=1), start_equity=D(9000)) == roll(tripped, DAY + timedelta(days=1), D(9000))


@pytest.mark.parametrize(("equity", "tripped"), [("9900.01", False), ("9900", True), ("9899", True)])
def test_breaker_trips_at_the_limit(equity, tripped):
    assert tripped == trip(Breaker(day=DAY, start_equity=D(10000)), D(equity), LIMITS).tripped


def test_recovery_does_not_release_a_tripped_breaker():
    assert trip(Breaker(day=DAY, start_equity=D(10000), tripped=True), D(11000), LIMITS).tripped


MONEY = st.decimals(-300, 300, places=2)


@given(realised=MONEY, marked=MONEY)
@settings(max_examples=200, deadline=None)
def test_breaker_and_gate_count_realised_and_marked_alike(case, realised, marked):
    equity = D(10000) + realised + marked
    state = {"equity": equity, "day_start_equity": D(10000)}
    verdict = case.but(limits={"daily_loss": D(100)}, state=state).ask(Gate.RISK)
    refused = verdict.code is Code.RISK_DAILY_LOSS

    assert (realised + marked <= -100) == refused
    assert refused == trip(Breaker(day=DAY, start_equity=D(10000)), equity, LIMITS).tripped


# A life: each step is the day's number, the equity then, and whether the process is killed before it.
LIVES = st.lists(st.tuples(st.integers(0, 3), st.integers(9800, 10200), st.booleans()), max_size=30)


def live(steps, *, with_restarts):
    """Return tripped-or-not after each step, of a process that journals its breaker whenever it changes."""
    journal, breaker, answers = [], None, []
    for number, equity, killed in steps:
        if killed and with_restarts:
            breaker = fold(journal)
        rolled = roll(breaker, DAY + timedelta(days=number), D(equity))
        after = trip(rolled, D(equity), LIMITS)
        if after != breaker:
            journal.append(after)
        breaker = after
        answers.append((breaker.day, breaker.start_equity, breaker.tripped))
    return answers


@given(steps=LIVES)
@settings(max_examples=300, deadline=None)
def test_restart_leaves_the_breaker_exactly_as_tight(steps):
    assert live(steps, with_restarts=False) == live(steps, with_restarts=True)


@given(steps=LIVES)
@settings(max_examples=200, deadline=None)
def test_tripped_breaker_stays_for_its_day_and_days_never_run_back(steps):
    answers = live(steps, with_restarts=True)

    for (day, start, tripped), (later, later_start, later_tripped) in pairwise(answers):
        assert later >= day
        if later == day:
            assert (start, True) == (later_start, later_tripped or not tripped)


BREAKERS = st.builds(
    Breaker, day=st.sampled_from([DAY, DAY + timedelta(days=1)]), start_equity=MONEY, tripped=st.booleans()
)


@given(records=st.lists(BREAKERS, min_size=1, max_size=8), again=st.integers(0, 7))
@settings(max_examples=200, deadline=None)
def test_reading_a_record_twice_changes_nothing(records, again):
    assert fold(records) == fold([*records, records[again % len(records)]])


def test_fold_of_nothing_is_nothing():
    assert fold([]) is None


def stop_out(seconds, name="breakout.h1", market="EUR_USD"):
    return StopOut(market=market, sub_strategy=name, at=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("moments", "suspended"),
    [([0, 1800, 3600], True), ([0, 1800, 3601], False), ([0, 10], False), ([9000, 0, 1, 5000, 3600], True)],
)
def test_storm_suspends_at_the_nth_stop_out_within_the_window(moments, suspended):
    found = storms([stop_out(moment) for moment in moments], LIMITS)

    assert ({"breakout.h1": "3 stop-outs within 3600 s"} if suspended else {}) == found


def test_storm_of_one_sub_strategy_leaves_the_others_alone():
    mixed = [stop_out(0), stop_out(1), stop_out(2, "breakout.h4"), stop_out(3, "breakout.h4")]

    assert storms(mixed, LIMITS) == {}


def test_suspension_lasts_until_it_is_lifted_and_counts_anew_after():
    first = [stop_out(moment) for moment in (0, 1, 2)]
    lifted = {"breakout.h1": NOW + timedelta(seconds=2)}

    assert storms([*first, stop_out(3), stop_out(4)], LIMITS, lifted) == {}
    assert list(storms([*first, stop_out(3), stop_out(4), stop_out(5)], LIMITS, lifted)) == ["breakout.h1"]


def test_market_rests_after_a_stop_out():
    assert NOW + timedelta(seconds=600) == cooldown_until(NOW, LIMITS)


STOP_OUTS = st.lists(
    st.builds(stop_out, st.integers(0, 20000), st.sampled_from("ab"), st.sampled_from(["EUR_USD", "USD_JPY"])),
    max_size=8,
)


@given(before=STOP_OUTS, after=STOP_OUTS)
@settings(max_examples=200, deadline=None)
def test_what_has_been_journalled_only_ever_tightens(before, after):
    whole = before + after

    assert storms(before, LIMITS).keys() <= storms(whole, LIMITS).keys()
