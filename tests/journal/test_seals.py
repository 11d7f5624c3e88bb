"""Signatures and checkpoints, checked: what holds is counted, and what does not is named."""

import json
import shutil
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from domain.clock import FakeClock
from journal import Journal, Problem, VerifyReport, verify
from journal.key_files import create_key, rotate_key
from journal.keys import Keyring, Signer
from journal.seals import Level

Lines = list[bytes]


@pytest.fixture
def keys(tmp_path: Path, clock: FakeClock) -> Path:
    """A folder with a key of fx, made now."""
    create_key(tmp_path / "keys", "fx", clock.now())
    return tmp_path / "keys"


def write(directory: Path, clock: FakeClock, keys: Path | None, count: int = 30, *, sign_lines: bool = True) -> None:
    signer = Signer.load(keys, "fx", clock.now()) if keys else None
    with Journal.open(
        directory, clock=clock, durable=False, segment_bytes=9000, signer=signer, sign_lines=sign_lines,
        checkpoint_records=5,
    ) as journal:  # fmt: skip
        for number in range(count):
            clock.advance(1)
            journal.append("n", surface="fx", mode="paper", fields={"n": number, "amount": "100.00"})


def check(directory: Path, keys: Path, level: Level = Level.ALL) -> VerifyReport:
    return verify(directory, keyring=Keyring.load(keys), signatures=level)


def change(path: Path, edit: Callable[[Lines], Lines]) -> None:
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))


def said(report: VerifyReport) -> str:
    return "\n".join(map(str, report.problems))


def rechain(directory: Path) -> None:
    """Re-hash a whole log after a change, as whoever may write the files could; signatures stay as they were."""
    prev = "0" * 64
    for path in sorted(directory.glob("0*.jsonl")):
        lines = []
        for line in path.read_bytes().splitlines():
            covered, _, rest = line.partition(b',"h":"')
            covered = covered[:-65] + prev.encode() + b'"'
            prev = sha256(covered).hexdigest()
            lines.append(b'%b,"h":"%b%b\n' % (covered, prev.encode(), rest[64:]))
        path.write_bytes(b"".join(lines))
    (directory / "head.json").unlink()


@pytest.mark.proves("J11")
def test_signatures_that_hold_are_counted(directory: Path, clock: FakeClock, keys: Path) -> None:
    write(directory, clock, keys)
    report = check(directory, keys)

    assert report.problems == []
    assert report.checkpoints == len((directory / "checkpoints.jsonl").read_bytes().splitlines()) > 3
    assert report.signatures == report.records + report.checkpoints
    assert report.unchecked_signatures == 0


def test_without_keys_signatures_are_passed_over_and_counted(directory: Path, clock: FakeClock, keys: Path) -> None:
    write(directory, clock, keys)
    report = verify(directory)

    assert (report.problems, report.signatures) == ([], 0)
    assert report.unchecked_signatures == report.records + report.checkpoints


def test_the_newest_of_each_key_can_be_enough(directory: Path, clock: FakeClock, keys: Path) -> None:
    write(directory, clock, keys)
    few, none = (check(directory, keys, level) for level in (Level.NEWEST, Level.NONE))

    assert (few.problems, few.signatures) == ([], 2)  # one line, one checkpoint
    assert (none.problems, none.signatures) == ([], 0)
    assert none.unchecked_signatures == few.unchecked_signatures + 2


@pytest.mark.proves("J11")
def test_a_log_hashed_anew_is_found_by_its_signatures(directory: Path, clock: FakeClock, keys: Path) -> None:
    write(directory, clock, keys)
    change(directory / "000001.jsonl", lambda lines: [*lines[:4], lines[4].replace(b"100.00", b"900.00"), *lines[5:]])
    rechain(directory)
    (directory / "checkpoints.jsonl").unlink()
    report, newest = check(directory, keys), check(directory, keys, Level.NEWEST)

    assert {problem.seq for problem in report.problems} == set(range(5, report.head_seq + 1))
    assert "does not match key" in said(report)
    assert [problem.seq for problem in newest.problems] == [newest.head_seq]
    assert verify(directory).ok  # nobody else could tell


@pytest.mark.proves("J11")
def test_an_unsigned_log_hashed_anew_is_found_by_its_checkpoints(directory: Path, clock: FakeClock, keys: Path) -> None:
    write(directory, clock, keys, sign_lines=False)
    change(directory / "000001.jsonl", lambda lines: [*lines[:4], lines[4].replace(b"100.00", b"900.00"), *lines[5:]])
    rechain(directory)
    report = verify(directory)

    assert "names another record than the log's seq 5" in said(report)
    assert {problem.segment for problem in report.problems} == {0}


@pytest.mark.proves("J11")
def test_a_line_whose_signature_was_taken_off_is_named(directory: Path, clock: FakeClock, keys: Path) -> None:
    write(directory, clock, keys)
    change(
        directory / "000001.jsonl", lambda lines: [*lines[:4], lines[4].partition(b',"sig"')[0] + b"}\n", *lines[5:]]
    )
    report = check(directory, keys)

    assert [problem.seq for problem in report.problems if problem.segment] == [5]
    assert "not signed, though fx has a key since 2014-05-02T12:31:00" in said(report)


@pytest.mark.proves("J11")
def test_a_signature_of_another_line_is_named(directory: Path, clock: FakeClock, keys: Path) -> None:
    def swap(lines: Lines) -> Lines:
        lines[4] = lines[4].partition(b',"sig"')[0] + b"".join(lines[6].partition(b',"sig"')[1:])
        return lines

    write(directory, clock, keys)
    change(directory / "000001.jsonl", swap)

    assert [problem.seq for problem in check(directory, keys).problems] == [5]


def test_lines_from_before_the_first_key_need_no_signature(directory: Path, clock: FakeClock, tmp_path: Path) -> None:
    write(directory, clock, None)
    clock.advance(1)
    create_key(tmp_path / "keys", "fx", clock.now())
    write(directory, clock, tmp_path / "keys")
    report = check(directory, tmp_path / "keys")

    assert report.problems == []
    assert 0 < report.signatures < report.records


def test_lines_of_both_keys_hold_after_a_change_of_keys(directory: Path, clock: FakeClock, keys: Path) -> None:
    write(directory, clock, keys)
    rotate_key(keys, "fx", clock.now())
    write(directory, clock, keys)
    report = check(directory, keys)

    assert report.problems == []
    assert check(directory, keys, Level.NEWEST).signatures == 3  # a line of each key, and the last checkpoint


@pytest.mark.proves("J11")
def test_history_sealed_with_a_newer_key_is_named(directory: Path, clock: FakeClock, keys: Path) -> None:
    write(directory, clock, keys, sign_lines=False)
    clock.advance(60)
    rotate_key(keys, "fx", clock.now())
    signer = Signer.load(keys, "fx", clock.now())

    def reseal(lines: Lines) -> Lines:
        sealed = []
        for line in lines:
            late = json.loads(line) | {"ts": "2014-05-02T12:40:00.000000Z"}
            late.pop("sig")
            covered = json.dumps(late, separators=(",", ":")).encode()[:-1]
            sealed.append(b'%b,"sig":"%b"}\n' % (covered, signer.sign_checkpoint(covered)))
        return sealed

    change(directory / "checkpoints.jsonl", reseal)

    assert "sealed with a newer key" in said(check(directory, keys))


def replay(lines: Lines) -> Lines:
    return [*lines, lines[1]]


def edit_time(lines: Lines) -> Lines:
    return [lines[0].replace(b'"ts":"2014', b'"ts":"2015'), *lines[1:]]


def edit_root(lines: Lines) -> Lines:
    found = json.loads(lines[0])
    return [lines[0].replace(found["root"].encode(), b"0" * 64), *lines[1:]]


def edit_offset(lines: Lines) -> Lines:
    found = json.loads(lines[0])
    return [lines[0].replace(b'"offset":%d' % found["offset"], b'"offset":%d' % (found["offset"] + 1)), *lines[1:]]


def strip(lines: Lines) -> Lines:
    return [lines[0].partition(b',"sig"')[0] + b"}\n", *lines[1:]]


def rename(lines: Lines) -> Lines:
    return [lines[0].replace(b"fx/signals", b"st/signals"), *lines[1:]]


@pytest.mark.proves("J11")
@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (replay, "an older one again"),
        (edit_time, "does not match key"),
        (edit_root, "root does not follow from its peaks"),
        (edit_offset, "not where it says"),
        (strip, "not signed, though fx has a key"),
        (rename, "a checkpoint of log 'st/signals'"),
        (lambda lines: [b"{}\n", *lines[1:]], "no checkpoint"),
    ],
)
def test_a_changed_checkpoint_is_named(
    directory: Path, clock: FakeClock, keys: Path, edit: Callable[[Lines], Lines], what: str
) -> None:
    write(directory, clock, keys)
    change(directory / "checkpoints.jsonl", edit)
    report = check(directory, keys)

    assert what in said(report)
    assert {problem.segment for problem in report.problems} == {0}


def test_a_problem_names_its_place() -> None:
    assert str(Problem(2, 17, 9, "gone")) == "segment 2 byte 17 seq 9: gone"
    assert str(Problem(0, 17, 9, "gone")) == "checkpoints.jsonl byte 17 seq 9: gone"


def test_a_changed_leaf_is_placed_between_two_checkpoints(directory: Path, clock: FakeClock, keys: Path) -> None:
    """Only a checkpoint's root says which records changed, when the newer lines were linked to the old hashes."""
    write(directory, clock, keys, sign_lines=False)
    segment = directory / "000001.jsonl"
    h = json.loads(segment.read_bytes().splitlines()[6])["h"].encode()
    change(segment, lambda lines: [*lines[:6], lines[6].replace(h, b"0" * 64), *lines[7:]])

    assert "one of seq 6 to 10 was changed" in said(check(directory, keys))


def test_what_a_crash_left_uncovered_may_be_sealed_by_the_next_key(
    directory: Path, clock: FakeClock, keys: Path, tmp_path: Path
) -> None:
    signer = Signer.load(keys, "fx", clock.now())
    crashed = tmp_path / "crashed" / "fx" / "signals"
    with Journal.open(
        directory, clock=clock, durable=False, signer=signer, sign_lines=True, checkpoint_s=3600
    ) as journal:
        for number in range(20):
            clock.advance(1)
            journal.append("n", surface="fx", mode="paper", fields={"n": number})
        shutil.copytree(directory, crashed)
    clock.advance(60)
    rotate_key(keys, "fx", clock.now())
    later = Signer.load(keys, "fx", clock.now())
    Journal.open(crashed, clock=clock, durable=False, signer=later, sign_lines=True).close()
    report = check(crashed, keys)

    assert not (crashed / "checkpoints.jsonl").read_bytes().count(signer.key.encode())
    assert (report.problems, report.checkpoints) == ([], 1)


@pytest.mark.proves("J9")
def test_a_log_verifies_at_any_moment_while_another_thread_writes_it(
    directory: Path, clock: FakeClock, keys: Path
) -> None:
    ring, permits = Keyring.load(keys), threading.Semaphore(0)
    signer = Signer.load(keys, "fx", clock.now())
    Journal.open(directory, clock=clock, durable=False, signer=signer, sign_lines=True).close()

    def write_on() -> None:
        with Journal.open(
            directory, clock=clock, durable=False, segment_bytes=20_000, signer=signer, sign_lines=True,
            checkpoint_records=10,
        ) as journal:  # fmt: skip
            for _ in range(40 * 25):
                assert permits.acquire(timeout=30)
                journal.append("n", surface="fx", mode="paper", fields={"n": 0})

    writer = threading.Thread(target=write_on)
    writer.start()
    reports = []
    for _ in range(40):
        permits.release(25)  # written while the check below runs
        reports.append(verify(directory, keyring=ring, signatures=Level.NEWEST))
    writer.join()

    assert [report.problems for report in reports if report.problems] == []
    assert reports[-1].segments > 1
    assert reports[-1].checkpoints > reports[0].checkpoints
