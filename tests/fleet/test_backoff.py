"""Back-off: what keeps dying waits longer each time, and is then left down."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Misconfigured
from fleet import backoff
from fleet.backoff import History, after_start, delay_s, is_looping

NOW = 1_800_000_000.0


def live(run_lengths, *, clean=()):
    """Start a program, let each run last as given (clean where its number is named), and return the waits.

    The list ends with None when the program is given up.
    """
    now, history, waits = NOW, History(), []
    for number, length in enumerate([0.0, *run_lengths]):
        now += length
        history = after_start(history, now, clean=number in clean)
        if is_looping(history):
            return [*waits, None]
        waits.append(delay_s(history, now))
        now += waits[-1]
    return waits


@pytest.mark.parametrize("length", [0.1, 1.2, 6, 61])
def test_a_crash_loop_waits_1_2_4_8_seconds_and_is_given_up_at_the_fifth_crash(length):
    assert live([length] * 10) == [0, 1, 2, 4, 8, None]


def test_the_first_start_does_not_wait():
    assert live([]) == [0]


def test_a_run_of_300_seconds_ends_the_sequence():
    assert live([1, 1, 300, 1]) == [0, 1, 2, 0, 1]
    # A start is noted before its wait, which therefore counts as part of the run.
    assert live([1, 1, 297.9])[-1] > 0


def test_a_clean_stop_ends_the_sequence_and_forgets_the_crashes():
    assert live([1, 1, 1, 1, 1, 1], clean={4}) == [0, 1, 2, 4, 0, 1, 2]


def test_crashes_older_than_ten_minutes_do_not_count():
    assert live([200] * 20)[-1] is not None
    assert live([100] * 20)[-1] is None


def test_a_stable_run_does_not_excuse_the_crashes_just_before_it():
    assert live([1, 1, 1, 1, 301, 1]) == [0, 1, 2, 4, 8, 0, None]


def test_the_wait_doubles_up_to_its_cap():
    waits = [delay_s(History((NOW,) * crashes), NOW) for crashes in range(10)]

    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


@given(st.lists(st.floats(0, 250), max_size=30))
def test_no_sequence_of_crashes_starts_more_than_five_times_in_ten_minutes(run_lengths):
    starts, now = [], NOW
    for length, wait in zip([0.0, *run_lengths], live(run_lengths), strict=False):
        if wait is None:
            break
        now += length + wait
        starts.append(now)

    # The moment of a crash is noted, the start follows its wait (8 s at most before the program is given up).
    assert all(sum(start <= other < start + 592 for other in starts) <= 5 for start in starts)


@given(st.lists(st.floats(0, 1000), max_size=12))
def test_a_program_waits_at_most_a_minute(run_lengths):
    assert all(0 <= wait <= 60 for wait in live(run_lengths) if wait is not None)


def test_a_clock_that_was_wrong_gives_nobody_up():
    ahead = NOW + 10**8
    history = History((ahead, ahead, ahead, ahead), ahead)

    after = after_start(history, NOW, clean=False)

    assert after == History((NOW,), NOW)
    assert delay_s(after, NOW) == 1


def test_jitter_changes_a_wait_by_at_most_a_fifth():
    drawn = [backoff.with_jitter(10) for _ in range(200)]

    assert all(8 <= seconds <= 12 for seconds in drawn)
    assert len(set(drawn)) > 100
    assert backoff.with_jitter(0) == 0


def test_a_history_survives_the_disk(tmp_path):
    path = tmp_path / "state" / "crashes" / "feed.json"

    backoff.save(path, History((1.5, 2.5), 3.5))

    assert backoff.load(path) == History((1.5, 2.5), 3.5)
    assert [item.name for item in path.parent.iterdir()] == ["feed.json"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        '{"crashes": [1]}',
        '{"crashes": null, "last_start": 1}',
        '{"crashes": [1], "last_start": null}',
    ],
)
def test_a_broken_history_is_an_empty_one(tmp_path, content):
    path = tmp_path / "feed.json"
    path.write_text(content)

    assert backoff.load(path) == History()


def test_a_missing_history_is_an_empty_one(tmp_path):
    assert backoff.load(tmp_path / "feed.json") == History()


def test_the_file_holds_plain_numbers_a_person_can_read(tmp_path):
    backoff.save(tmp_path / "feed.json", History((1.0,), 2.0))

    assert json.loads((tmp_path / "feed.json").read_text()) == {"crashes": [1.0], "last_start": 2.0}


def test_giving_up_says_which_file_to_remove(tmp_path):
    error = backoff.refuse_loop("feed", tmp_path / "feed.json")

    assert isinstance(error, Misconfigured)
    assert "5 crashes within 600 s" in str(error)
    assert f"remove {tmp_path / 'feed.json'}" in str(error)
