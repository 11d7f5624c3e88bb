"""A megabyte kept free beside each log, given up when the disk is full so that the log can say why it stops.

One file a log, because a log may lie on a disk of its own and is written by a process of its own.
"""

import contextlib
import errno
import os
from pathlib import Path

from domain.clock import Clock
from domain.errors import Retry
from journal.layout import RESERVE

RESERVE_BYTES = 2**20
# The last room on a disk belongs to records: with less than this left no reserve is made.
_SPARE = 4
_AGAIN_NS = 5 * 10**9
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Reserve:
    """The reserve of one log; only its writer touches it.

    Attributes:
        is_missing: whether there is none now, though there should be.
    """

    def __init__(self, directory: Path, clock: Clock, size: int) -> None:
        self._path, self._clock, self._size = directory / RESERVE, clock, size
        self._next_ns = 0
        self.is_missing = size > 0

    def make(self) -> None:
        """Set the room aside if it is there, at most once in five seconds. It may fail: a reserve is a courtesy."""
        if self._clock.monotonic_ns() < self._next_ns:
            return
        self._next_ns = self._clock.monotonic_ns() + _AGAIN_NS
        try:
            self._allocate()
        except OSError:
            self._remove()

    def free(self, refused: Retry) -> bool:
        """Give the room up if ``refused`` says that the disk is full; tell whether there was any."""
        error = refused.__cause__
        if self.is_missing or self._size == 0 or not isinstance(error, OSError) or error.errno not in _FULL:
            return False
        self._remove()
        self.is_missing = True
        self._next_ns = self._clock.monotonic_ns() + _AGAIN_NS
        return True

    def _remove(self) -> None:
        with contextlib.suppress(OSError):  # what is refused here is refused to the records too, and said there
            self._path.unlink(missing_ok=True)

    def _allocate(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size < self._size:
                room = os.fstatvfs(fd)
                if room.f_bavail * room.f_frsize < _SPARE * self._size:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.posix_fallocate(fd, 0, self._size)
            self.is_missing = False
        finally:
            os.close(fd)
