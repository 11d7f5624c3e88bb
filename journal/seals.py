"""What stands beside the chain, checked while a log is walked: signatures of lines, and checkpoints.

The rules are those of docs/decisions/0007-signed-history.md. The chain itself is checked elsewhere.
"""

from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from journal.checkpoints import Checkpoint, parse_checkpoint, read_checkpoints, signed_part
from journal.findings import MAX_PROBLEMS, Problem
from journal.merkle import Tree
from journal.model import Position
from journal.record import BadLine, Envelope

if TYPE_CHECKING:
    from journal.keys import Keyring

# The streams whose every line is signed once their surface has a key.
SIGNED_STREAMS = frozenset(("signals", "resolutions"))
# So many records may lie behind the last checkpoint: 1,000, and what was written while that one was under way.
SLACK = 5000


class Level(StrEnum):
    """Which signatures are checked against the keys; that they are there is always checked."""

    ALL = "all"
    NEWEST = "newest"
    NONE = "none"


def length(block: bytes, lines: int) -> int:
    """Return how many bytes the first ``lines`` lines of ``block`` take up, newlines included."""
    return sum(map(len, block.split(b"\n", lines)[:lines])) + lines


class Signatures:
    """The public keys of a log's surface, and how much was checked against them.

    Attributes:
        first: since when the surface has a key; None if it has none.
        checked, unchecked: signatures that were compared with a key, and those that were passed over.
    """

    def __init__(self, log: str, keyring: "Keyring | None", level: Level) -> None:
        self.surface, _, self.stream = log.partition("/")
        self._ring = keyring or None  # an empty ring has nothing to say
        self._from = {key.key: key.from_ for key in keyring.keys(self.surface)} if keyring else {}
        self.first = min(self._from.values(), default=None)
        self.all = self._ring is not None and level is Level.ALL
        self.newest = self._ring is not None and level is Level.NEWEST
        self.checked = self.unchecked = 0

    def has_key(self, ts: str) -> bool:
        """Tell whether the surface had a key at ``ts``."""
        return self.first is not None and ts >= self.first

    def is_later_than(self, sig: str | None, ts: str) -> bool:
        """Tell whether ``sig`` is by a key that came after ``ts``, and is not the first of its surface."""
        start = self._from.get((sig or "")[:16])
        return start is not None and start != self.first and ts < start

    def line_fault(self, record: Envelope) -> str:
        """Return what is wrong with a line's signature, or nothing."""
        ring, sig = self._ring, record.sig
        assert ring is not None
        assert sig is not None
        return self._fault(lambda: ring.verify_line(record.h, sig, record.ts, self.surface))

    def checkpoint_fault(self, line: bytes, found: Checkpoint) -> str:
        """Return what is wrong with a checkpoint's signature, or nothing."""
        ring, sig = self._ring, found.sig
        assert ring is not None
        assert sig is not None
        return self._fault(lambda: ring.verify_checkpoint(signed_part(line), sig, found.ts, self.surface))

    def _fault(self, check: Callable[[], None]) -> str:
        from journal.keys import BadSignature  # noqa: PLC0415 - only who checks pays for loading cryptography

        self.checked += 1
        try:
            check()
        except BadSignature as error:
            return str(error)
        return ""


class LineSeals:
    """The signatures of lines: whether each one that must be there is, and holds."""

    def __init__(self, signatures: Signatures, problems: list[Problem]) -> None:
        self._signatures, self._problems = signatures, problems
        self._must_sign = signatures.stream in SIGNED_STREAMS
        self._newest: dict[str, tuple[int, int, Envelope]] = {}

    def take(self, records: Sequence[Envelope], segment: int, offset: int, block: bytes) -> None:
        """Check records that are either all signed or all not; ``block`` holds their lines, from ``offset`` on."""
        if records[0].sig is None:
            has_key, must_sign = self._signatures.has_key, self._must_sign
            what = f"not signed, though {self._signatures.surface} has a key since {self._signatures.first}"
            faults = {n: what for n, record in enumerate(records) if must_sign and has_key(record.ts)}
        elif self._signatures.all:
            faults = {n: fault for n, record in enumerate(records) if (fault := self._signatures.line_fault(record))}
        else:
            self._pass_over(records, segment, offset, block)
            return
        for n, fault in faults.items():
            self._problems.append(Problem(segment, offset + length(block, n), records[n].seq, fault))

    def end(self) -> None:
        """Check the newest signature of each key, where only these are wanted."""
        for segment, offset, record in self._newest.values():
            self._signatures.unchecked -= 1
            if fault := self._signatures.line_fault(record):
                self._problems.append(Problem(segment, offset, record.seq, fault))

    def _pass_over(self, records: Sequence[Envelope], segment: int, offset: int, block: bytes) -> None:
        self._signatures.unchecked += len(records)
        if self._signatures.newest:
            last = {(record.sig or "")[:16]: n for n, record in enumerate(records)}
            for key, n in last.items():
                self._newest[key] = (segment, offset + length(block, n), records[n])


class CheckpointSeals:
    """The checkpoints of a log: their signatures, their order, and whether the log is what they say it is.

    Attributes:
        compared: how many were compared with the log.
        last: the last one that reads as a checkpoint of this log.
    """

    def __init__(self, directory: Path, log: str, signatures: Signatures, problems: list[Problem]) -> None:
        self._signatures, self._problems = signatures, problems
        self.compared = 0
        self.last: Checkpoint | None = None
        self._last_line = (0, b"")
        self._due: deque[tuple[int, Checkpoint]] = deque()
        self._tree: Tree | None = Tree()  # None while it is unknown, because records are missing
        self._keyed = 0  # records since the surface has a key
        self._reached: Checkpoint | None = None
        for offset, line in read_checkpoints(directory):
            self._load(offset, line, log)
            if len(problems) >= MAX_PROBLEMS:
                break
        self._seal_newest()

    def take(self, records: Sequence[Envelope], segment: int, offset: int, block: bytes) -> None:
        """Take in records that follow each other; ``block`` holds their lines, from ``offset`` of ``segment`` on."""
        if self._signatures.has_key(records[-1].ts):
            self._keyed += len(records)
        first, done = records[0].seq, 0
        while self._due and self._due[0][1].seq < first + len(records):
            at, checkpoint = self._due.popleft()
            n = checkpoint.seq - first + 1
            if n <= 0:
                self._report(at, checkpoint, f"the log holds no seq {checkpoint.seq} in its place")
                continue
            self._grow(records[done:n])
            done = n
            place = Position(segment, offset + length(block, n), checkpoint.seq, records[n - 1].h)
            self._compare(at, checkpoint, place, records[n - 1].ts)
        if self._due:
            self._grow(records[done:])

    def end(self, head_seq: int) -> None:
        """Report what the log should hold and does not."""
        if self._due:
            offset, checkpoint = self._due[-1]
            self._report(
                offset, checkpoint, f"the log ends with seq {head_seq}, its last checkpoint with seq {checkpoint.seq}"
            )
        if self.last is None and self._keyed > SLACK:
            what = f"no checkpoint, though {self._signatures.surface} has a key since {self._signatures.first}"
            self._problems.append(Problem(0, 0, head_seq, what))
        elif self.last is not None and not self._due and head_seq - self.last.seq > SLACK:
            what = f"no checkpoint since seq {self.last.seq}: the newer ones are missing"
            self._problems.append(Problem(0, 0, head_seq, what))

    def _load(self, offset: int, line: bytes, log: str) -> None:
        before = self.last.seq if self.last else 0
        try:
            found = parse_checkpoint(line)
        except BadLine as error:
            self._problems.append(Problem(0, offset, before, str(error)))
            return
        if found.log != log:
            self._report(offset, found, f"a checkpoint of log {found.log!r}, not {log!r}")
        elif found.seq <= before:
            self._report(
                offset, found, f"a checkpoint of seq {found.seq} after one of seq {before}: an older one again"
            )
        else:
            self.last, self._last_line = found, (offset, line)
            self._due.append((offset, found))
            self._seal(offset, line, found)

    def _seal(self, offset: int, line: bytes, found: Checkpoint) -> None:
        if found.sig is None:
            if self._signatures.has_key(found.ts):
                what = f"not signed, though {self._signatures.surface} has a key since {self._signatures.first}"
                self._report(offset, found, what)
        elif self._signatures.all:
            self._signed(offset, line, found)
        else:
            self._signatures.unchecked += 1

    def _seal_newest(self) -> None:
        if self.last is not None and self.last.sig is not None and self._signatures.newest:
            self._signatures.unchecked -= 1
            self._signed(*self._last_line, self.last)

    def _signed(self, offset: int, line: bytes, found: Checkpoint) -> None:
        if fault := self._signatures.checkpoint_fault(line, found):
            self._report(offset, found, fault)

    def _grow(self, records: Sequence[Envelope]) -> None:
        if self._tree is not None and records and records[0].seq == self._tree.size + 1:
            self._tree.extend([record.h for record in records])
        elif records:
            self._tree = None

    def _compare(self, offset: int, checkpoint: Checkpoint, place: Position, ts: str) -> None:
        self.compared += 1
        if checkpoint.h != place.h:
            self._report(offset, checkpoint, f"names another record than the log's seq {checkpoint.seq}")
        elif checkpoint.position != place:
            found = f"segment {place.segment} byte {place.offset}"
            self._report(offset, checkpoint, f"seq {checkpoint.seq} ends at {found}, not where it says")
        elif checkpoint.ts < ts:
            self._report(offset, checkpoint, f"made at {checkpoint.ts}, before the record it ends with")
        elif self._tree is not None and self._tree.root().hex() != checkpoint.root:
            since = self._reached.seq if self._reached else 0
            what = f"its root does not follow from the records: one of seq {since + 1} to {checkpoint.seq} was changed"
            self._report(offset, checkpoint, what)
        elif self._is_resealed(checkpoint, ts):
            self._report(offset, checkpoint, f"records of {ts} sealed with a newer key")
        self._tree = checkpoint.tree()  # taken at its word, so that the check can go on behind it
        self._reached = checkpoint

    def _is_resealed(self, checkpoint: Checkpoint, ts: str) -> bool:
        """Tell whether a key that came later seals records that an older key had left to it no longer.

        The first checkpoint of a newer key may cover what a crash before the change of keys had left uncovered.
        """
        before = self._reached
        if not self._signatures.is_later_than(checkpoint.sig, ts):
            return False
        is_first = before is None or (before.sig or "")[:16] != (checkpoint.sig or "")[:16]
        return not is_first or checkpoint.seq - (before.seq if before else 0) > SLACK

    def _report(self, offset: int, checkpoint: Checkpoint, what: str) -> None:
        self._problems.append(Problem(0, offset, checkpoint.seq, what))
