"""Every system call of an append failing once: full disks, broken disks, and death in between."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from domain.clock import FakeClock
from domain.errors import Halt, Retry
from journal import Journal, NewRecord, Syscalls, read, verify

FULL_DISK = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
journal = Journal.open(directory, clock=RealClock())
accepted = refused = 0
for number in range(200):
    try:
        journal.append("n", surface="fx", mode="paper", fields={"n": number, "pad": "x" * (number * 37 % 900)})
        accepted += 1
    except Retry:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append("room again", surface="fx", mode="paper", fields={})
print(accepted, refused)
"""
BAD_DISK = """
journal = Journal.open(directory, clock=RealClock())
for number in range(100):
    try:
        journal.append("n", surface="fx", mode="paper", fields={"n": number})
    except Halt as error:
        print(number, error)
        break
try:
    journal.append("n", surface="fx", mode="paper", fields={"n": -1})
except Halt:
    print("still halted")
"""


class Died(BaseException):
    """Stands for SIGKILL: nothing of ours may catch it and go on."""


class Faulty(Syscalls):
    """Real calls, of which the ``nth`` (from 1) of one name goes wrong; the error may keep half of a write.

    Calls for checkpoints are left alone: another thread makes them, test_checkpoints.py is about them.
    """

    def __init__(self, name: str, nth: int, error: BaseException, *, half: bool = False, after: bool = False) -> None:
        self.name, self.nth, self.error, self.half, self.after = name, nth, error, half, after
        self.fired = False

    def _due(self, name: str, fd: int) -> bool:
        if name != self.name or self.fired or os.readlink(f"/proc/self/fd/{fd}").endswith("checkpoints.jsonl"):
            return False
        self.nth -= 1
        self.fired = self.nth == 0
        return self.fired

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self._due("write", fd):
            if self.half or self.after:
                super().write(fd, data if self.after else data[: len(data) // 2])
            raise self.error
        return super().write(fd, data)

    def fdatasync(self, fd: int) -> None:
        if self._due("fdatasync", fd):
            raise self.error

    def fsync(self, fd: int) -> None:
        if self._due("fsync", fd):
            raise self.error

    def ftruncate(self, fd: int, size: int) -> None:
        if self._due("ftruncate", fd):
            raise self.error
        super().ftruncate(fd, size)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        if self._due("pwrite", fd):
            if self.half:
                super().pwrite(fd, data[: len(data) // 2], offset)
            raise self.error
        return super().pwrite(fd, data, offset)


def work(directory: Path, clock: FakeClock, calls: Syscalls) -> tuple[list[int], BaseException | None]:
    """Append, rotate and batch until something goes wrong; return what was acknowledged."""
    acknowledged: list[int] = []
    try:
        with Journal.open(directory, clock=clock, segment_bytes=1200, syscalls=calls, lock_wait_s=0) as journal:
            for number in range(0, 24, 3):
                journal.append("n", surface="fx", mode="paper", fields={"n": number})
                acknowledged.append(number)
                pair = [NewRecord(kind="n", surface="fx", mode="paper", fields={"n": number + k}) for k in (1, 2)]
                journal.append_many(pair)
                acknowledged += [number + 1, number + 2]
    except (Died, Halt, Retry) as error:
        return acknowledged, error
    return acknowledged, None


def append_all(journal: Journal, count: int) -> None:
    for number in range(count):
        journal.append("n", surface="fx", mode="paper", fields={"n": number})


def numbers(directory: Path) -> list[int]:
    return [entry.record["n"] for entry in read(directory) if entry.kind == "n"]


@pytest.mark.parametrize(
    ("name", "half", "after"),
    [
        ("write", False, False), ("write", True, False), ("write", False, True), ("fdatasync", False, False),
        ("fsync", False, False), ("pwrite", False, False), ("pwrite", True, False),
    ],
)  # fmt: skip
def test_death_at_any_system_call_loses_nothing_acknowledged(
    directory: Path, clock: FakeClock, name: str, half: bool, after: bool
) -> None:
    deaths = 0
    for nth in range(1, 200):
        calls = Faulty(name, nth, Died(), half=half, after=after)
        acknowledged, error = work(directory, clock, calls)
        if not calls.fired:
            break
        deaths += 1
        with Journal.open(directory, clock=clock, segment_bytes=1200, lock_wait_s=0, durable=False):
            found = numbers(directory)

        assert isinstance(error, Died)
        assert found[: len(acknowledged)] == acknowledged
        assert found == list(range(len(found)))
        assert len(found) % 3 != 2 or found == acknowledged, "a batch is there wholly or not at all"
        assert verify(directory).problems == []
        shutil.rmtree(directory)
    assert deaths >= (4 if name == "fsync" else 20), "the fault has to fire to prove anything"


@pytest.mark.parametrize("half", [False, True])
def test_a_full_disk_at_any_write_refuses_that_append_and_no_other(
    directory: Path, clock: FakeClock, half: bool
) -> None:
    for nth in range(2, 30):
        calls = Faulty("write", nth, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), half=half)
        refused, written = 0, []
        with Journal.open(directory, clock=clock, segment_bytes=1200, syscalls=calls) as journal:
            for number in range(20):
                try:
                    journal.append("n", surface="fx", mode="paper", fields={"n": number})
                    written.append(number)
                except Retry as error:
                    refused += error.todo == "free disk space; nothing was written"

        assert (refused, numbers(directory), verify(directory).problems) == (calls.fired, written, [])
        shutil.rmtree(directory)
        if not calls.fired:
            break
    assert nth > 20


@pytest.mark.parametrize("name", ["fdatasync", "fsync", "pwrite"])
def test_a_failed_sync_or_mark_halts_the_journal_for_good(directory: Path, clock: FakeClock, name: str) -> None:
    calls = Faulty(name, 5, OSError(errno.EIO, os.strerror(errno.EIO)))
    with Journal.open(directory, clock=clock, segment_bytes=900, syscalls=calls) as journal:
        with pytest.raises(Halt, match="Input/output error") as caught:
            append_all(journal, 20)
        for _ in range(3):
            with pytest.raises(Halt) as again:
                journal.append("n", surface="fx", mode="paper", fields={"n": -1})
            assert again.value is caught.value
        with pytest.raises(Halt):
            journal.submit("n", surface="fx", mode="paper", fields={"n": -1})

    with Journal.open(directory, clock=clock):
        assert -1 not in numbers(directory)
    assert verify(directory).ok


def test_a_rollback_that_fails_halts_the_journal(directory: Path, clock: FakeClock) -> None:
    class Hopeless(Faulty):
        def ftruncate(self, fd: int, size: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    calls = Hopeless("write", 2, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), half=True)
    with Journal.open(directory, clock=clock, syscalls=calls) as journal:
        with pytest.raises(Halt, match="to undo a failed write"):
            journal.append("n", surface="fx", mode="paper", fields={"n": 0})
        with pytest.raises(Halt):
            journal.append("n", surface="fx", mode="paper", fields={"n": 1})


def test_bytes_written_by_somebody_else_halt_the_journal(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        journal.append("n", surface="fx", mode="paper", fields={"n": 0})
        with open(directory / "000001.jsonl", "ab") as file:
            file.write(b"hello\n")
        with pytest.raises(Halt, match="another program wrote to it"):
            journal.append("n", surface="fx", mode="paper", fields={"n": 1})


def test_a_signal_handlers_exception_inside_a_commit_halts_the_journal(directory: Path, clock: FakeClock) -> None:
    calls = Faulty("fdatasync", 2, KeyboardInterrupt())
    with Journal.open(directory, clock=clock, syscalls=calls) as journal:
        with pytest.raises(KeyboardInterrupt):
            journal.append("n", surface="fx", mode="paper", fields={"n": 0})
        with pytest.raises(Halt, match="KeyboardInterrupt"):
            journal.append("n", surface="fx", mode="paper", fields={"n": 1})


def test_a_file_size_limit_refuses_and_rolls_back_and_leaves_the_journal_usable(directory: Path, start) -> None:
    accepted, refused = map(int, start(FULL_DISK).communicate()[0].split())

    assert (accepted + refused, accepted > 10, refused > 10) == (200, True, True)
    assert verify(directory).problems == []
    assert [entry.kind for entry in read(directory)] == ["segment_start", *["n"] * accepted, "room again"]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace to make the kernel say EIO")
def test_a_real_eio_from_fdatasync_halts_the_journal(directory: Path, start) -> None:
    trace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=5"]
    process = start(BAD_DISK, *trace)
    answer = process.communicate()[0].decode().splitlines()

    assert process.returncode == 0
    assert (answer[0].split()[0], "fdatasync failed" in answer[0], answer[1]) == ("3", True, "still halted")
    assert [json.loads(entry.raw)["n"] for entry in read(directory) if entry.kind == "n"] == [0, 1, 2]
