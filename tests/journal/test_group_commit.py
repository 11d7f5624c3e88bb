"""Many records, one write, one sync; and none of it visible before."""

import threading
from pathlib import Path

import pytest

from domain.clock import FakeClock, RealClock, iso
from domain.errors import Refuse
from journal import Journal, NewRecord, Syscalls, Tail, head, read, verify


class Counting(Syscalls):
    """Counts writes and syncs, and can hold a sync until told to go on."""

    def __init__(self) -> None:
        self.writes = self.syncs = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.reached = threading.Event()

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.writes += 1
        return super().write(fd, data)

    def fdatasync(self, fd: int) -> None:
        self.syncs += 1
        self.reached.set()
        assert self.go_on.wait(30)
        super().fdatasync(fd)

    def hold(self) -> None:
        self.reached.clear()
        self.go_on.clear()


def record(number: int) -> NewRecord:
    return NewRecord(kind="n", surface="fx", mode="paper", fields={"n": number})


def numbers(directory: Path) -> list[int]:
    return [entry.record["n"] for entry in read(directory) if entry.kind == "n"]


def test_what_is_submitted_during_a_sync_shares_the_next_one(directory: Path, clock: FakeClock) -> None:
    calls = Counting()
    with Journal.open(directory, clock=clock, syscalls=calls) as journal:
        calls.hold()
        first = journal.submit("n", surface="fx", mode="paper", fields={"n": 0})
        assert calls.reached.wait(30)
        before = calls.writes, calls.syncs
        rest = [journal.submit("n", surface="fx", mode="paper", fields={"n": n}) for n in range(1, 65)]
        calls.go_on.set()
        seqs = [future.result(30).seq for future in (first, *rest)]

        assert (calls.writes - before[0], calls.syncs - before[1]) == (1, 1)
    assert seqs == list(range(2, 67))
    assert numbers(directory) == list(range(65))


def test_threads_that_append_at_once_are_written_together_and_in_order_each(directory: Path, clock: FakeClock) -> None:
    calls = Counting()
    with Journal.open(directory, clock=clock, syscalls=calls) as journal:
        calls.syncs = 0

        def writer(base: int) -> None:
            for number in range(50):
                journal.append("n", surface="fx", mode="paper", fields={"n": base + number})

        threads = [threading.Thread(target=writer, args=(base,)) for base in range(0, 800, 100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    found = numbers(directory)
    assert len(found) == 400
    assert all([n for n in found if n // 100 == base] == list(range(base * 100, base * 100 + 50)) for base in range(8))
    assert calls.syncs < 400
    assert verify(directory).ok


def test_append_many_is_one_write_and_one_sync(directory: Path, clock: FakeClock) -> None:
    calls = Counting()
    with Journal.open(directory, clock=clock, syscalls=calls) as journal:
        calls.writes = calls.syncs = 0
        receipts = journal.append_many(record(number) for number in range(64))

        assert (calls.writes, calls.syncs) == (1, 1)
        assert journal.append_many([]) == []
    assert [receipt.raw for receipt in receipts] == [entry.raw for entry in read(directory)][1:]
    assert {entry.record["batch"] for entry in read(directory) if entry.kind == "n"} == {"2-65"}


def test_records_of_one_write_bear_one_time(directory: Path) -> None:
    with Journal.open(directory, clock=RealClock()) as journal:
        receipts = journal.append_many(record(number) for number in range(64))
        later = journal.append("later", surface="fx", mode="paper", fields={})
    lines = [entry.record for entry in read(directory) if entry.kind == "n"]

    assert {(line["ts"], line["mono_ns"]) for line in lines} == {(iso(receipts[0].ts), lines[0]["mono_ns"])}
    assert {receipt.ts for receipt in receipts} == {receipts[0].ts} != {later.ts}


def test_one_bad_record_keeps_its_whole_batch_out(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        bad = NewRecord(kind="n", surface="fx", mode="paper", fields={"n": float("nan")})
        with pytest.raises(Refuse):
            journal.append_many([record(0), bad])

    assert numbers(directory) == []


def test_submit_and_append_keep_their_order(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        for number in range(0, 200, 2):
            journal.submit("n", surface="fx", mode="paper", fields={"n": number})
            journal.append("n", surface="fx", mode="paper", fields={"n": number + 1})

    assert numbers(directory) == list(range(200))


def test_closing_writes_what_is_queued(directory: Path, clock: FakeClock) -> None:
    journal = Journal.open(directory, clock=clock)
    futures = [journal.submit("n", surface="fx", mode="paper", fields={"n": number}) for number in range(100)]
    journal.close()

    assert all(future.done() for future in futures)
    assert numbers(directory) == list(range(100))


@pytest.mark.proves("J9")
def test_a_reader_never_sees_bytes_that_are_not_yet_synced(directory: Path, clock: FakeClock) -> None:
    calls = Counting()
    with Journal.open(directory, clock=clock, syscalls=calls) as journal, Tail(directory) as tail:
        before = journal.append("n", surface="fx", mode="paper", fields={"n": 0})
        assert len(tail.poll()) == 2
        calls.hold()
        future = journal.submit("n", surface="fx", mode="paper", fields={"n": 1})
        assert calls.reached.wait(30)
        on_disk = (directory / "000001.jsonl").read_bytes().count(b"\n")

        assert (on_disk, numbers(directory), tail.poll(), tail.wait(0)) == (3, [0], [], False)
        assert head(directory) == before.position
        assert verify(directory).uncommitted_bytes > 0
        calls.go_on.set()
        future.result(30)
        assert (numbers(directory), [entry.record["n"] for entry in tail.poll()]) == ([0, 1], [1])


def test_a_batch_is_seen_whole_or_not_at_all_across_rotation(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, segment_bytes=2000) as journal, Tail(directory) as tail:
        for first in range(0, 60, 3):
            journal.append_many(record(first + k) for k in range(3))
            seen = [entry.record["n"] for entry in tail.poll() if entry.kind == "n"]

            assert seen == [first, first + 1, first + 2]
    assert len(list(directory.glob("0*.jsonl"))) > 5
    assert verify(directory).ok


def test_a_futures_callback_may_append_and_even_close(directory: Path, clock: FakeClock) -> None:
    journal = Journal.open(directory, clock=clock)
    done = threading.Event()

    def answer(future: object) -> None:
        journal.append("n", surface="fx", mode="paper", fields={"n": 1})
        journal.close()
        done.set()

    journal.submit("n", surface="fx", mode="paper", fields={"n": 0}).add_done_callback(answer)

    assert done.wait(30)
    assert numbers(directory) == [0, 1]
