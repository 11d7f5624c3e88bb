"""Silence of a stream: told from its own habit, from the market's hours and from a restart."""

from datetime import UTC, datetime, timedelta

import pytest

from market.gaps import Gap, GapReason, GapWatch

AT = datetime(2014, 5, 6, 15, tzinfo=UTC)


def heard_every(watch, seconds, times, start=AT):
    """Let SPY speak regularly and return when it spoke last."""
    found = [watch.hear("SPY", start + timedelta(seconds=seconds * number)) for number in range(times)]
    assert not any(found)
    return start + timedelta(seconds=seconds * (times - 1))


def test_a_stream_that_speaks_as_usual_leaves_no_gap():
    watch = GapWatch()

    assert heard_every(watch, 1, 500)


@pytest.mark.parametrize(
    ("usual_s", "silent_s", "is_gap"), [(1, 21, True), (1, 19, False), (30, 590, False), (30, 610, True)]
)
def test_how_long_is_too_long_follows_from_the_streams_own_habit(usual_s, silent_s, is_gap):
    watch = GapWatch(times=20)
    last = heard_every(watch, usual_s, 40)
    at = last + timedelta(seconds=silent_s)

    assert watch.hear("SPY", at) == (
        Gap(market="SPY", since=last, until=at, reason=GapReason.SILENT) if is_gap else None
    )


def test_a_stream_of_many_a_second_may_pause_for_a_few_seconds():
    watch = GapWatch(times=20, at_least=timedelta(seconds=5))
    last = heard_every(watch, 0.01, 200)

    assert watch.hear("SPY", last + timedelta(seconds=4)) is None
    assert watch.hear("SPY", last + timedelta(seconds=12)) is not None


def test_a_stream_that_grows_quiet_is_given_a_longer_pause():
    watch = GapWatch(times=20, at_least=timedelta(seconds=5))
    last = heard_every(watch, 1, 40)
    last = heard_every(watch, 10, 200, start=last + timedelta(seconds=10))

    assert watch.hear("SPY", last + timedelta(seconds=150)) is None
    assert watch.hear("SPY", last + timedelta(seconds=650)) is not None


def test_a_night_is_no_gap_but_the_morning_of_a_dead_stream_is(new_york):
    watch = GapWatch(lambda market, since, until: new_york.open_between(since, until))
    evening = heard_every(watch, 1, 40, start=datetime(2014, 5, 6, 19, 59, 20, tzinfo=UTC))
    opening = datetime(2014, 5, 7, 13, 30, 1, tzinfo=UTC)
    late = datetime(2014, 5, 8, 13, 45, tzinfo=UTC)

    assert watch.hear("SPY", opening) is None
    heard_every(watch, 1, 10, start=opening + timedelta(seconds=1))
    assert watch.hear("SPY", late).until == late
    assert evening < opening


def test_one_gap_does_not_make_the_next_one_usual():
    watch = GapWatch()
    last = heard_every(watch, 1, 40)
    watch.hear("SPY", last + timedelta(minutes=10))

    assert watch.hear("SPY", last + timedelta(minutes=11)) is not None


def test_each_market_has_its_own_habit():
    watch = GapWatch()
    last = heard_every(watch, 1, 40)

    assert watch.hear("AIG", last) is None
    assert watch.hear("AIG", last + timedelta(minutes=10)) is None


def test_a_restart_is_a_gap_once_and_only_where_the_market_was_open(new_york):
    closed = datetime(2014, 5, 6, 20, 0, 1, tzinfo=UTC)
    watch = GapWatch(
        lambda market, since, until: new_york.open_between(since, until),
        heard={"SPY": AT, "AIG": closed, "IBM": closed},
    )
    later = closed + timedelta(hours=5)

    assert watch.hear("SPY", later) == Gap(market="SPY", since=AT, until=later, reason=GapReason.RESTART)
    assert watch.hear("SPY", later + timedelta(hours=1)) is None
    assert watch.hear("AIG", later) is None


def test_a_simulated_clock_that_starts_again_is_no_gap():
    watch = GapWatch(heard={"SPY": AT + timedelta(days=3)})

    assert watch.hear("SPY", AT) is None
