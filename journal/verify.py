"""Checking a log from its first byte to its commit mark."""

from pathlib import Path
from typing import TYPE_CHECKING

from journal.chain import Tip, batch_bounds, blocks, faults, lines, parse_batch
from journal.findings import MAX_PROBLEMS, Problem, VerifyReport
from journal.layout import segment_path, segments
from journal.mark import read_mark
from journal.model import Position
from journal.record import BadLine, Envelope, Parsed, parse_line
from journal.seals import CheckpointSeals, Level, LineSeals, Signatures
from journal.sweep import sweep

if TYPE_CHECKING:
    from journal.keys import Keyring


def verify(
    directory: Path,
    *,
    log: str | None = None,
    keyring: "Keyring | None" = None,
    signatures: Level = Level.ALL,
    until: Position | None = None,
) -> VerifyReport:
    """Check every link, hash, seq, time, segment boundary, checkpoint and signature, and that each line is strict JSON.

    Goes on after a problem, so that one changed line is not reported as everything after it. Needs no lock; a log
    being written is checked up to its last commit.

    Args:
        log: the name the log must have; by default the one its first record gives.
        keyring: the public keys of the house. Without it signatures are counted, not checked.
        signatures: which of them to check; one costs as much as forty lines.
        until: where to stop, by default at the last commit.
    """
    return _Check(directory, log, keyring, signatures, until).run()


class _Check:
    def __init__(
        self, directory: Path, log: str | None, keyring: "Keyring | None", level: Level, until: Position | None
    ) -> None:
        self._directory = directory
        self._problems: list[Problem] = []
        self._tip = Tip.start()
        self._records = 0
        self._batch_last = 0
        self._is_lost = False  # after an unreadable line nothing is known about the next one's links
        self._log = log or _first_log(directory)
        self._signatures = Signatures(self._log, keyring, level)
        self._lines = LineSeals(self._signatures, self._problems)
        # In this order: in a log that is being written the mark is never behind a checkpoint read before it.
        self._checkpoints = CheckpointSeals(directory, self._log, self._signatures, self._problems)
        self._mark = read_mark(directory)
        self._numbers = segments(directory)
        self._until = until or self._committed_end()

    def run(self) -> VerifyReport:
        last = self._until.segment if self._until else max(self._numbers, default=0)
        for number in range(1, last + 1):
            if number not in self._numbers:
                self._report(number, 0, self._tip.position.seq + 1, f"segment {number} is missing")
                self._is_lost = True
            else:
                self._segment(number, is_last=number == last)
            if len(self._problems) >= MAX_PROBLEMS:
                break
        self._end()
        at = self._tip.position
        return VerifyReport(
            ok=not self._problems,
            records=self._records,
            segments=len(self._numbers),
            head_seq=at.seq,
            head_h=at.h,
            problems=self._problems,
            uncommitted_bytes=self._uncommitted(),
            checkpoints=self._checkpoints.compared,
            signatures=self._signatures.checked,
            unchecked_signatures=self._signatures.unchecked,
        )

    def _committed_end(self) -> Position | None:
        """Return how far the log is committed: a mark may be old after a power cut, a checkpoint is never ahead."""
        if self._mark is None:
            return None
        end = self._mark.position()
        last = self._checkpoints.last
        if last is None or (last.segment, last.offset) <= (end.segment, end.offset):
            return end
        is_there = last.segment in self._numbers and _size(self._directory, last.segment) >= last.offset
        return last.position if is_there else end

    def _segment(self, number: int, *, is_last: bool) -> None:
        stop = self._until.offset if self._until and is_last else None
        for offset, block in blocks(self._directory, number, stop=stop):
            if not self._quick(number, offset, block):
                self._one_by_one(number, offset, offset + len(block))
            if len(self._problems) >= MAX_PROBLEMS:
                self._report(number, offset, self._tip.position.seq, "too many problems; the rest was not checked")
                return
        if not self._tip.ended and not is_last:
            self._report(number, 0, self._tip.position.seq, "the segment has no segment_end")

    def _one_by_one(self, number: int, offset: int, stop: int) -> None:
        for at, line in lines(self._directory, number, offset, stop):
            self._line(number, at, line)
            if len(self._problems) >= MAX_PROBLEMS:
                return

    def _quick(self, number: int, offset: int, block: bytes) -> bool:
        """Take in a block of lines at once if all of them are good; tell whether they were."""
        records = None if self._is_lost or offset == 0 else sweep(block, self._tip, self._log)
        if records is None or not self._follow_batches(records):
            return False
        self._take(records, number, offset, block)
        last = records[-1]
        self._tip = Tip(Position(number, offset + len(block), last.seq, last.h), last.ts, last.kind)
        return True

    def _take(self, records: list[Envelope], number: int, offset: int, block: bytes) -> None:
        self._lines.take(records, number, offset, block)
        self._checkpoints.take(records, number, offset, block)
        self._records += len(records)

    def _line(self, number: int, offset: int, line: bytes) -> None:
        try:
            record = parse_line(line)
        except BadLine as error:
            self._lose(number, offset, str(error))
            return
        tip = self._resumed(record) if self._is_lost else self._tip
        for what in faults(tip, record, number, offset, self._log):
            self._report(number, offset, tip.position.seq + 1, what)
        self._follow_batch(number, offset, record)
        self._tip = tip.after(record, number, offset + len(line))
        self._is_lost = False
        self._take([record.envelope], number, offset, line)

    def _lose(self, number: int, offset: int, what: str) -> None:
        self._report(number, offset, self._tip.position.seq + 1, what)
        self._is_lost = True

    def _resumed(self, record: Parsed) -> Tip:
        """Take an unlinked record at its word, so that the check can go on behind it."""
        before = self._tip.position
        place = Position(before.segment, before.offset, record.seq - 1, record.prev)
        return Tip(place, self._tip.ts, self._tip.kind)

    def _follow_batches(self, records: list[Envelope]) -> bool:
        """Follow the batches of good records; tell whether all is well, and change nothing if not."""
        before = self._batch_last
        if records[0].seq > before and all(record.batch is None for record in records):
            return True
        for record in records:
            if self._batch_fault(record.seq, parse_batch(record.batch)):
                self._batch_last = before
                return False
        return True

    def _follow_batch(self, number: int, offset: int, record: Parsed) -> None:
        if fault := self._batch_fault(record.seq, batch_bounds(record)):
            self._report(number, offset, record.seq, fault)

    def _batch_fault(self, seq: int, bounds: tuple[int, int] | None) -> str:
        inside, last = seq <= self._batch_last, self._batch_last
        if bounds is None:
            self._batch_last = 0
            return f"inside a batch that ends with seq {last}" if inside else ""
        if not inside and bounds[0] != seq and not self._is_lost:
            return f"the batch begins with seq {bounds[0]}, which is not before it"
        self._batch_last = bounds[1]
        return ""

    def _end(self) -> None:
        at, mark = self._tip.position, self._mark
        self._lines.end()
        if at.seq < self._batch_last:
            self._report(at.segment, at.offset, at.seq, f"the batch up to seq {self._batch_last} is not whole")
        if len(self._problems) >= MAX_PROBLEMS:
            return
        self._checkpoints.end(at.seq)
        if mark is None or self._is_lost or at == self._until:
            return
        what = f"the log ends with seq {at.seq}, its commit mark says seq {mark.seq}"
        self._report(at.segment, at.offset, mark.seq, what)

    def _uncommitted(self) -> int:
        if self._until is None:
            return 0
        first = self._until.segment
        total = sum(_size(self._directory, number) for number in self._numbers if number >= first)
        return max(0, total - self._until.offset)

    def _report(self, segment: int, offset: int, seq: int, what: str) -> None:
        self._problems.append(Problem(segment, offset, seq, what))


def _size(directory: Path, number: int) -> int:
    return segment_path(directory, number).stat().st_size


def _first_log(directory: Path) -> str:
    """Return the name of the log that the first readable line gives."""
    for number in segments(directory)[:1]:
        for _, line in lines(directory, number):
            try:
                return parse_line(line).log
            except BadLine:
                continue
    return ""
