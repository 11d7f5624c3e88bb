"""Answers already paid for outlive a restart; a damaged file costs money, never a wrong answer."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from forecast.cache import LARGEST_FILE_BYTES, AnswerCache, Kept

NOW = datetime(2014, 5, 6, 7, tzinfo=UTC)


def kept(probability: str = "0.37", at: datetime = NOW) -> Kept:
    return Kept(probability=Decimal(probability), version="claude-sonnet-4-6", at=at)


def test_an_answer_is_found_until_it_is_too_old() -> None:
    cache = AnswerCache(60)
    cache.keep("a", kept())

    assert cache.find("a", NOW + timedelta(seconds=59)) == kept()
    assert cache.find("a", NOW + timedelta(seconds=60)) is None
    assert cache.find("b", NOW) is None


def test_an_answer_from_the_future_was_given_on_another_clock() -> None:
    cache = AnswerCache(60)
    cache.keep("a", kept())

    assert cache.find("a", NOW - timedelta(seconds=1)) is None


def test_the_oldest_answers_make_room() -> None:
    cache = AnswerCache(60, entries=2)
    for key in ("a", "b", "c"):
        cache.keep(key, kept())

    assert [cache.find(key, NOW) is not None for key in ("a", "b", "c")] == [False, True, True]


def test_a_restart_finds_what_was_kept(tmp_path: Path) -> None:
    file = tmp_path / "state" / "answers.jsonl"
    first = AnswerCache(60, file=file)
    first.keep("a", kept("0.1"))
    first.keep("a", kept("0.2"))

    assert AnswerCache(60, file=file).find("a", NOW) == kept("0.2")


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    AnswerCache(60, file=file).keep("a", kept())
    good = file.read_text()
    bad = [
        "{",
        "[]",
        "null",
        '{"key": "b"}',
        '{"key": "b", "probability": "2", "version": "", "at": "2014-05-06T07:00:00Z"}',
        '{"key": "b", "probability": "NaN", "version": "", "at": "2014-05-06T07:00:00Z"}',
        '{"key": "b", "probability": "0.5", "version": "", "at": "2014-05-06T07:00:00"}',
        '{"key": "b", "probability": 0.5}',
    ]
    file.write_text("\n".join([*bad, good, good[:20]]))

    cache = AnswerCache(60, file=file)

    assert (cache.find("a", NOW), cache.find("b", NOW)) == (kept(), None)
    cache.keep("c", kept("0.9"))
    assert AnswerCache(60, file=file).find("c", NOW) == kept("0.9")


def test_the_file_stays_small(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    cache = AnswerCache(60, file=file, entries=3)
    for number in range(100):
        cache.keep(f"key-{number}", kept())

    assert len(file.read_text().splitlines()) <= 7
    assert AnswerCache(60, file=file, entries=3).find("key-99", NOW) == kept()


def test_a_file_of_absurd_size_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    with file.open("wb") as out:
        out.truncate(LARGEST_FILE_BYTES + 1)

    AnswerCache(60, file=file).keep("a", kept())

    assert file.stat().st_size < 1_000


def test_a_file_that_cannot_be_written_costs_the_restart_not_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    cache = AnswerCache(60, file=tmp_path / "state" / "answers.jsonl")

    cache.keep("a", kept())

    assert cache.find("a", NOW) == kept()
    assert "no longer kept across restarts" in capsys.readouterr().out
