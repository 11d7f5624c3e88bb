"""The room kept beside a log, so that it can say why it takes no more records."""

import errno
import os
from pathlib import Path

import pytest

from domain.clock import FakeClock
from domain.errors import Retry
from journal import Journal, Syscalls, read, verify
from journal.reserve import RESERVE_BYTES

MODE = {"surface": "fx", "mode": "paper"}


class SmallDisk(Syscalls):
    """Real calls on a disk that is full while ``is_full``, but for what giving up the reserve sets free."""

    def __init__(self, directory: Path, code: int = errno.ENOSPC) -> None:
        self.reserve, self.code, self.is_full, self.refused = directory / ".reserve", code, False, 0

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self.is_full and self.reserve.exists():
            self.refused += 1
            raise OSError(self.code, os.strerror(self.code))
        return super().write(fd, data)


class FullForGood(SmallDisk):
    """A disk whose freed room somebody else takes at once."""

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self.is_full:
            self.refused += 1
            Syscalls.write(self, fd, data[: len(data) // 2])
            raise OSError(self.code, os.strerror(self.code))
        return super().write(fd, data)


def kinds(directory: Path) -> list[str]:
    return [entry.kind for entry in read(directory)]


def test_an_open_log_has_its_reserve_and_a_closed_one_keeps_it(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock):
        status = (directory / ".reserve").stat()

    assert (status.st_size, status.st_blocks * 512 >= RESERVE_BYTES) == (RESERVE_BYTES, True)
    assert (directory / ".reserve").exists()


@pytest.mark.proves("row 5")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_refuses_the_record_and_the_log_says_so_once(directory: Path, clock: FakeClock, code: int) -> None:
    calls = SmallDisk(directory, code)
    with Journal.open(directory, clock=clock, syscalls=calls) as journal:
        journal.append("n", **MODE, fields={"n": 1})
        calls.is_full = True
        with pytest.raises(Retry, match="nothing was written"):
            journal.append("n", **MODE, fields={"n": 2})

        assert calls.refused == 1
        assert not (directory / ".reserve").exists()
        last = list(read(directory))[-1]
        assert (last.kind, last.record["mode"], last.record["refused_records"]) == ("disk_full", "journal", 1)
        assert os.strerror(code) in last.record["reason"]
    assert kinds(directory) == ["segment_start", "n", "disk_full"]
    assert verify(directory).problems == []


def test_the_reserve_is_made_again_once_there_is_room_and_time(directory: Path, clock: FakeClock) -> None:
    calls = SmallDisk(directory)
    with Journal.open(directory, clock=clock, syscalls=calls) as journal:
        calls.is_full = True
        with pytest.raises(Retry):
            journal.append("n", **MODE, fields={})
        calls.is_full = False
        journal.append("n", **MODE, fields={})
        assert not (directory / ".reserve").exists()
        clock.advance(6)
        journal.append("n", **MODE, fields={})

        assert (directory / ".reserve").stat().st_size == RESERVE_BYTES


def test_a_disk_that_stays_full_refuses_and_writes_nothing(directory: Path, clock: FakeClock) -> None:
    calls = FullForGood(directory)
    with Journal.open(directory, clock=clock, syscalls=calls) as journal:
        calls.is_full = True
        for _ in range(3):
            with pytest.raises(Retry, match="nothing was written"):
                journal.append("n", **MODE, fields={})
        calls.is_full = False
        journal.append("n", **MODE, fields={})

    assert calls.refused == 4  # three records, and the one that would have said why
    assert kinds(directory) == ["segment_start", "n"]
    assert verify(directory).problems == []


def test_a_limit_on_the_file_is_not_the_disks_and_leaves_the_reserve(directory: Path, clock: FakeClock) -> None:
    calls = SmallDisk(directory, errno.EFBIG)
    with Journal.open(directory, clock=clock, syscalls=calls) as journal:
        calls.is_full = True
        with pytest.raises(Retry):
            journal.append("n", **MODE, fields={})

        assert (calls.refused, (directory / ".reserve").exists()) == (1, True)
        calls.is_full = False


def test_a_disk_without_room_for_a_reserve_still_has_a_log(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock, reserve_bytes=2**60) as journal:
        journal.append("n", **MODE, fields={})

    assert not (directory / ".reserve").exists()
    assert verify(directory).ok
