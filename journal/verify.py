"""Checking a log from its first byte to its commit mark."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from journal.chain import Tip, batch_bounds, faults, lines
from journal.layout import segment_path, segments
from journal.mark import Mark, read_mark
from journal.model import Position
from journal.record import BadLine, Parsed, parse_line

# A log this broken is replaced, not read line by line.
MAX_PROBLEMS = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was written; ``seq`` is the one that belongs there."""

    segment: int
    offset: int
    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a check found.

    Attributes:
        records: lines that could be read as records, good links or not.
        head_seq: seq of the last of them; compare it, and ``head_h``, with a head noted elsewhere: a chain alone does
            not show that its end was cut off.
        uncommitted_bytes: bytes beyond the commit mark; the next writer keeps or quarantines them.
    """

    ok: bool
    records: int
    segments: int
    head_seq: int
    head_h: str
    problems: list[Problem]
    uncommitted_bytes: int = 0


def verify(directory: Path) -> VerifyReport:
    """Check every link, hash, seq, time and segment boundary, and that each line is strict JSON.

    Goes on after a problem, so that one changed line is not reported as everything after it. Needs no lock; a log
    being written is checked up to its commit mark.
    """
    return _Check(directory).run()


class _Check:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._mark: Mark | None = read_mark(directory)
        self._problems: list[Problem] = []
        self._tip = Tip.start()
        self._records = 0
        self._log = ""
        self._batch_last = 0
        self._is_lost = False  # after an unreadable line nothing is known about the next one's links

    def run(self) -> VerifyReport:
        numbers = segments(self._directory)
        for number in self._committed(numbers):
            if number not in numbers:
                self._report(number, 0, self._tip.position.seq + 1, f"segment {number} is missing")
                self._is_lost = True
            else:
                self._segment(number)
            if len(self._problems) >= MAX_PROBLEMS:
                break
        self._end()
        at = self._tip.position
        beyond = self._uncommitted(numbers)
        return VerifyReport(not self._problems, self._records, len(numbers), at.seq, at.h, self._problems, beyond)

    def _committed(self, numbers: list[int]) -> Iterator[int]:
        last = self._mark.segment if self._mark else max(numbers, default=0)
        return iter(range(1, last + 1))

    def _segment(self, number: int) -> None:
        stop = self._mark.offset if self._mark and number == self._mark.segment else None
        for offset, line in lines(self._directory, number, stop=stop):
            self._line(number, offset, line)
            if len(self._problems) >= MAX_PROBLEMS:
                self._report(number, offset, self._tip.position.seq, "too many problems; the rest was not checked")
                return
        if stop is None and not self._tip.ended and number != self._last_segment():
            self._report(number, 0, self._tip.position.seq, "the segment has no segment_end")

    def _last_segment(self) -> int:
        return self._mark.segment if self._mark else max(segments(self._directory), default=0)

    def _line(self, number: int, offset: int, line: bytes) -> None:
        try:
            record = parse_line(line)
        except BadLine as error:
            self._lose(number, offset, str(error))
            return
        self._log = self._log or record.log
        tip = self._resumed(record) if self._is_lost else self._tip
        for what in faults(tip, record, number, offset, self._log):
            self._report(number, offset, tip.position.seq + 1, what)
        self._follow_batch(number, offset, record)
        self._tip = tip.after(record, number, offset + len(line))
        self._is_lost = False
        self._records += 1

    def _lose(self, number: int, offset: int, what: str) -> None:
        self._report(number, offset, self._tip.position.seq + 1, what)
        self._is_lost = True

    def _resumed(self, record: Parsed) -> Tip:
        """Take an unlinked record at its word, so that the check can go on behind it."""
        before = self._tip.position
        place = Position(before.segment, before.offset, record.seq - 1, record.prev)
        return Tip(place, self._tip.ts, self._tip.kind)

    def _follow_batch(self, number: int, offset: int, record: Parsed) -> None:
        bounds = batch_bounds(record)
        inside = record.seq <= self._batch_last
        if bounds is None:
            if inside:
                self._report(number, offset, record.seq, f"inside a batch that ends with seq {self._batch_last}")
            self._batch_last = 0
        elif not inside and bounds[0] != record.seq and not self._is_lost:
            self._report(number, offset, record.seq, f"the batch begins with seq {bounds[0]}, which is not before it")
        else:
            self._batch_last = bounds[1]

    def _end(self) -> None:
        at, mark = self._tip.position, self._mark
        if at.seq < self._batch_last:
            self._report(at.segment, at.offset, at.seq, f"the batch up to seq {self._batch_last} is not whole")
        if mark is None or self._is_lost or len(self._problems) >= MAX_PROBLEMS:
            return
        if at != mark.position():
            what = f"the log ends with seq {at.seq}, its commit mark says seq {mark.seq}"
            self._report(at.segment, at.offset, mark.seq, what)

    def _uncommitted(self, numbers: list[int]) -> int:
        if self._mark is None:
            return 0
        first = self._mark.segment
        total = sum(segment_path(self._directory, number).stat().st_size for number in numbers if number >= first)
        return max(0, total - self._mark.offset)

    def _report(self, segment: int, offset: int, seq: int, what: str) -> None:
        self._problems.append(Problem(segment, offset, seq, what))
