"""What the writer does when a system call fails; tests/faults/journal makes each of them fail in turn."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from domain.clock import FakeClock
from domain.errors import Halt, Retry
from journal import Journal, Syscalls, read, verify

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


def append_all(journal: Journal, count: int) -> None:
    for number in range(count):
        journal.append("n", surface="fx", mode="paper", fields={"n": number})


def numbers(directory: Path) -> list[int]:
    return [entry.record["n"] for entry in read(directory) if entry.kind == "n"]


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


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace to make the kernel say EIO")
def test_a_real_eio_from_fdatasync_halts_the_journal(directory: Path, start) -> None:
    trace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=5"]
    process = start(BAD_DISK, *trace)
    answer = process.communicate()[0].decode().splitlines()

    assert process.returncode == 0
    assert (answer[0].split()[0], "fdatasync failed" in answer[0], answer[1]) == ("3", True, "still halted")
    assert [json.loads(entry.raw)["n"] for entry in read(directory) if entry.kind == "n"] == [0, 1, 2]
