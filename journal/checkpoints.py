"""Checkpoints: lines that say how far a log had come, and commit to everything before in one Merkle root.

    {"ts":"…","v":1,"log":"fx/signals","seq":1000,"segment":1,"offset":402113,"h":"…","root":"…","peaks":["…",…],"sig":"…"}

This module is the single authority for the form of `checkpoints.jsonl`. Each line is durable before the next is begun,
so a crash can damage the last one only.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from domain.clock import Clock
from domain.errors import Halt
from journal.layout import CHECKPOINTS
from journal.merkle import Tree, root_of
from journal.model import Position
from journal.record import BadLine
from journal.syscalls import Syscalls
from journal.torn import quarantine

VERSION = 1
# The longest line that can occur is below 5 KiB: a tree of 2^53 leaves has 53 peaks at most.
MAX_CHECKPOINT = 8 * 1024
_SIG = b',"sig":"'
_HEX = frozenset("0123456789abcdef")
_TODO = "open the log for reading only, run `audit verify` on it, and restore checkpoints.jsonl from a copy"


class Checkpoint(msgspec.Struct, frozen=True):
    """One line of `checkpoints.jsonl`.

    Attributes:
        ts: when it was made; never earlier than the record it ends with.
        seq, h: the last record it covers.
        segment, offset: the place just after that record.
        root: the Merkle tree head over the ``h`` of records 1 to ``seq``.
        peaks: the roots of the perfect subtrees, largest first.
        sig: ``<key id>:<base64>``; None in a log whose writer has no key.
    """

    ts: str
    v: int
    log: str
    seq: int
    segment: int
    offset: int
    h: str
    root: str
    peaks: list[str]
    sig: str | None = None

    @property
    def position(self) -> Position:
        """The place just after the last record it covers."""
        return Position(self.segment, self.offset, self.seq, self.h)

    def tree(self) -> Tree:
        """Return the tree as it was, ready to grow."""
        return Tree(self.seq, [bytes.fromhex(peak) for peak in self.peaks])


def unsigned_line(log: str, at: Position, ts: str, tree: Tree) -> bytes:
    """Return a checkpoint's line without newline and signature, closing brace included."""
    peaks = [peak.hex() for peak in tree.peaks]
    return msgspec.json.encode(
        {"ts": ts, "v": VERSION, "log": log, "seq": at.seq, "segment": at.segment, "offset": at.offset, "h": at.h}
        | {"root": tree.root().hex(), "peaks": peaks}
    )


def signed_part(line: bytes) -> bytes:
    """Return what a checkpoint's signature covers: its line before ``,"sig":"`` (an unsigned line: all of it)."""
    return line.rstrip(b"\n").partition(_SIG)[0]


def parse_checkpoint(line: bytes) -> Checkpoint:
    """Read a line of `checkpoints.jsonl`, with or without its newline; its signature is not checked.

    Raises:
        BadLine: it is no checkpoint, or its root does not follow from its peaks.
    """
    try:
        found = _decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadLine(f"no checkpoint ({error})") from error
    if found.v != VERSION:
        raise BadLine(f"a checkpoint of version {found.v} instead of {VERSION}")
    hashes = (found.h, found.root, *found.peaks)
    if found.seq < 1 or not all(len(text) == 64 and _HEX.issuperset(text) for text in hashes):
        raise BadLine("a checkpoint whose seq or hashes are none")
    if len(found.peaks) != found.seq.bit_count():
        raise BadLine(f"a checkpoint with {len(found.peaks)} peaks where seq {found.seq} has {found.seq.bit_count()}")
    if root_of([bytes.fromhex(peak) for peak in found.peaks]).hex() != found.root:
        raise BadLine("a checkpoint whose root does not follow from its peaks")
    return found


_decode = msgspec.json.Decoder(Checkpoint).decode


def read_checkpoints(directory: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, line with newline) of every whole line; none without a file. A cut last line is left out."""
    offset = 0
    with contextlib.suppress(FileNotFoundError), open(directory / CHECKPOINTS, "rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield offset, line
            offset += len(line)


def last_checkpoint(directory: Path) -> tuple[bytes, Checkpoint] | None:
    """Return the newest readable checkpoint and its line without newline, or None if there is none.

    For readers: a line that is being written, or that a crash cut, is passed over.
    """
    for _, line in reversed(_last_lines(directory)):
        if line.endswith(b"\n"):
            try:
                return line[:-1], parse_checkpoint(line)
            except BadLine:
                continue
    return None


def _last_lines(directory: Path) -> list[tuple[int, bytes]]:
    """Return (offset, line) of the last lines, at least two if there are as many; the last one may be cut."""
    try:
        with open(directory / CHECKPOINTS, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = max(0, size - 3 * MAX_CHECKPOINT)
            file.seek(start)
            lines = file.read(size - start).splitlines(keepends=True)
    except FileNotFoundError:
        return []
    if start:
        start += len(lines.pop(0))
    found = []
    for line in lines:
        found.append((start, line))
        start += len(line)
    return found


class Tail(msgspec.Struct, frozen=True):
    """The end of `checkpoints.jsonl` as a start finds it.

    Attributes:
        line, checkpoint: the last whole one, without newline; None if there is none.
        cut_at: where a line begins that a crash did not let come to its end; None if there is none.
        reason: what is wrong with that line.
    """

    line: bytes = b""
    checkpoint: Checkpoint | None = None
    cut_at: int | None = None
    reason: str = ""

    def mend(self, directory: Path, clock: Clock, calls: Syscalls) -> None:
        """Move the cut line to ``torn/``."""
        if self.cut_at is not None:
            seq = self.checkpoint.seq if self.checkpoint else 0
            quarantine(directory / CHECKPOINTS, 0, self.cut_at, seq, self.reason, clock, calls)


def checkpoint_tail(directory: Path, log: str) -> Tail:
    """Read the last checkpoint of ``log``; nothing is changed.

    Raises:
        Halt: more than the last line is damaged, or it is a checkpoint of another log.
    """
    lines = _last_lines(directory)
    cut_at, reason = None, ""
    if lines and (fault := _fault(lines[-1][1])):
        cut_at, reason = lines.pop()[0], fault
    if not lines:
        return Tail(cut_at=cut_at, reason=reason)
    offset, line = lines[-1]
    place = f"{directory / CHECKPOINTS}, offset {offset}"
    if fault := _fault(line):
        raise Halt(f"a checkpoint in {place}", fault, _TODO)
    found = parse_checkpoint(line)
    if found.log != log:
        raise Halt(f"a checkpoint of {log!r} in {place}", f"one of {found.log!r}", _TODO)
    return Tail(line[:-1], found, cut_at, reason)


def _fault(line: bytes) -> str:
    try:
        parse_checkpoint(line)
    except BadLine as error:
        return str(error)
    return "" if line.endswith(b"\n") else "a checkpoint without its newline"
