"""The commit mark: one fixed-width line of JSON that says how far readers may read.

The writer overwrites it in place after each fdatasync, which also wakes the readers that watch it. It is not synced
itself: after a power cut it may be old, never ahead, and recovery accepts whole records beyond it.
"""

import os
import zlib
from pathlib import Path

import msgspec

from domain.errors import Halt
from journal.layout import MARK
from journal.model import Position
from journal.syscalls import Syscalls

WIDTH = 256
# A reader can meet the writer in the middle of a pwrite; that lasts microseconds.
TORN_READS = 50
_PADDING = b" " * WIDTH


class Mark(msgspec.Struct, frozen=True):
    """How far the log is committed; ``ts`` is the last committed record's."""

    segment: int
    offset: int
    seq: int
    h: str
    ts: str
    crc: str

    def position(self) -> Position:
        """Return the place just after the last committed record."""
        return Position(self.segment, self.offset, self.seq, self.h)


_decode = msgspec.json.Decoder(Mark).decode


def encode_mark(at: Position, ts: str) -> bytes:
    """Return the mark for a log that is committed up to ``at``, whose last record is of ``ts``."""
    text = f'"segment":{at.segment},"offset":{at.offset},"seq":{at.seq},"h":"{at.h}","ts":"{ts}"'.encode()
    line = b'{%b,"crc":"%08x"}%b' % (text, zlib.crc32(text), _PADDING)
    # Cutting the padding to measure is cheaper than filling it up.
    return line[: WIDTH - 1] + b"\n"


def write_mark(fd: int, mark: bytes, calls: Syscalls) -> None:
    """Overwrite the mark in place.

    Raises:
        OSError: the write failed or was short.
    """
    while True:
        try:
            written = calls.pwrite(fd, mark, 0)
        except InterruptedError:
            continue  # not a byte was written, and the same bytes go to the same place
        if written != WIDTH:
            raise OSError("short write of the commit mark")
        return


def read_mark(directory: Path) -> Mark | None:
    """Return the commit mark, or None if there is none or it is not readable as one."""
    try:
        fd = os.open(directory / MARK, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return _read(fd)
    finally:
        os.close(fd)


def _read(fd: int) -> Mark | None:
    for _ in range(TORN_READS):
        line = os.pread(fd, WIDTH, 0)
        mark = _parse(line)
        if mark is not None or len(line) < WIDTH:
            return mark
    return None


def _parse(line: bytes) -> Mark | None:
    text, found, crc = line.partition(b',"crc":"')
    if not found or not line.startswith(b"{") or len(line) != WIDTH:
        return None
    if crc[:8] != b"%08x" % zlib.crc32(text[1:]):
        return None
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return None


def head(directory: Path) -> Position | None:
    """Return the place just after the last committed record, or None while nothing is committed."""
    mark = read_mark(directory)
    return None if mark is None else mark.position()


def rewritten(directory: Path, at: Position, what: str) -> Halt:
    """Build the error for a reader whose place is no longer part of the log."""
    return Halt(
        f"the log in {directory} to continue from seq {at.seq} (segment {at.segment}, offset {at.offset})",
        what,
        "run `audit verify` on it: the log was changed or replaced after it was written",
    )
