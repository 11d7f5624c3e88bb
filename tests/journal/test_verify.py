"""Tampering with a log, and what the check says about it."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from domain.clock import FakeClock
from journal import Journal, verify

Lines = list[bytes]


@pytest.fixture
def log(directory: Path, clock: FakeClock) -> Path:
    """Two segments; records with n = 0… have seq 2…"""
    with Journal.open(directory, clock=clock, segment_bytes=8000, durable=False) as journal:
        for number in range(30):
            clock.advance(1)
            journal.append("n", surface="fx", mode="paper", fields={"n": number, "amount": "100.00"})
    return directory


def tamper(directory: Path, change: Callable[[Lines], Lines]) -> set[int]:
    """Change the first segment's lines (index 0 is seq 1); return the seqs the check names."""
    path = directory / "000001.jsonl"
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    report = verify(directory)
    assert report.ok is (not report.problems)
    return {problem.seq for problem in report.problems}


def rehash(line: bytes) -> bytes:
    covered = line.split(b',"h":"')[0]
    return covered + b',"h":"' + sha256(covered).hexdigest().encode() + b'"}\n'


def test_an_untouched_log_is_good(log: Path) -> None:
    report = verify(log)

    assert (report.ok, report.problems, report.segments, report.uncommitted_bytes) == (True, [], 2, 0)
    assert (report.records, report.head_seq) == (33, 33)
    assert report.head_h == json.loads((log / "head.json").read_bytes())["h"]


@pytest.mark.parametrize("seq", [1, 2, 9, 17])
def test_an_edited_line_is_named(log: Path, seq: int) -> None:
    def edit(lines: Lines) -> Lines:
        return [*lines[: seq - 1], lines[seq - 1].replace(b'"fx"', b'"st"'), *lines[seq:]]

    assert tamper(log, edit) == {seq}


def test_an_edited_line_with_a_new_hash_breaks_the_link_after_it_and_the_next_checkpoint(log: Path) -> None:
    def edit(lines: Lines) -> Lines:
        return [*lines[:8], rehash(lines[8].replace(b"100.00", b"900.00")), *lines[9:]]

    assert tamper(log, edit) == {10, 21}


@pytest.mark.parametrize("seq", [2, 9, 18])
def test_a_deleted_line_is_named(log: Path, seq: int) -> None:
    assert seq in tamper(log, lambda lines: lines[: seq - 1] + lines[seq:])


def test_swapped_lines_are_named(log: Path) -> None:
    def swap(lines: Lines) -> Lines:
        return [*lines[:8], lines[9], lines[8], *lines[10:]]

    assert tamper(log, swap) >= {9}


def test_an_inserted_copy_is_named(log: Path) -> None:
    assert tamper(log, lambda lines: [*lines[:9], lines[8], *lines[9:]]) >= {10}


def test_a_forged_insertion_is_named(log: Path) -> None:
    def forge(lines: Lines) -> Lines:
        record = json.loads(lines[8])
        link = f'"prev":"{record["prev"]}"'.encode()
        return [*lines[:9], rehash(lines[8].replace(link, f'"prev":"{record["h"]}"'.encode())), *lines[9:]]

    assert tamper(log, forge) >= {10}


def cut_tail(directory: Path) -> None:
    path = directory / "000002.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))


def test_a_cut_tail_is_seen_against_mark_and_checkpoint(log: Path) -> None:
    cut_tail(log)
    report = verify(log)

    assert {problem.what for problem in report.problems} == {
        "the log ends with seq 31, its last checkpoint with seq 33",
        "the log ends with seq 31, its commit mark says seq 33",
    }


def test_a_cut_tail_without_a_mark_is_seen_by_the_checkpoint(log: Path) -> None:
    (log / "head.json").unlink()
    cut_tail(log)
    report = verify(log)

    assert [problem.what for problem in report.problems] == [
        "the log ends with seq 31, its last checkpoint with seq 33"
    ]


def test_a_cut_tail_without_mark_and_checkpoints_is_seen_only_by_whoever_kept_a_head(log: Path) -> None:
    (log / "head.json").unlink()
    (log / "checkpoints.jsonl").unlink()
    cut_tail(log)
    report = verify(log)

    assert (report.ok, report.head_seq) == (True, 31)


def test_an_unreadable_line_does_not_hide_a_later_problem(log: Path) -> None:
    def edit(lines: Lines) -> Lines:
        lines[4] = b"?" + lines[4][1:]
        lines[12] = lines[12].replace(b"100.00", b"100.01")
        return lines

    assert tamper(log, edit) == {5, 13}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (b'"n":7', b'"n":NaN', "not strict JSON"),
        (b'"n":7', b'"n":"\xc3\xa9"', "outside ASCII"),
        (b'"n":7', b'"n":"\\ud800"', "not strict JSON"),
        (b'"v":1', b'"v":2', "version 2"),
        (b'"seq":9', b'"seq":"9"', '"seq" is not a positive integer'),
        (b'"log":"fx/signals"', b'"log":"fx/orders"', "a record of log"),
        (b'"ts":"2014', b'"ts":"2013', "earlier than"),
        (b'"ts":"2014-05-02T', b'"ts":"2014-05-02 ', '"ts" is not'),
        (b'"mode":"paper"', b'"mode":7', '"mode" is not text'),
        (b'"kind":"n"', b'"kind":"segment_start"', "first line of a segment"),
    ],
)
def test_a_line_of_another_form_is_named_and_explained(log: Path, old: bytes, new: bytes, what: str) -> None:
    def edit(lines: Lines) -> Lines:
        assert old in lines[8]
        return [*lines[:8], rehash(lines[8].replace(old, new)), *lines[9:]]

    assert 9 in tamper(log, edit)
    assert any(what in problem.what for problem in verify(log).problems)


def test_a_removed_segment_end_is_named(log: Path) -> None:
    tamper(log, lambda lines: lines[:-1])

    assert "the segment before it has no segment_end" in {problem.what for problem in verify(log).problems}


def test_a_wholly_broken_log_ends_the_check_early(log: Path, clock: FakeClock) -> None:
    (log / "000001.jsonl").write_bytes(b"{}\n" * 5000)
    report = verify(log)

    assert (report.ok, len(report.problems) < 1100) == (False, True)


def test_a_log_is_checked_while_it_is_written(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        for number in range(50):
            journal.append("n", surface="fx", mode="paper", fields={"n": number})
            assert verify(directory).records == number + 2
