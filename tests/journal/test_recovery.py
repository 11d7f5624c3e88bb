"""What a log looks like after a crash at any byte, and what is refused instead of repaired."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.clock import FakeClock
from domain.errors import Halt
from journal import Journal, NewRecord, Syscalls, read, verify


@pytest.fixture
def small(directory: Path, clock: FakeClock) -> Path:
    """A log of three segments; the last one holds its start and two records, and no checkpoint covers them yet."""
    with Journal.open(directory, clock=clock, segment_bytes=1000, durable=False) as journal:
        for number in range(6):
            journal.append("n", surface="fx", mode="paper", fields={"n": number})
    assert sorted(path.name for path in directory.glob("0*")) == ["000001.jsonl", "000002.jsonl", "000003.jsonl"]
    forget_last_checkpoint(directory)
    return directory


def forget_last_checkpoint(directory: Path) -> None:
    """Leave a log as a kill does, without the checkpoint of a clean end."""
    path = directory / "checkpoints.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


class Died(BaseException):
    """Stands for SIGKILL."""


class DyingCalls(Syscalls):
    """Real calls, of which the ``nth`` (from 1) of one name ends everything."""

    def __init__(self, name: str, nth: int) -> None:
        self.left = nth
        real = getattr(super(), name)
        setattr(self, name, lambda *arguments: self._call(real, *arguments))

    def _call(self, real: Callable[..., object], *arguments: object) -> object:
        self.left -= 1
        if self.left == 0:
            raise Died
        return real(*arguments)


def reopen(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False, lock_wait_s=0) as journal:
        journal.append("after", surface="fx", mode="paper", fields={})


def numbers(directory: Path) -> list[int]:
    return [entry.record["n"] for entry in read(directory) if entry.kind == "n"]


def test_a_cut_at_any_byte_of_an_uncommitted_tail_leaves_whole_records(
    small: Path, clock: FakeClock, scratch: Path
) -> None:
    data = (small / "000003.jsonl").read_bytes()
    whole_lines = [data[:cut].count(b"\n") for cut in range(len(data) + 1)]
    (small / "head.json").unlink()
    for cut in range(len(data)):
        copy = scratch / str(cut) / "fx" / "signals"
        shutil.copytree(small, copy)
        (copy / "000003.jsonl").write_bytes(data[:cut])
        reopen(copy, clock)

        report = verify(copy)
        torn = b"".join(path.read_bytes() for path in copy.glob("torn/*.bin"))
        assert (report.problems, numbers(copy)) == ([], list(range(4 + max(0, whole_lines[cut] - 1))))
        assert torn == data[:cut].rpartition(b"\n")[2]
        assert [entry.kind for entry in read(copy)].count("recovery") == bool(torn)
        shutil.rmtree(copy)


def test_a_cut_before_the_commit_mark_refuses_to_open_and_changes_nothing(small: Path, clock: FakeClock) -> None:
    path = small / "000003.jsonl"
    data = path.read_bytes()
    for cut in range(0, len(data), 7):
        path.write_bytes(data[:cut])
        with pytest.raises(Halt, match=r"segment 3, offset \d+, seq \d+; open it for reading only"):
            reopen(small, clock)

        assert (path.read_bytes(), (small / "torn").exists()) == (data[:cut], False)


def test_any_changed_byte_of_a_committed_record_refuses_to_open_and_is_found(small: Path, clock: FakeClock) -> None:
    path = small / "000003.jsonl"
    data = path.read_bytes()
    start = data.index(b"\n") + 1
    seq = json.loads(data[start:].splitlines()[0])["seq"]
    for offset in range(start, data.index(b"\n", start) + 1):
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
        with pytest.raises(Halt, match="segment 3"):
            reopen(small, clock)

        assert seq in {problem.seq for problem in verify(small).problems}


def test_any_changed_byte_of_an_uncommitted_record_is_quarantined(small: Path, clock: FakeClock, scratch: Path) -> None:
    data = (small / "000003.jsonl").read_bytes()
    start = data.rindex(b"\n", 0, -1) + 1
    (small / "head.json").unlink()
    for offset in range(start, len(data), 3):
        copy = scratch / str(offset) / "fx" / "signals"
        shutil.copytree(small, copy)
        changed = data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]
        (copy / "000003.jsonl").write_bytes(changed)
        reopen(copy, clock)

        assert (verify(copy).problems, numbers(copy)) == ([], [0, 1, 2, 3, 4])
        assert next(copy.glob("torn/*.bin")).read_bytes() == changed[start:]


def test_good_looking_lines_after_a_hole_are_quarantined_too(small: Path, clock: FakeClock) -> None:
    path = small / "000003.jsonl"
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + b"\0" * len(second) + third)
    (small / "head.json").unlink()
    reopen(small, clock)

    assert (verify(small).problems, numbers(small)) == ([], [0, 1, 2, 3])
    assert next(small.glob("torn/*.bin")).read_bytes() == b"\0" * len(second) + third


def test_a_large_hole_is_quarantined(small: Path, clock: FakeClock) -> None:
    with open(small / "000003.jsonl", "ab") as file:
        file.truncate(3_000_000)
    reopen(small, clock)

    assert (verify(small).problems, numbers(small)) == ([], [0, 1, 2, 3, 4, 5])
    assert next(small.glob("torn/*.bin")).stat().st_size > 2_990_000


def test_the_recovery_record_and_the_note_name_the_moved_bytes(small: Path, clock: FakeClock) -> None:
    path = small / "000003.jsonl"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b'{"ts":"2014')
    reopen(small, clock)

    record = next(entry.record for entry in read(small) if entry.kind == "recovery")
    moved = small / record["file"]
    assert moved.name == f"000003-{size}-20140502T123100000000Z.bin"
    assert moved.read_bytes() == b'{"ts":"2014'
    assert (record["segment"], record["offset"], record["bytes"]) == (3, size, 11)
    assert record["reason"] == "the line is cut short"
    assert (record["surface"], record["mode"]) == ("fx", "journal")
    note = json.loads(moved.with_suffix(".json").read_bytes())
    assert note == {
        "file": record["file"], "segment": 3, "offset": size, "bytes": 11, "reason": "the line is cut short",
        "found_at": "2014-05-02T12:31:00.000000Z", "after_seq": 11,
    }  # fmt: skip


def test_a_whole_record_beyond_the_mark_is_kept(small: Path, clock: FakeClock) -> None:
    before = (small / "head.json").read_bytes()
    with Journal.open(small, clock=clock) as journal:
        receipt = journal.append("n", surface="fx", mode="paper", fields={"n": 6})
    forget_last_checkpoint(small)
    (small / "head.json").write_bytes(before)
    assert numbers(small) == [0, 1, 2, 3, 4, 5]

    with Journal.open(small, clock=clock) as journal:
        assert journal.position == receipt.position
        assert numbers(small) == [0, 1, 2, 3, 4, 5, 6]


def test_a_mark_older_by_whole_segments_is_moved_up(small: Path, clock: FakeClock) -> None:
    before = (small / "head.json").read_bytes()
    with Journal.open(small, clock=clock, segment_bytes=1000) as journal:
        for number in range(6, 12):
            journal.append("n", surface="fx", mode="paper", fields={"n": number})
    (small / "head.json").write_bytes(before)

    with Journal.open(small, clock=clock, segment_bytes=1000):
        assert numbers(small) == list(range(12))


@pytest.mark.parametrize("content", [b"", b"\0" * 256, b'{"segment":1}', b" " * 256])
def test_an_unreadable_mark_counts_as_missing(small: Path, clock: FakeClock, content: bytes) -> None:
    (small / "head.json").write_bytes(content)
    assert numbers(small) == []
    reopen(small, clock)

    assert (verify(small).ok, numbers(small)) == (True, [0, 1, 2, 3, 4, 5])


def test_a_batch_cut_in_the_middle_is_withdrawn_whole(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        journal.append("n", surface="fx", mode="paper", fields={"n": 0})
        before = (directory / "head.json").read_bytes()
        batch = [NewRecord(kind="n", surface="fx", mode="paper", fields={"n": n}) for n in (1, 2, 3)]
        receipts = journal.append_many(batch)
    (directory / "checkpoints.jsonl").unlink()
    data = (directory / "000001.jsonl").read_bytes()
    for end in (receipts[0].position.offset, receipts[1].position.offset, receipts[1].position.offset + 9):
        shutil.rmtree(directory / "torn", ignore_errors=True)
        (directory / "000001.jsonl").write_bytes(data[:end])
        (directory / "head.json").write_bytes(before)
        (directory / "checkpoints.jsonl").unlink(missing_ok=True)
        reopen(directory, clock)

        assert (verify(directory).problems, numbers(directory)) == ([], [0])
        assert next(directory.glob("torn/*.bin")).read_bytes() == data[:end][data.index(receipts[0].raw) :]


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_missing_segment_refuses_to_open(small: Path, clock: FakeClock, missing: int) -> None:
    (small / f"00000{missing}.jsonl").unlink()

    with pytest.raises(Halt, match=f"segment {missing}"):
        reopen(small, clock)
    assert f"segment {missing} is missing" in {problem.what for problem in verify(small).problems}


def test_a_middle_segment_is_missed_without_a_mark_too(small: Path, clock: FakeClock) -> None:
    (small / "000002.jsonl").unlink()
    (small / "head.json").unlink()

    with pytest.raises(Halt, match="segment 2 is missing"):
        reopen(small, clock)


def test_an_earlier_segment_without_its_end_refuses_to_open(small: Path, clock: FakeClock) -> None:
    path = small / "000001.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

    with pytest.raises(Halt, match="no valid segment_end at segment 1"):
        reopen(small, clock)


def test_a_swapped_segment_refuses_to_open(small: Path, clock: FakeClock) -> None:
    first, second = small / "000001.jsonl", small / "000002.jsonl"
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)

    with pytest.raises(Halt):
        reopen(small, clock)
    assert not verify(small).ok


def test_an_ended_segment_without_a_successor_gets_one(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, segment_bytes=900) as journal:
        while journal.position.segment == 1:
            journal.append("n", surface="fx", mode="paper", fields={"n": 0})
    (directory / "000002.jsonl").unlink()
    (directory / "head.json").unlink()
    forget_last_checkpoint(directory)
    reopen(directory, clock)

    assert verify(directory).ok
    assert [entry.kind for entry in read(directory)][-3:] == ["segment_end", "segment_start", "after"]


def test_a_log_rewritten_with_shorter_lines_is_not_taken_for_the_marked_one(
    directory: Path, clock: FakeClock, tmp_path: Path
) -> None:
    for base, pad in ((directory, "x" * 100), (tmp_path / "forged" / "fx" / "signals", "")):
        with Journal.open(base, clock=clock) as journal:
            for _ in range(20):
                journal.append("n", surface="fx", mode="paper", fields={"n": 0, "pad": pad})
    shutil.copy(tmp_path / "forged" / "fx" / "signals" / "000001.jsonl", directory)
    with Journal.open(tmp_path / "forged" / "fx" / "signals", clock=clock) as journal:
        for _ in range(20):
            journal.append("n", surface="fx", mode="paper", fields={"n": 0})
    shutil.copy(tmp_path / "forged" / "fx" / "signals" / "000001.jsonl", directory)

    with pytest.raises(Halt, match="seq 21"):
        reopen(directory, clock)
    (directory / "checkpoints.jsonl").unlink()
    with pytest.raises(Halt, match="not the committed head"):
        reopen(directory, clock)


@pytest.mark.parametrize("call", ["fsync", "ftruncate", "fdatasync", "write", "pwrite"])
def test_recovery_itself_may_die_at_any_call(small: Path, clock: FakeClock, scratch: Path, call: str) -> None:
    with open(small / "000003.jsonl", "ab") as file:
        file.write(b'{"ts":"torn')
    deaths = 0
    for nth in range(1, 30):
        copy = scratch / str(nth) / "fx" / "signals"
        shutil.copytree(small, copy)
        calls = DyingCalls(call, nth)
        try:
            Journal.open(copy, clock=clock, syscalls=calls, lock_wait_s=0).close()
        except Died:
            deaths += 1
        reopen(copy, clock)

        assert (verify(copy).problems, numbers(copy)) == ([], [0, 1, 2, 3, 4, 5])
        assert b'{"ts":"torn' in {path.read_bytes() for path in copy.glob("torn/*.bin")}
        assert "recovery" in {entry.kind for entry in read(copy)}
        if calls.left > 0:
            break
    assert deaths >= 1


def test_another_logs_files_are_not_continued(small: Path, clock: FakeClock) -> None:
    with pytest.raises(Halt, match=r"a checkpoint of 'st/signals' in .* found one of 'fx/signals'"):
        Journal.open(small, clock=clock, log="st/signals")
    (small / "checkpoints.jsonl").unlink()
    with pytest.raises(Halt, match="a record of log 'fx/signals', not 'st/signals'"):
        Journal.open(small, clock=clock, log="st/signals")


def test_bytes_moved_before_a_crash_are_still_mentioned_by_the_next_start(small: Path, clock: FakeClock) -> None:
    reopen(small, clock)
    (small / "torn").mkdir()
    note = {"file": "torn/000003-9-x.bin", "segment": 3, "offset": 9, "bytes": 4, "reason": "cut short"}
    (small / "torn" / "000003-9-x.pending").write_text(json.dumps(note))
    (small / "torn" / "000003-9-x.bin").write_bytes(b"abcd")
    reopen(small, clock)

    record = next(entry.record for entry in read(small) if entry.kind == "recovery")
    assert {name: record[name] for name in note} == note
    assert [path.name for path in sorted((small / "torn").iterdir())] == ["000003-9-x.bin", "000003-9-x.json"]
