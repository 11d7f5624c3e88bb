"""The segment file being written: appends that happen wholly or not at all."""

import contextlib
import os
from pathlib import Path

from domain.errors import Halt, Retry
from journal import failpoints
from journal.layout import segment_path
from journal.syscalls import NO_FILE, NO_ROOM, Syscalls, sync_directory, write_all

_REOPEN = "stop this process; the next start checks the log and goes on from what is whole"


class Segment:
    """One segment opened for appending by the only writer.

    Attributes:
        number: the segment's number, from 1.
        size: bytes in the file, all of them written by us.
    """

    def __init__(self, directory: Path, number: int, calls: Syscalls) -> None:
        self.number = number
        self._calls = calls
        self._path = segment_path(directory, number)
        self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            self.size = os.fstat(self._fd).st_size
            calls.fsync(self._fd)
            sync_directory(directory, calls)
        except BaseException:
            self.close()  # nobody will have this object: each further attempt would cost a descriptor
            raise

    @classmethod
    def resume(cls, directory: Path, number: int, calls: Syscalls) -> "Segment":
        """Open a segment, creating it if need be, and make its name and content durable.

        Raises:
            Retry: there is no room for a new file.
            Halt: the disk failed.
        """
        try:
            return cls(directory, number, calls)
        except OSError as error:
            raise _open_failed(directory, number, error) from error

    @classmethod
    def create(cls, directory: Path, number: int, calls: Syscalls) -> "Segment":
        """Open the next segment as `resume` does; one left empty by a crash is used again.

        Raises:
            Halt: also when the file holds something already.
        """
        try:
            if failpoints.armed:
                failpoints.reach("mid_rotate")
        except OSError as error:
            raise _open_failed(directory, number, error) from error
        segment = cls.resume(directory, number, calls)
        if segment.size:
            segment.close()
            raise Halt(f"segment {number} of {directory} to be new", f"{segment.size} bytes in it", _REOPEN)
        return segment

    def append(self, data: bytes) -> None:
        """Write ``data`` at the end and make it durable.

        Raises:
            Retry: no room; the file is as it was before.
            Halt: the outcome is uncertain, or somebody else wrote into the file.
        """
        self._require_untouched()
        try:
            if failpoints.armed:
                self._write_watched(data)
            else:
                write_all(self._calls, self._fd, data)
        except OSError as error:
            self._roll_back(error)
        self._sync()
        self.size += len(data)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _require_untouched(self) -> None:
        size = os.lseek(self._fd, 0, os.SEEK_END)  # half the price of fstat, and O_APPEND cares for no place
        if size != self.size:
            raise Halt(f"{self._path} to be {self.size} bytes long", f"{size}: another program wrote to it", _REOPEN)

    def _write_watched(self, data: bytes) -> None:
        with contextlib.suppress(InterruptedError):  # as of the call itself: it is made again
            failpoints.reach("before_write")
        write_all(self._calls, self._fd, data)
        with contextlib.suppress(InterruptedError):
            failpoints.reach("after_write")

    def _roll_back(self, error: OSError) -> None:
        try:
            self._calls.ftruncate(self._fd, self.size)
        except OSError as second:
            raise Halt(f"to undo a failed write to {self._path}", str(second), _REOPEN) from error
        if error.errno not in NO_ROOM:
            raise Halt(f"to write to {self._path}", str(error), _REOPEN) from error
        raise Retry(f"room to append to {self._path}", str(error), "free disk space; nothing was written") from error

    def _sync(self) -> None:
        try:
            if failpoints.armed:
                failpoints.reach("before_fsync")
            self._calls.fdatasync(self._fd)
            if failpoints.armed:
                failpoints.reach("after_fsync")
        except OSError as error:
            # Never tried again, not even after EINTR: the kernel may have dropped the pages or taken note of the error,
            # and a second call would report success.
            raise Halt(f"{self._path} to reach the disk", f"fdatasync failed: {error}", _REOPEN) from error


def _open_failed(directory: Path, number: int, error: OSError) -> Retry | Halt:
    expected = f"to open segment {number} in {directory}"
    if error.errno in NO_FILE:
        return Retry(expected, str(error), "free disk space or file descriptors; nothing was written")
    return Halt(expected, str(error), _REOPEN)
