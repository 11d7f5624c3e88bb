"""Every clock shows UTC, and a simulated one shows the same in every process."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clock import FakeClock, RealClock, SimulatedClock, iso, parse_clock, parse_iso, require_utc
from domain.errors import Misconfigured

START = datetime(2014, 5, 2, 12, 20, tzinfo=UTC)
SPEC = "sim:2014-05-02T12:20:00Z@120,anchor=1000.5"
ZONES = st.timezones() | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001  bounds are naive


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "REAL",
        "real ",
        "sim",
        "sim:",
        "fake:2014-05-02T12:20:00Z@1",
        "sim:2014-05-02T12:20:00Z",
        "sim:2014-05-02T12:20:00Z@",
        "sim:@120",
        "sim:2014-05-02T12:20:00@120",
        "sim:2014-13-02T12:20:00Z@120",
        "sim:yesterday@120",
        "sim:2014-05-02T12:20:00Z@0",
        "sim:2014-05-02T12:20:00Z@-1",
        "sim:2014-05-02T12:20:00Z@10001",
        "sim:2014-05-02T12:20:00Z@nan",
        "sim:2014-05-02T12:20:00Z@fast",
        "sim:2014-05-02T12:20:00Z@120,anchor=",
        "sim:2014-05-02T12:20:00Z@120,anchor=noon",
        "sim:2014-05-02T12:20:00Z@120,anchor=nan",
        "sim:2014-05-02T12:20:00Z@120,anchor=inf",
        "sim:2014-05-02T12:20:00Z@120,speed=2",
        "sim:0001-01-01T00:00:00+23:00@1",
    ],
)
def test_a_clock_that_breaks_the_grammar_is_refused_with_the_grammar(spec):
    with pytest.raises(Misconfigured, match="sim:<ISO start>@<speed>") as caught:
        parse_clock(spec)

    assert repr(spec) in str(caught.value)


def test_the_word_real_gives_the_machines_clock():
    clock = parse_clock("real")

    assert isinstance(clock, RealClock)
    assert clock.now().tzinfo is UTC
    assert abs(clock.now().timestamp() - time.time()) < 5
    assert clock.real_seconds(7) == 7


def test_two_simulated_clocks_with_the_same_spec_agree():
    first, second = parse_clock(SPEC), parse_clock(SPEC)

    before, between, after = first.now(), second.now(), first.now()

    assert first == second
    assert before <= between <= after


def test_a_simulated_clock_shows_its_start_at_the_anchor_and_runs_at_its_speed():
    clock = SimulatedClock(START, 60.0, anchor=time.time() - 10)

    shown = clock.now() - START

    assert timedelta(seconds=600) <= shown < timedelta(seconds=600 + 60 * 5)
    assert clock.real_seconds(120) == 2


def test_a_simulated_clock_without_anchor_starts_now():
    clock = parse_clock("sim:2014-05-02T14:20:00+02:00@1")

    assert START <= clock.now() < START + timedelta(seconds=5)


def test_a_simulated_clock_keeps_real_monotonic_time():
    before = time.monotonic_ns()

    assert before <= parse_clock(SPEC).monotonic_ns() <= time.monotonic_ns()


@given(st.lists(st.floats(-1e6, 1e6)))
def test_a_fake_clock_never_steps_its_monotonic_time_back(steps):
    clock = FakeClock(START)
    seen = [clock.monotonic_ns()]

    for seconds in steps:
        clock.advance(seconds)
        seen.append(clock.monotonic_ns())

    assert seen == sorted(seen)


def test_a_fake_clock_moves_both_of_its_times_by_what_it_is_told():
    clock = FakeClock(START)
    before = clock.monotonic_ns()

    clock.advance(90)

    assert clock.now() == START + timedelta(seconds=90)
    assert clock.monotonic_ns() - before == 90_000_000_000


def test_a_fake_clock_stepped_back_shows_an_earlier_wall_time():
    clock = FakeClock(START)

    clock.advance(-90)

    assert clock.now() == START - timedelta(seconds=90)


@given(MOMENTS)
def test_written_moments_have_one_width_and_read_back_as_themselves(moment):
    text = iso(moment)

    assert len(text) == 27
    assert text.endswith("Z")
    assert parse_iso(text) == moment.astimezone(UTC)  # an hour that comes twice equals no moment of another zone


@given(MOMENTS, MOMENTS)
def test_written_moments_sort_as_the_moments_do(first, second):
    assert (iso(first) < iso(second)) == (first.astimezone(UTC) < second.astimezone(UTC))


@pytest.mark.parametrize("act", [require_utc, iso, FakeClock])
def test_a_naive_moment_is_a_programming_error(act):
    with pytest.raises(ValueError, match="timezone-aware"):
        act(START.replace(tzinfo=None))


@pytest.mark.parametrize("text", ["2014-05-02T12:20:00", "2014-05-02", "noon", ""])
def test_text_that_names_no_offset_is_no_moment(text):
    with pytest.raises(ValueError):
        parse_iso(text)
