"""The FX week and day, through both changes of New York's clocks."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market import sessions

FIRST, LAST = datetime.fromisoformat("2010-01-01"), datetime.fromisoformat("2035-01-01")
MOMENTS = st.datetimes(FIRST, LAST).map(lambda moment: moment.replace(tzinfo=UTC))


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2014-05-02T20:59:59", True),  # Friday, summer: closes at 21:00 UTC
        ("2014-05-02T21:00:00", False),
        ("2014-05-03T12:00:00", False),
        ("2014-05-04T20:59:59", False),
        ("2014-05-04T21:00:00", True),
        ("2014-01-10T21:59:59", True),  # Friday, winter: closes at 22:00 UTC
        ("2014-01-10T22:00:00", False),
        ("2014-01-12T21:59:59", False),
        ("2014-01-12T22:00:00", True),
        ("2014-03-07T21:59:59", True),  # the clocks change on Sunday, 9 March: winter close, summer open
        ("2014-03-09T20:59:59", False),
        ("2014-03-09T21:00:00", True),
        ("2014-11-02T21:59:59", False),  # and back on Sunday, 2 November
        ("2014-11-02T22:00:00", True),
        ("2014-05-07T21:00:00", True),
    ],
)
def test_market_is_open_from_sunday_to_friday_seventeen_new_york(moment, expected):
    assert sessions.is_open(utc(moment)) is expected


def test_next_open_and_close_follow_the_clocks_of_new_york():
    assert sessions.next_close(utc("2014-03-05T12:00:00")) == utc("2014-03-07T22:00:00")
    assert sessions.next_open(utc("2014-03-08T12:00:00")) == utc("2014-03-09T21:00:00")
    assert sessions.next_open(utc("2014-03-09T21:00:00")) == utc("2014-03-16T21:00:00")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2014-05-06T20:59:59", date(2014, 5, 6)),
        ("2014-05-06T21:00:00", date(2014, 5, 7)),
        ("2014-05-04T21:00:00", date(2014, 5, 5)),
        ("2014-05-02T21:00:00", date(2014, 5, 5)),
        ("2014-05-03T03:00:00", date(2014, 5, 5)),
        ("2014-01-06T21:59:59", date(2014, 1, 6)),
    ],
)
def test_trading_day_turns_at_seventeen_new_york(moment, expected):
    assert sessions.trading_day(utc(moment)) == expected


def test_days_are_as_long_as_the_clocks_make_them():
    spans = {day: sessions.day_bounds(day) for day in (date(2014, 5, 6), date(2014, 3, 9), date(2014, 11, 2))}
    hours = [(end - start) / timedelta(hours=1) for start, end in spans.values()]

    assert hours == [24, 23, 25]


@given(MOMENTS)
def test_open_moments_lie_within_the_bounds_of_their_day(moment):
    start, end = sessions.day_bounds(sessions.trading_day(moment))

    assert moment < end
    assert start <= moment or not sessions.is_open(moment)


@given(MOMENTS)
def test_open_and_close_alternate(moment):
    opens, closes = sessions.next_open(moment), sessions.next_close(moment)

    assert min(opens, closes) > moment
    assert sessions.is_open(moment) is (closes < opens)
    assert sessions.is_open(opens)
    assert not sessions.is_open(closes)
    assert sessions.is_open(closes - timedelta(seconds=1))


def test_naive_moments_are_refused():
    with pytest.raises(ValueError, match="timezone-aware"):
        sessions.is_open(FIRST)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2014-05-02T20:00:00", "2014-05-04T22:00:00", 2),  # an hour on Friday, one on Sunday
        ("2014-05-03T10:00:00", "2014-05-04T10:00:00", 0),
        ("2014-05-06T10:00:00", "2014-05-07T10:00:00", 24),
        ("2014-05-02T20:00:00", "2014-05-16T20:00:00", 2 * 120),
        ("2014-03-07T21:00:00", "2014-03-09T22:00:00", 2),
        ("2014-05-06T10:00:00", "2014-05-06T10:00:00", 0),
    ],
)
def test_open_time_leaves_weekends_out(start, end, hours):
    assert sessions.open_between(utc(start), utc(end)) == timedelta(hours=hours)
