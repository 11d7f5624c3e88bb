"""The log's files under one writer: segments that rotate, and the commit mark that follows them.

Nothing here is thread-safe; the caller holds the commit lock.
"""

import contextlib
import os
from pathlib import Path

import msgspec

from domain.clock import Clock
from domain.errors import Halt, Retry
from journal.chain import Tip
from journal.checkpointer import Checkpointer
from journal.layout import MARK, segment_name
from journal.mark import encode_mark, write_mark
from journal.model import Position, Receipt
from journal.record import DISK_FULL, LOG_MODE, RECOVERY, SEGMENT_END, SEGMENT_START, Prepared, prepare
from journal.recovery import recover
from journal.reserve import Reserve
from journal.segment import Segment
from journal.stamp import Stamper
from journal.syscalls import Syscalls

_REOPEN = "stop this process; the next start checks the log and goes on from what is whole"


class Store:
    """Where committed records go. `begin` before anything else."""

    def __init__(
        self,
        directory: Path,
        log: str,
        clock: Clock,
        calls: Syscalls,
        *,
        segment_bytes: int,
        stamper: Stamper,
        checkpointer: Checkpointer,
        reserve: Reserve,
    ) -> None:
        self._directory, self._log, self._clock, self._calls = directory, log, clock, calls
        self._segment_bytes, self._stamper = segment_bytes, stamper
        self._checkpointer, self._reserve = checkpointer, reserve
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
        recovered = recover(self._directory, self._log, self._clock, self._calls, self._checkpointer.signer)
        self._tip = recovered.tip
        # Opening syncs the file: whole records beyond the mark may so far be only in memory.
        self._segment = Segment.resume(self._directory, recovered.segment, self._calls)
        self._checkpointer.begin(recovered.tree, recovered.hashes)
        self._mark_fd = os.open(self._directory / MARK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if self._tip.position.seq:
            self._publish(encode_mark(self._tip.position, self._tip.ts))
        self._ready(0)
        for torn in recovered.torn:
            self.persist([self._own(RECOVERY, msgspec.to_builtins(torn))], [1])
            torn.settle(self._directory)
        self._reserve.make()

    def persist(self, records: list[Prepared], batches: list[int]) -> list[Receipt]:
        """Write records as one append, sync it and move the mark.

        Args:
            batches: how many of the records belong together, in order.

        Raises:
            Retry: nothing was written.
            Halt: the outcome is uncertain; nothing more may be written.
        """
        size = sum([len(record.body) for record in records])
        try:
            self._ready(size)
            receipts = self._write(records, batches)
        except Retry as refused:
            self._refused(refused, len(records), size)
            raise
        if self._reserve.is_missing:
            self._reserve.make()
        return receipts

    def persist_one(self, record: Prepared) -> Receipt:
        """Do as `persist` for a single record, with half of its overhead."""
        segment, tip, size = self._segment, self._tip, len(record.body)
        assert segment is not None
        try:
            if segment.size == 0 or segment.size + size > self._segment_bytes or tip.kind == SEGMENT_END:
                segment = self._ready(size)
                tip = self._tip
            tip, receipt = self._stamper.stamp_one(tip, segment.number, segment.size, record)
            # Before the sync: what a processor does after a long wait takes several times as long.
            mark = encode_mark(receipt.position, tip.ts)
            segment.append(receipt.raw + b"\n")
        except Retry as refused:
            self._refused(refused, 1, size)
            raise
        self._tip = tip
        self._publish(mark)
        hashes = self._checkpointer.hashes
        hashes.append(receipt.h)
        if len(hashes) >= self._checkpointer.records:
            self.note_checkpoint()
        if self._reserve.is_missing:
            self._reserve.make()
        return receipt

    def note_checkpoint(self) -> None:
        """Take down that a checkpoint of what is committed is due."""
        self._checkpointer.note(self._tip.position, self._tip.ts)

    def close(self) -> None:
        """Close the files."""
        self._checkpointer.close()
        if self._segment is not None:
            self._segment.close()
        if self._mark_fd >= 0:
            os.close(self._mark_fd)
            self._mark_fd = -1

    def _write(self, records: list[Prepared], batches: list[int]) -> list[Receipt]:
        assert self._segment is not None
        segment = self._segment
        tip, data, receipts = self._stamper.stamp(self._tip, segment.number, segment.size, records, batches)
        mark = encode_mark(tip.position, tip.ts)
        segment.append(data)
        self._tip = tip
        self._publish(mark)
        hashes = self._checkpointer.hashes
        hashes += [receipt.h for receipt in receipts]
        if len(hashes) >= self._checkpointer.records:
            self.note_checkpoint()
        return receipts

    def _refused(self, refused: Retry, records: int, size: int) -> None:
        """Use the room of the reserve, if the disk is full, to write why the log takes no more records."""
        if not self._reserve.free(refused):
            return
        fields = {"reason": refused.found, "refused_records": records, "refused_bytes": size}
        with contextlib.suppress(Retry):  # another program was quicker, or the limit is not the disk's
            self._ready(0)
            self._write([self._own(DISK_FULL, fields)], [1])

    def _publish(self, mark: bytes) -> None:
        try:
            write_mark(self._mark_fd, mark, self._calls)
        except OSError as error:
            raise Halt(f"to publish the commit mark of {self._log}", str(error), _REOPEN) from error

    # Every state a crash or a full disk can leave behind is a state this can go on from: an ended segment without a
    # successor, a successor without its first record.
    def _ready(self, size: int) -> Segment:
        """Return a current segment that has a first record, no last one, and room for ``size`` more bytes."""
        assert self._segment is not None
        if self._is_full(size):
            following = segment_name(self._segment.number + 1)
            self._write([self._own(SEGMENT_END, {"next": following})], [1])
        if self._tip.ended and self._segment.number == self._tip.position.segment:
            self.note_checkpoint()
            finished = self._segment
            self._segment = Segment.create(self._directory, finished.number + 1, self._calls)
            finished.close()
        if self._segment.size == 0:
            self._write([self._own(SEGMENT_START, {"segment": self._segment.number})], [1])
        return self._segment

    def _is_full(self, size: int) -> bool:
        assert self._segment is not None
        is_begun = self._segment.size > 0 and self._tip.kind not in (SEGMENT_START, SEGMENT_END)
        return is_begun and self._segment.size + size > self._segment_bytes

    def _own(self, kind: str, fields: dict[str, object]) -> Prepared:
        surface = self._log.split("/")[0]
        return prepare(self._log, kind, surface, LOG_MODE, None, fields)
