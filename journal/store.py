"""The log's files under one writer: segments that rotate, and the commit mark that follows them.

Nothing here is thread-safe; the caller holds the commit lock.
"""

import os
from pathlib import Path

import msgspec

from domain.clock import Clock
from domain.errors import Halt
from journal.chain import Tip
from journal.layout import MARK, segment_name
from journal.mark import write_mark
from journal.model import Position, Receipt
from journal.record import LOG_MODE, RECOVERY, SEGMENT_END, SEGMENT_START, Prepared, prepare
from journal.recovery import recover
from journal.segment import Segment
from journal.stamp import Stamper
from journal.syscalls import Syscalls

_REOPEN = "stop this process; the next start checks the log and goes on from what is whole"


class Store:
    """Where committed records go. `begin` before anything else."""

    def __init__(self, directory: Path, log: str, clock: Clock, calls: Syscalls, segment_bytes: int) -> None:
        self._directory, self._log, self._clock, self._calls = directory, log, clock, calls
        self._segment_bytes = segment_bytes
        self._stamper = Stamper(clock, log)
        self._tip = Tip.start()
        self._segment: Segment | None = None
        self._mark_fd = -1

    @property
    def position(self) -> Position:
        """The place just after the last committed record."""
        return self._tip.position

    def begin(self) -> None:
        """Recover, publish what recovery accepted, and note what it moved away.

        Raises:
            Halt: committed records are damaged, or the disk fails.
            Retry: there is no room to begin.
        """
        recovered = recover(self._directory, self._log, self._clock, self._calls)
        self._tip = recovered.tip
        # Opening syncs the file: whole records beyond the mark may so far be only in memory.
        self._segment = Segment.resume(self._directory, recovered.segment, self._calls)
        self._mark_fd = os.open(self._directory / MARK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if self._tip.position.seq:
            self._publish()
        self._ready(0)
        for torn in recovered.torn:
            self.persist([self._own(RECOVERY, msgspec.to_builtins(torn))], [1])
            torn.settle(self._directory)

    def persist(self, records: list[Prepared], batches: list[int]) -> list[Receipt]:
        """Write records as one append, sync it and move the mark.

        Args:
            batches: how many of the records belong together, in order.

        Raises:
            Retry: nothing was written.
            Halt: the outcome is uncertain; nothing more may be written.
        """
        self._ready(sum([len(record.body) for record in records]))
        return self._write(records, batches)

    def close(self) -> None:
        """Close the files."""
        if self._segment is not None:
            self._segment.close()
        if self._mark_fd >= 0:
            os.close(self._mark_fd)
            self._mark_fd = -1

    def _write(self, records: list[Prepared], batches: list[int]) -> list[Receipt]:
        assert self._segment is not None
        at = Position(self._segment.number, self._segment.size, 0, "")
        tip, data, receipts = self._stamper.stamp(self._tip, at, records, batches)
        self._segment.append(data)
        self._tip = tip
        self._publish()
        return receipts

    def _publish(self) -> None:
        try:
            write_mark(self._mark_fd, self._tip.position, self._tip.ts, self._calls)
        except OSError as error:
            raise Halt(f"to publish the commit mark of {self._log}", str(error), _REOPEN) from error

    # Every state a crash or a full disk can leave behind is a state this can go on from: an ended segment without a
    # successor, a successor without its first record.
    def _ready(self, size: int) -> None:
        """Make sure the current segment has a first record, no last one, and room for ``size`` more bytes."""
        assert self._segment is not None
        if self._is_full(size):
            following = segment_name(self._segment.number + 1)
            self._write([self._own(SEGMENT_END, {"next": following})], [1])
        if self._tip.ended and self._segment.number == self._tip.position.segment:
            finished = self._segment
            self._segment = Segment.create(self._directory, finished.number + 1, self._calls)
            finished.close()
        if self._segment.size == 0:
            self._write([self._own(SEGMENT_START, {"segment": self._segment.number})], [1])

    def _is_full(self, size: int) -> bool:
        assert self._segment is not None
        is_begun = self._segment.size > 0 and self._tip.kind not in (SEGMENT_START, SEGMENT_END)
        return is_begun and self._segment.size + size > self._segment_bytes

    def _own(self, kind: str, fields: dict[str, object]) -> Prepared:
        surface = self._log.split("/")[0]
        return prepare(self._log, kind, surface, LOG_MODE, None, fields)
