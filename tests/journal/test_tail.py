"""Following a log: woken by the append, across rotations, before the log exists."""

import asyncio
import contextlib
import os
import select
import threading
from pathlib import Path

import pytest

from domain.clock import FakeClock
from domain.errors import Halt
from journal import Entry, Journal, Position, Tail, head, read


def write(journal: Journal, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        journal.append("n", surface="fx", mode="paper", fields={"n": number})


def is_readable(tail: Tail) -> bool:
    return bool(select.select([tail], [], [], 0)[0])


def follow(tail: Tail, until: int, seen: list[Entry]) -> None:
    """Collect entries until one carries the number ``until``."""
    while not any(entry.kind == "n" and entry.record["n"] == until for entry in seen[-1000:]):
        assert tail.wait(60)
        seen += tail.poll()


def test_five_tailers_see_each_record_once_while_the_log_rotates(directory: Path, clock: FakeClock) -> None:
    tails = [Tail(directory) for _ in range(5)]
    seen: list[list[Entry]] = [[] for _ in tails]
    threads = [threading.Thread(target=follow, args=(tail, 499, out)) for tail, out in zip(tails, seen, strict=True)]
    for thread in threads:
        thread.start()
    with Journal.open(directory, clock=clock, segment_bytes=2500, durable=False) as journal:
        write(journal, 500)
    for thread in threads:
        thread.join(60)

    expected = [entry.raw for entry in read(directory)]
    assert len(list(directory.glob("0*.jsonl"))) > 80
    assert all([entry.raw for entry in entries] == expected for entries in seen)
    for tail in tails:
        tail.close()


def test_an_append_makes_the_descriptor_readable_and_drain_makes_it_quiet(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal, Tail(directory, after=journal.position) as tail:
        tail.drain()
        assert not is_readable(tail)
        write(journal, 1)
        assert is_readable(tail)
        tail.drain()

        assert not is_readable(tail)
        assert [entry.record["n"] for entry in tail.poll()] == [0]


def test_a_waiting_thread_is_woken_by_the_append_itself(
    directory: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    parked = threading.Event()
    real_select = select.select

    def counted(read_from, write_to, errors, timeout):
        waits.append(timeout)
        parked.set()
        return real_select(read_from, write_to, errors, timeout)

    monkeypatch.setattr("journal.tail.select.select", counted)
    with Journal.open(directory, clock=clock) as journal, Tail(directory, after=journal.position) as tail:
        tail.drain()
        woken: list[bool] = []
        thread = threading.Thread(target=lambda: woken.append(tail.wait(60)))
        thread.start()
        assert parked.wait(30)
        write(journal, 1)
        thread.join(30)

    assert (woken, len(waits)) == ([True], 1)
    assert waits[0] > 59


def test_waiting_ends_with_false_when_nothing_comes(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal, Tail(directory, after=journal.position) as tail:
        assert tail.wait(0) is False
        assert tail.wait(0.02) is False
        write(journal, 1)
        assert tail.wait(0) is True


def test_an_event_loop_is_woken_through_the_descriptor(directory: Path, clock: FakeClock) -> None:
    async def run(journal: Journal, tail: Tail) -> list[int]:
        loop, done, seen = asyncio.get_running_loop(), asyncio.Event(), []

        def on_wake() -> None:
            tail.drain()
            while entries := tail.poll():
                seen.extend(entry.record["n"] for entry in entries)
            if len(seen) == 20:
                done.set()

        loop.add_reader(tail.fileno(), on_wake)
        try:
            for number in range(20):
                await asyncio.wrap_future(journal.submit("n", surface="fx", mode="paper", fields={"n": number}))
            await asyncio.wait_for(done.wait(), 30)
        finally:
            loop.remove_reader(tail.fileno())
        return seen

    with Journal.open(directory, clock=clock) as journal, Tail(directory, after=journal.position) as tail:
        assert asyncio.run(run(journal, tail)) == list(range(20))


@pytest.mark.parametrize("made_before", ["nothing", "surface", "log", "segment"])
def test_a_log_that_does_not_exist_yet_is_waited_for(
    directory: Path, clock: FakeClock, start, made_before: str
) -> None:
    if made_before == "surface":
        directory.parent.mkdir()
    if made_before in ("log", "segment"):
        directory.mkdir(parents=True)
    if made_before == "segment":
        (directory / "000001.jsonl").touch()
    with Tail(directory) as tail:
        assert (tail.poll(), tail.wait(0)) == ([], False)
        script = 'Journal.open(directory, clock=RealClock()).append("n", surface="fx", mode="paper", fields={"n": 0})'
        start(script)
        seen: list[Entry] = []
        follow(tail, 0, seen)

    assert [entry.kind for entry in seen] == ["segment_start", "n"]


def test_a_log_moved_into_place_is_noticed(directory: Path, clock: FakeClock, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "fx" / "signals"
    with Journal.open(elsewhere, clock=clock) as journal:
        write(journal, 3)
    with Tail(directory) as tail:
        assert not tail.wait(0)
        (tmp_path / "elsewhere" / "fx").rename(tmp_path / "fx")
        assert tail.wait(30)

        assert [entry.seq for entry in tail.poll()] == [1, 2, 3, 4]


def test_following_goes_on_where_it_was_left(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, segment_bytes=1500) as journal:
        write(journal, 30)
    entries = list(read(directory))
    for entry in entries:
        with Tail(directory, after=entry.position) as tail:
            assert [later.raw for later in tail.poll()] == [later.raw for later in entries[entry.seq :]]


def test_a_poll_is_bounded_and_the_next_ones_bring_the_rest(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        for number in range(40):
            journal.append("n", surface="fx", mode="paper", fields={"n": number, "pad": "x" * 30_000})
    with Tail(directory) as tail:
        sizes, total = [], 0
        while entries := tail.poll():
            sizes.append(sum(len(entry.raw) + 1 for entry in entries))
            total += len(entries)

    assert (total, max(sizes) <= 512 * 1024, len(sizes) >= 3) == (41, True, True)


def test_following_survives_a_crash_and_recovery_of_the_writer(directory: Path, clock: FakeClock) -> None:
    with Tail(directory) as tail:
        seen: list[int] = []
        for number in range(5):
            with Journal.open(directory, clock=clock) as journal:
                write(journal, 1, number)
            with open(directory / "000001.jsonl", "ab") as file:
                file.write(b'{"ts":"torn')
            assert tail.wait(0)
            seen += [entry.seq for entry in tail.poll()]

    assert seen == list(range(1, len(seen) + 1))
    assert [entry.kind for entry in read(directory)].count("recovery") == 4


def test_a_log_replaced_by_another_one_is_told_from_its_continuation(
    directory: Path, clock: FakeClock, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "fx" / "signals"
    with Journal.open(directory, clock=clock) as journal:
        write(journal, 3)
    with Journal.open(other, clock=clock) as journal:
        write(journal, 6, first=100)
    with Tail(directory) as tail:
        tail.poll()
        directory.rename(tmp_path / "old")
        other.rename(directory)

        with pytest.raises(Halt, match="was changed or replaced"):
            tail.poll()


def test_a_place_beyond_the_head_gives_nothing_until_the_log_gets_there(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        write(journal, 1)
        early = (directory / "head.json").read_bytes()
        write(journal, 1, first=1)
        late = journal.position
    (directory / "head.json").write_bytes(early)  # as after a power cut, until the writer comes back

    with Tail(directory, after=late) as tail:
        assert (tail.poll(), tail.wait(0), list(read(directory, after=late))) == ([], False, [])
        with Journal.open(directory, clock=clock) as journal:
            write(journal, 1, first=2)
        assert [entry.record["n"] for entry in tail.poll()] == [2]


def test_a_deleted_and_recreated_head_file_is_watched_again(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        write(journal, 1)
    with Tail(directory, after=head(directory) or Position.start()) as tail:
        (directory / "head.json").unlink()
        tail.drain()
        with Journal.open(directory, clock=clock) as journal:
            write(journal, 1, first=1)
            assert tail.wait(30)
            tail.poll()
            tail.drain()
            write(journal, 1, first=2)
            assert is_readable(tail)


def test_the_head_read_beside_a_busy_writer_only_ever_grows(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal:
        thread = threading.Thread(target=write, args=(journal, 3000))
        thread.start()
        seqs = [1]
        while thread.is_alive():
            at = head(directory)
            assert at is not None
            seqs.append(at.seq)
        thread.join()

    assert seqs == sorted(seqs)
    assert head(directory) == journal.position


def test_a_tail_that_only_polls_takes_none_of_the_few_inotify_instances(tmp_path: Path) -> None:
    before = inotify_instances()
    tails = [Tail(tmp_path / str(number), None) for number in range(5)]
    for tail in tails:
        tail.poll()
    polled = inotify_instances()
    tails[0].wait(0)
    waited = inotify_instances()
    for tail in tails:
        tail.close()

    assert (polled - before, waited - before) == (0, 1)


def inotify_instances() -> int:
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            count += "inotify" in os.readlink(f"/proc/self/fd/{name}")
    return count


def test_waiting_for_a_log_to_come_to_be_is_quiet_whatever_happens_beside_it(directory: Path, clock: FakeClock) -> None:
    with Tail(directory) as tail:
        tail.fileno()
        (directory.parent / "neighbour").mkdir(parents=True)
        assert is_readable(tail)

        tail.drain()
        tail.drain()  # takes what ending the first watch has announced

        assert not is_readable(tail)
        with Journal.open(directory, clock=clock, durable=False):
            assert is_readable(tail)
