"""What happens to a log between a crash and the next record.

Recovery reads forward from the last checkpoint and stops at the first bad record, so what remains is a prefix of what
was written. Bytes that were never committed are moved to ``torn/``; damage among committed records is never repaired
here.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from domain.clock import Clock
from domain.errors import Halt
from journal.chain import Tip, batch_bounds, faults, lines
from journal.checkpoints import Tail, checkpoint_tail, signed_part
from journal.layout import segment_name, segment_path, segments
from journal.mark import Mark, read_mark
from journal.merkle import Tree
from journal.record import MAX_LINE, SEGMENT_END, BadLine, Parsed, parse_line
from journal.syscalls import Syscalls
from journal.torn import Torn, quarantine, unmentioned

if TYPE_CHECKING:
    from journal.keys import Signer

_TODO = "open it for reading only, run `audit verify`, and restore the damaged segment from a copy"


class Recovered(msgspec.Struct, frozen=True):
    """Where writing goes on.

    Attributes:
        segment: the last one; it may be one beyond the tip's, when it exists but is still empty.
        tree: the Merkle tree over the records up to the last checkpoint and the full segments after it.
        hashes: ``h`` of the records that follow it, up to the tip.
        torn: what was moved away and is not yet named by a `recovery` record, oldest first.
    """

    tip: Tip
    segment: int
    tree: Tree
    hashes: list[str]
    torn: list[Torn]


class _Stop(msgspec.Struct, frozen=True):
    """The first bad record, and the tip before it."""

    tip: Tip
    offset: int
    reason: str


class Plan(msgspec.Struct, frozen=True):
    """What a start finds, and therefore would do.

    Attributes:
        tip: the last record that stays.
        segment: the last one.
        offset: where in it the bytes begin that would be moved away; its size if there are none.
        size: of that segment.
        reason: what is wrong with those bytes.
        checkpoints: the end of `checkpoints.jsonl`, whose last line may be cut.
    """

    tip: Tip
    segment: int
    offset: int
    size: int
    reason: str
    checkpoints: Tail


def plan(directory: Path, log: str, clock: Clock, calls: Syscalls) -> Plan:
    """Return what `recover` would do, and change nothing. Raises as `recover`."""
    return _Recovery(directory, log, clock, calls, None).plan()


def recover(directory: Path, log: str, clock: Clock, calls: Syscalls, signer: "Signer | None" = None) -> Recovered:
    """Bring the log to a state in which appending is safe. The caller holds the writer's lock.

    Raises:
        Halt: committed records are damaged or missing, or the last checkpoint is not true.
    """
    return _Recovery(directory, log, clock, calls, signer).run()


class _Recovery:
    def __init__(self, directory: Path, log: str, clock: Clock, calls: Syscalls, signer: "Signer | None") -> None:
        self._directory, self._log, self._clock, self._calls = directory, log, clock, calls
        self._signer = signer
        self._mark: Mark | None = read_mark(directory)
        self._checkpoints: Tail = checkpoint_tail(directory, log)
        self._checkpoint = self._checkpoints.checkpoint
        self._tree = self._checkpoint.tree() if self._checkpoint else Tree()
        # h of the records read since the tree was last extended
        self._hashes: list[str] = []

    def run(self) -> Recovered:
        found = self.plan()
        if found.offset < found.size:
            path, seq = segment_path(self._directory, found.segment), found.tip.position.seq
            quarantine(path, found.segment, found.offset, seq, found.reason, self._clock, self._calls)
        self._checkpoints.mend(self._directory, self._clock, self._calls)
        torn = unmentioned(self._directory)
        return Recovered(found.tip, found.segment, self._tree, self._hashes, torn)

    def plan(self) -> Plan:
        numbers = segments(self._directory)
        self._require_unchanged()
        self._require_all(numbers)
        stop, size = _Stop(self._checkpointed(), 0, ""), 0
        if numbers:
            stop = self._scan(numbers[-1], self._full(range(stop.tip.position.segment, numbers[-1]), stop.tip))
            self._require_committed(numbers[-1], stop)
            size = os.stat(segment_path(self._directory, numbers[-1])).st_size
            self._require_signed(stop.tip)
        last = numbers[-1] if numbers else 1
        return Plan(stop.tip, last, stop.offset, size, stop.reason, self._checkpoints)

    def _require_unchanged(self) -> None:
        signer, found = self._signer, self._checkpoint
        if signer is None or found is None or found.sig is None:
            return
        if not signer.made(signed_part(self._checkpoints.line), found.sig):
            what = f"a checkpoint of seq {found.seq} that was changed since"
            raise Halt(f"{self._directory} to end its checkpoints with one that key {signer.key} signed", what, _TODO)

    def _require_signed(self, tip: Tip) -> None:
        """Look at the newest line's signature: whoever wrote the past anew without the key cannot have made it."""
        at = tip.position
        if self._signer is None or at.seq == 0 or at.offset == 0:
            return
        begin, record = self._record_before(at.segment, at.offset, at.seq)
        if record.sig is not None and not self._signer.made_line(record.h, record.sig, record.ts):
            raise self._damage(at.segment, begin, at.seq, f"a line that key {self._signer.key} cannot have signed")

    def _require_all(self, numbers: list[int]) -> None:
        known = [number for number in (self._mark, self._checkpoint) if number is not None]
        needed = max([0, *(item.segment for item in known), *numbers[-1:]])
        for number in range(1, needed + 1):
            if number not in numbers:
                seq = max((item.seq for item in known), default=0)
                raise self._damage(number, 0, seq, f"segment {number} is missing (last committed seq {seq})")

    def _checkpointed(self) -> Tip:
        """Return the tip at the last checkpoint, from the record that stands there."""
        if self._checkpoint is None:
            return Tip.start()
        at = self._checkpoint.position
        for number in range(1, at.segment):
            self._require_end(number)
        size = segment_path(self._directory, at.segment).stat().st_size
        if size < at.offset:
            raise self._damage(at.segment, size, at.seq, f"the segment ends before its checkpoint of seq {at.seq}")
        begin, record = self._record_before(at.segment, at.offset, at.seq)
        if record.h != at.h or record.seq != at.seq:
            raise self._damage(at.segment, begin, at.seq, "not the record its checkpoint names but another")
        tip = Tip.start().after(record, at.segment, at.offset)
        self._require_mark(begin, tip)
        return tip

    def _require_end(self, number: int) -> None:
        """Look at the end of a segment that the checkpoint covers: cut off or swapped, it is not what it was."""
        size = segment_path(self._directory, number).stat().st_size
        begin, record = self._record_before(number, size, 0)
        if record.kind != SEGMENT_END or record.envelope.next != segment_name(number + 1):
            raise self._damage(number, begin, record.seq, "no valid segment_end")
        if record.log != self._log:
            raise self._damage(number, begin, record.seq, f"a record of log {record.log!r}, not {self._log!r},")

    def _record_before(self, segment: int, offset: int, seq: int) -> tuple[int, Parsed]:
        """Return the record that ends at ``offset``, and where it begins."""
        start = max(0, offset - MAX_LINE)
        with open(segment_path(self._directory, segment), "rb") as file:
            file.seek(start)
            window = file.read(offset - start)
        line = window[window.rfind(b"\n", 0, max(0, len(window) - 1)) + 1 :]
        try:
            record = parse_line(line)
        except BadLine as error:
            raise self._damage(segment, offset - len(line), seq, str(error)) from None
        if not record.hash_ok:
            raise self._damage(segment, offset - len(line), record.seq, "a line that was changed")
        return offset - len(line), record

    def _full(self, numbers: range, tip: Tip) -> Tip:
        """Check segments that have a successor, and were therefore synced to their end."""
        for number in numbers:
            stop = self._scan(number, tip)
            if not stop.tip.ended or stop.offset != segment_path(self._directory, number).stat().st_size:
                raise self._damage(number, stop.offset, stop.tip.position.seq + 1, stop.reason or "no segment_end")
            self._tree.extend(self._hashes)
            self._hashes = []
            tip = stop.tip
        return tip

    def _scan(self, number: int, tip: Tip) -> _Stop:
        """Read on to the first bad record or the end; a batch that is not whole ends before its first record."""
        start = tip.position.offset if tip.position.segment == number else 0
        offset, batch_start, batch_last = start, _Stop(tip, start, ""), 0
        for offset, line in lines(self._directory, number, start):
            try:
                record = parse_line(line)
            except BadLine as error:
                return self._stop(tip, batch_start, batch_last, offset, str(error))
            found = faults(tip, record, number, offset, self._log)
            if found:
                return self._stop(tip, batch_start, batch_last, offset, "; ".join(found))
            bounds = batch_bounds(record)
            if bounds and bounds[0] == record.seq:
                batch_start, batch_last = _Stop(tip, offset, "a batch that was not written to its end"), bounds[1]
            tip = tip.after(record, number, offset + len(line))
            self._hashes.append(record.h)
            self._require_mark(offset, tip)
            offset += len(line)
        return self._stop(tip, batch_start, batch_last, offset, "")

    def _stop(self, tip: Tip, batch_start: _Stop, batch_last: int, offset: int, reason: str) -> _Stop:
        if tip.position.seq >= batch_last:
            return _Stop(tip, offset, reason)
        surplus = tip.position.seq - batch_start.tip.position.seq
        del self._hashes[len(self._hashes) - surplus :]
        return batch_start

    def _require_mark(self, start: int, tip: Tip) -> None:
        """Refuse when the record from ``start`` to ``tip`` reaches the mark without being the marked one."""
        at, mark = tip.position, self._mark
        if mark is None or at.segment != mark.segment or not start < mark.offset <= at.offset:
            return
        if at != mark.position():
            what = f"not the committed head (seq {mark.seq}) but another record"
            raise self._damage(at.segment, start, at.seq, what)

    def _require_committed(self, last: int, stop: _Stop) -> None:
        mark = self._mark
        if mark is not None and (last, stop.offset) < (mark.segment, mark.offset):
            reason = stop.reason or f"the segment ends before the committed offset {mark.offset}"
            raise self._damage(last, stop.offset, stop.tip.position.seq + 1, reason)

    def _damage(self, segment: int, offset: int, seq: int, what: str) -> Halt:
        where = f"segment {segment}, offset {offset}, seq {seq}"
        return Halt(f"{self._directory} to hold every committed record", f"{what} at {where}", _TODO)
