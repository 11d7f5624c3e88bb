"""New York's days: holidays, half days and both changes of clocks, against the exchange's own published table."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.calendar import Calendar, Phase
from market.exchange_session import may_trade

NEW_YORK = ZoneInfo("America/New_York")
# As the exchange published them; 9 January 2025 was a day of mourning, 29 and 30 October 2012 a hurricane.
HOLIDAYS = {
    2013: "2012-07-04 2012-09-03 2012-10-29 2012-10-30 2012-11-22 2012-12-25 2013-01-01 2013-01-21 2013-02-18"
    " 2013-03-29 2013-05-27 2013-07-04 2013-09-02 2013-11-28 2013-12-25 2014-01-01",
    2014: "2014-01-01 2014-01-20 2014-02-17 2014-04-18 2014-05-26 2014-07-04 2014-09-01 2014-11-27 2014-12-25",
    2025: "2025-01-01 2025-01-09 2025-01-20 2025-02-17 2025-04-18 2025-05-26 2025-06-19 2025-07-04 2025-09-01"
    " 2025-11-27 2025-12-25 2026-01-01 2026-01-19 2026-02-16 2026-04-03 2026-05-25 2026-06-19 2026-07-03 2026-09-07"
    " 2026-11-26 2026-12-25",
    2027: "2027-01-01 2027-01-18 2027-02-15 2027-03-26 2027-05-31 2027-06-18 2027-07-05 2027-09-06 2027-11-25"
    " 2027-12-24",
}
HALF_DAYS = {
    2013: "2012-07-03 2012-11-23 2012-12-24 2013-07-03 2013-11-29 2013-12-24",
    2014: "2014-07-03 2014-11-28 2014-12-24",
    2025: "2025-07-03 2025-11-28 2025-12-24 2026-11-27 2026-12-24",
    2027: "2027-11-26",
}
SPANS = {
    2013: ("2012-06-02", "2014-01-02"),
    2014: ("2014-01-01", "2014-12-31"),
    2025: ("2025-01-01", "2026-12-31"),
    2027: ("2027-01-01", "2027-12-31"),
}
ORACLE = """
import json, sys, exchange_calendars as vendor
found = {}
for year, (first, last) in json.loads(sys.argv[1]).items():
    rows = vendor.get_calendar("XNYS", start=first, end=last).schedule[["open", "close"]].itertuples()
    found[year] = [[str(row.Index.date()), row.open.isoformat(), row.close.isoformat()] for row in rows]
print(json.dumps(found))
"""
MOMENTS_2014 = st.datetimes(datetime.fromisoformat("2013-06-01"), datetime.fromisoformat("2015-04-01")).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(moment):
    return moment.astimezone(NEW_YORK).time()


def weekdays(first, last):
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    while day <= end:
        if day.weekday() < 5:
            yield day
        day += timedelta(days=1)


@pytest.mark.parametrize("year", SPANS)
def test_weekdays_without_a_session_are_the_published_holidays(calendars, year):
    closed = [str(day) for day in weekdays(*SPANS[year]) if calendars[year].session(day) is None]

    assert closed == HOLIDAYS[year].split()


@pytest.mark.parametrize("year", SPANS)
def test_half_days_are_the_published_ones(calendars, year):
    sessions = [calendars[year].session(day) for day in weekdays(*SPANS[year])]

    assert [str(one.day) for one in sessions if one and one.is_half_day] == HALF_DAYS[year].split()


@pytest.mark.parametrize("year", SPANS)
def test_every_session_keeps_new_york_hours_through_both_changes_of_clocks(calendars, year):
    full = [one for one in calendars[year].sessions if not one.is_half_day]
    half = [one for one in calendars[year].sessions if one.is_half_day]

    assert {(local(s.pre_open), local(s.open), local(s.close), local(s.post_close)) for s in full} == {
        (time(4), time(9, 30), time(16), time(20))
    }
    assert {(local(s.pre_open), local(s.open), local(s.close), local(s.post_close)) for s in half} == {
        (time(4), time(9, 30), time(13), time(17))
    }


@pytest.fixture(scope="module")
def oracle():
    """Map year -> its sessions as exchange_calendars tells them itself."""
    command = [sys.executable, "-W", "ignore", "-c", ORACLE, json.dumps(SPANS)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


@pytest.mark.parametrize("year", SPANS)
def test_calendar_agrees_with_exchange_calendars(calendars, oracle, year):
    days = [calendars[year].session(day) for day in weekdays(*SPANS[year])]

    assert [[str(one.day), one.open.isoformat(), one.close.isoformat()] for one in days if one] == oracle[str(year)]


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        ("2014-03-07", "14:30"),
        ("2014-03-10", "13:30"),
        ("2014-10-31", "13:30"),
        ("2014-11-03", "14:30"),
    ],
)
def test_opening_moves_in_utc_when_new_york_changes_its_clocks(new_york, day, opens):
    assert new_york.session(date.fromisoformat(day)).open == utc(f"{day}T{opens}")


@pytest.mark.parametrize(
    ("moment", "phase"),
    [
        ("2014-05-06T07:59:59.999999", Phase.CLOSED),
        ("2014-05-06T08:00:00", Phase.PRE),
        ("2014-05-06T13:29:59.999999", Phase.PRE),
        ("2014-05-06T13:30:00", Phase.REGULAR),
        ("2014-05-06T19:59:59.999999", Phase.REGULAR),
        ("2014-05-06T20:00:00", Phase.POST),
        ("2014-05-06T23:59:59.999999", Phase.POST),
        ("2014-05-07T00:00:00", Phase.CLOSED),
        ("2014-11-28T17:59:59", Phase.REGULAR),  # a half day ends at 13:00, its post market at 17:00
        ("2014-11-28T18:00:00", Phase.POST),
        ("2014-11-28T22:00:00", Phase.CLOSED),
        ("2014-07-04T15:00:00", Phase.CLOSED),
        ("2014-05-10T15:00:00", Phase.CLOSED),
    ],
)
def test_a_moment_lies_in_its_part_of_the_day(new_york, moment, phase):
    assert new_york.phase(utc(moment)) is phase
    assert new_york.is_open(utc(moment)) is (phase is Phase.REGULAR)
    assert new_york.is_open(utc(moment), extended=True) is (phase is not Phase.CLOSED)


def test_next_open_and_close_pass_over_a_long_weekend(new_york):
    friday_evening = utc("2014-05-23T20:00:00")

    assert new_york.next_open(friday_evening) == utc("2014-05-27T13:30:00")
    assert new_york.next_close(friday_evening) == utc("2014-05-27T20:00:00")


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2014-05-06T13:30:00", "2014-05-06"),
        ("2014-05-06T23:59:59", "2014-05-06"),
        ("2014-05-07T00:00:00", "2014-05-07"),  # 20:00 New York
        ("2014-05-23T20:30:00", "2014-05-23"),
        ("2014-05-24T00:00:00", "2014-05-27"),  # Memorial Day was Monday, the 26th
        ("2014-11-28T22:00:00", "2014-12-01"),
    ],
)
def test_an_evening_belongs_to_the_next_session(new_york, moment, day):
    assert new_york.trading_day(utc(moment)) == date.fromisoformat(day)


def test_trading_days_follow_each_other_without_a_gap(new_york):
    days = new_york.days(date(2015, 3, 2), 250)
    bounds = [new_york.day_bounds(day) for day in days]

    assert [end for _, end in bounds[:-1]] == [start for start, _ in bounds[1:]]


@given(MOMENTS_2014)
@settings(max_examples=200)
def test_every_moment_lies_within_the_bounds_of_its_trading_day(new_york, moment):
    start, end = new_york.day_bounds(new_york.trading_day(moment))

    assert start <= moment < end


@given(MOMENTS_2014)
@settings(max_examples=200)
def test_market_opens_before_it_closes(new_york, moment):
    if new_york.is_open(moment):
        assert moment < new_york.next_close(moment) < new_york.next_open(moment)
    else:
        assert moment < new_york.next_open(moment) < new_york.next_close(moment)


def test_days_are_the_latest_sessions_up_to_one(new_york):
    assert [str(day) for day in new_york.days(date(2014, 5, 28), 4)] == [
        "2014-05-22",
        "2014-05-23",
        "2014-05-27",
        "2014-05-28",
    ]


def test_open_time_leaves_nights_and_holidays_out(new_york):
    friday, tuesday = utc("2014-05-23T19:50:00"), utc("2014-05-27T13:40:00")

    assert new_york.open_between(friday, tuesday) == timedelta(minutes=20)
    assert new_york.open_between(friday, friday + timedelta(minutes=5)) == timedelta(minutes=5)
    assert new_york.open_between(utc("2014-05-24T10:00:00"), utc("2014-05-26T20:00:00")) == timedelta(0)


def test_outside_of_what_is_known_everything_is_closed(new_york):
    in_session = utc("2016-05-06T15:00:00")

    assert new_york.is_open(in_session, extended=True) is False
    assert new_york.covers(in_session) is False
    assert new_york.next_open(in_session) is None
    assert new_york.trading_day(utc("2016-05-07T15:00:00")) == date(2016, 5, 9)


def test_a_calendar_without_content_is_closed_and_says_why():
    calendar = Calendar("XNYS", None, trouble="no file")

    assert calendar.is_open(utc("2014-05-06T15:00:00")) is False
    assert calendar.trouble == "no file"


@pytest.mark.parametrize(
    ("calendar", "broker", "expected"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False), (True, None, True)],
)
def test_a_market_is_open_only_when_calendar_and_broker_agree(calendar, broker, expected):
    assert may_trade(calendar, broker) is expected
