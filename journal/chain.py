"""The rules that link one record to the next, for recovery and verification alike."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from journal.layout import segment_name, segment_path
from journal.model import GENESIS, Position
from journal.record import MAX_LINE, SEGMENT_END, SEGMENT_START, Parsed

_BUFFER = 1 << 20
_BLOCK = 128 * 1024


class Tip(msgspec.Struct, frozen=True, gc=False):
    """The last accepted record and the place after it."""

    position: Position
    ts: str = ""
    kind: str = ""

    @property
    def ended(self) -> bool:
        """Whether the segment of this tip is complete."""
        return self.kind == SEGMENT_END

    @classmethod
    def start(cls) -> "Tip":
        """Return the tip of a log without records."""
        return cls(Position.start())

    def after(self, record: Parsed, segment: int, offset: int) -> "Tip":
        """Return the tip once ``record``, which ends at ``offset`` of ``segment``, is accepted."""
        place = Position(segment, offset, record.seq, record.h)
        return Tip(place, record.ts, record.kind)


def faults(tip: Tip, record: Parsed, segment: int, offset: int, log: str) -> list[str]:
    """Return what is wrong with ``record``, which starts at ``offset`` of ``segment``, as the successor of ``tip``."""
    found = []
    last = tip.position
    if not record.hash_ok:
        found.append('the line was changed: its bytes do not match "h"')
    if record.seq != last.seq + 1:
        found.append(f"says seq {record.seq} where seq {last.seq + 1} belongs")
    if record.prev != last.h:
        found.append(f'"prev" is not the hash of seq {last.seq}')
    if record.ts < tip.ts:
        found.append(f"ts {record.ts} is earlier than {tip.ts} before it")
    if record.log != log:
        found.append(f"a record of log {record.log!r}, not {log!r}")
    return found + _segment_faults(tip, record, segment, offset)


def _segment_faults(tip: Tip, record: Parsed, segment: int, offset: int) -> list[str]:
    found = []
    if (record.kind == SEGMENT_START) != (offset == 0):
        found.append("segment_start must be the first line of a segment, and only there")
    elif offset == 0 and record.envelope.segment != segment:
        found.append(f"segment_start names segment {record.envelope.segment!r}")
    if record.kind == SEGMENT_END and record.envelope.next != segment_name(segment + 1):
        found.append(f"segment_end names {record.envelope.next!r} as the next segment")
    if tip.ended and offset > 0:
        found.append("a record after segment_end")
    if offset == 0 and segment > 1 and not tip.ended and tip.position.h != GENESIS:
        found.append("the segment before it has no segment_end")
    return found


def batch_bounds(record: Parsed) -> tuple[int, int] | None:
    """Return first and last seq of the batch a record was written in, if it was part of one."""
    return parse_batch(record.envelope.batch)


def parse_batch(batch: object) -> tuple[int, int] | None:
    """Return first and last seq of a batch as its records name it, ``41-43``; None if it is none."""
    first, _, last = batch.partition("-") if isinstance(batch, str) else ("", "", "")
    return (int(first), int(last)) if first.isdecimal() and last.isdecimal() else None


def lines(directory: Path, segment: int, offset: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, line with newline) of a segment from ``offset`` up to ``stop``.

    What has no newline within the longest allowed line comes out as one over-long piece, so that a hole of NULs is
    never read whole.
    """
    with open(segment_path(directory, segment), "rb", buffering=_BUFFER) as file:
        file.seek(offset)
        yield from _pieces(file, offset, os.fstat(file.fileno()).st_size if stop is None else stop)


def blocks(directory: Path, segment: int, offset: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) of a segment from ``offset`` up to ``stop``.

    Whole lines, as many at a time as fit a processor's cache. Bytes without any newline come out as they are.
    """
    with open(segment_path(directory, segment), "rb", buffering=0) as file:
        end = os.fstat(file.fileno()).st_size if stop is None else stop
        while offset < end:
            block = os.pread(file.fileno(), min(_BLOCK, end - offset), offset)
            if not block:
                return
            block = block[: block.rfind(b"\n") + 1] or block
            yield offset, block
            offset += len(block)


def _pieces(file: BinaryIO, offset: int, stop: int) -> Iterator[tuple[int, bytes]]:
    readline = file.readline
    while offset < stop:
        line = readline(min(MAX_LINE + 1, stop - offset))
        if not line:
            return
        yield offset, line
        offset += len(line)
