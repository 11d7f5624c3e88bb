"""Finding a moment in a log by bisection: a log is sorted by time, so nothing before it need be read."""

import os
from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from domain.clock import iso
from domain.errors import Refuse
from journal.codec import decode
from journal.layout import segment_path
from journal.mark import head, rewritten
from journal.model import Entry, Position
from journal.reader import read_from, scan
from journal.record import MAX_LINE, BadLine, links

T = TypeVar("T")

# A line starts with {"ts":" and 27 characters of time.
_TS = slice(7, 34)
# Below this many bytes a forward search for newlines is cheaper than more probes.
_NEAR = 16 * 1024


class _Sequence(msgspec.Struct):
    seq: int


def since(directory: Path, moment: datetime) -> Iterator[Entry]:
    """Yield the committed entries written at or after ``moment``.

    Raises:
        ValueError: ``moment`` is naive.
        Halt: the log was damaged where the search passed.
    """
    place = find(directory, moment)
    return iter(()) if place is None else read_from(directory, place)


def scan_since(directory: Path, moment: datetime, type_: type[T]) -> Iterator[T]:
    """Yield the committed records written at or after ``moment`` as ``type_``, the fast way. Raises as `since`."""
    place = find(directory, moment)
    return iter(()) if place is None else scan(directory, type_, after=place)


def find(directory: Path, moment: datetime) -> Position | None:
    """Return the place before the first entry at or after ``moment``; the head if there is none; None without a log."""
    wanted = iso(moment).encode()
    until = head(directory)
    if until is None:
        return None
    # The last segment whose first line is earlier holds the place, or ends right before it.
    earlier = bisect_left(range(1, until.segment + 1), wanted, key=lambda number: _first_ts(directory, number))
    number = max(1, earlier)
    size = until.offset if number == until.segment else segment_path(directory, number).stat().st_size
    fd = os.open(segment_path(directory, number), os.O_RDONLY)
    try:
        return _place(directory, until, fd, number, _bisect(fd, size, wanted))
    finally:
        os.close(fd)


def _first_ts(directory: Path, number: int) -> bytes:
    with open(segment_path(directory, number), "rb") as file:
        return file.read(_TS.stop)[_TS]


def _bisect(fd: int, size: int, wanted: bytes) -> int:
    """Return the offset of the first line whose time is not before ``wanted``; ``size`` if there is none."""
    low, high = 0, size  # both line starts: before low every line is earlier, from high on none is
    while high - low > _NEAR:
        start = _line_start(fd, (low + high) // 2, high)
        if start == high:
            break  # one long line fills the upper half
        if os.pread(fd, _TS.stop, start)[_TS] < wanted:
            low = start
        else:
            high = start
    return _walk(os.pread(fd, high - low, low), low, wanted)


def _line_start(fd: int, offset: int, high: int) -> int:
    """Return the first line start at or after ``offset``, at most ``high``."""
    for size in (1024, MAX_LINE + 1):
        newline = os.pread(fd, size, offset - 1).find(b"\n")
        if newline >= 0:
            return min(offset + newline, high)
    return high


def _walk(block: bytes, offset: int, wanted: bytes) -> int:
    for line in block.splitlines(keepends=True):
        if line[_TS] >= wanted:
            break
        offset += len(line)
    return offset


def _place(directory: Path, until: Position, fd: int, segment: int, offset: int) -> Position:
    """Describe the place at ``offset``, a line start, by the links of the line that begins there."""
    if (segment, offset) == (until.segment, until.offset):
        return until
    line = os.pread(fd, MAX_LINE, offset).partition(b"\n")[0]
    if not line:  # the end of a finished segment: the next one begins with the wanted line
        return _place_at_next(directory, segment)
    return _before(directory, segment, offset, line)


def _place_at_next(directory: Path, segment: int) -> Position:
    with open(segment_path(directory, segment + 1), "rb") as file:
        return _before(directory, segment + 1, 0, file.readline(MAX_LINE).rstrip(b"\n"))


def _before(directory: Path, segment: int, offset: int, line: bytes) -> Position:
    try:
        prev, _ = links(line)
        seq = decode(line, _Sequence).seq - 1
    except (BadLine, Refuse) as error:
        raise rewritten(directory, Position(segment, offset, 0, ""), f"no record there ({error})") from error
    return Position(segment, offset, seq, prev)
