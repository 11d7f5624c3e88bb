"""The writer of checkpoints: what is due is noted under the commit lock, and written outside it."""

import errno
import os
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from domain.clock import Clock, iso
from domain.errors import Halt, Retry
from journal import failpoints
from journal.checkpoints import unsigned_line
from journal.layout import CHECKPOINTS
from journal.merkle import Tree
from journal.model import Position
from journal.syscalls import NO_FILE, NO_ROOM, Syscalls, sync_directory, write_all

if TYPE_CHECKING:
    from journal.keys import Signer

RECORDS = 1000
PERIOD_S = 60.0
_REOPEN = "stop this process; the next start checks the log and goes on from what is whole"


class _Due(msgspec.Struct, frozen=True):
    """A checkpoint that is to be written: the committed place, its record's time, and the hashes since the last one."""

    at: Position
    ts: str
    hashes: list[str]


class Checkpointer:
    """Appends to `checkpoints.jsonl`. `note` under the commit lock, `write` in one thread at a time outside it.

    Attributes:
        records: so many records make a checkpoint due.
        hashes: ``h`` of every record committed since the last `note`; the writer adds to it.
        news: set when there is something to `write`.
    """

    def __init__(
        self, directory: Path, log: str, clock: Clock, calls: Syscalls, signer: "Signer | None", records: int
    ) -> None:
        self._directory, self._log, self._clock, self._calls = directory, log, clock, calls
        self.signer, self.records = signer, records
        self._tree = Tree()
        self._due: deque[_Due] = deque()
        self._fd = -1
        self._size = 0
        self.hashes: list[str] = []
        self.news = threading.Event()

    def begin(self, tree: Tree, hashes: list[str]) -> None:
        """Open the file, and go on from what was recovered.

        Raises:
            Retry: there is no room for a new file.
            Halt: the disk failed.
        """
        self._tree, self.hashes = tree, hashes
        try:
            self._open()
        except OSError as error:
            if error.errno in NO_FILE:
                todo = "free disk space or file descriptors; nothing was written"
                raise Retry(f"to open {self._directory / CHECKPOINTS}", str(error), todo) from error
            raise self._failed("to open", str(error)) from error

    def _open(self) -> None:
        path = self._directory / CHECKPOINTS
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._fd).st_size
        if self._size == 0:
            sync_directory(self._directory, self._calls)

    def note(self, at: Position, ts: str) -> None:
        """Take down that a checkpoint at the committed place ``at`` is due; nothing if there is no news."""
        if self.hashes:
            self._due.append(_Due(at, ts, self.hashes))
            self.hashes = []
            self.news.set()

    def write(self) -> None:
        """Write what is due, each line durable before the next. A disk without room makes checkpoints late, no more.

        Raises:
            Halt: the disk failed.
        """
        while self._due:
            due = self._due[0]
            self._tree.extend(due.hashes)
            self._due.popleft()
            self._append(self._line(due))

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _line(self, due: _Due) -> bytes:
        # A key is bound to a time range by the ts of what it signed, so the clock may not step back here either.
        line = unsigned_line(self._log, due.at, max(iso(self._clock.now()), due.ts), self._tree)
        if self.signer is None:
            return line + b"\n"
        signed = line[:-1]
        return b'%b,"sig":"%b"}\n' % (signed, self.signer.sign_checkpoint(signed))

    def _append(self, line: bytes) -> None:
        try:
            if failpoints.armed:
                half = len(line) // 2
                write_all(self._calls, self._fd, line[:half])
                failpoints.reach("mid_checkpoint")
                write_all(self._calls, self._fd, line[half:])
            else:
                write_all(self._calls, self._fd, line)
        except OSError as error:
            self._roll_back(error)
            return
        try:
            self._calls.fdatasync(self._fd)
        except OSError as error:
            # Never tried again: the kernel may have dropped the pages, and a second call would report success.
            raise self._failed("to reach the disk", f"fdatasync failed: {error}") from error
        self._size += len(line)

    def _roll_back(self, error: OSError) -> None:
        try:
            self._calls.ftruncate(self._fd, self._size)
        except OSError as second:
            raise self._failed("to be rolled back", str(second)) from error
        if error.errno not in NO_ROOM and error.errno != errno.EINTR:
            raise self._failed("to take a line", str(error)) from error

    def _failed(self, expected: str, found: str) -> Halt:
        return Halt(f"{self._directory / CHECKPOINTS} {expected}", found, _REOPEN)
