"""Reading a log forward, up to what is committed."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from journal.chain import blocks
from journal.layout import segment_path
from journal.mark import head, rewritten
from journal.model import Entry, Position
from journal.record import MAX_LINE, BadLine, links

T = TypeVar("T")

# A few hundred usual lines.
BLOCK = 256 * 1024
# Whoever wants only the next entry should not wait for hundreds.
FIRST_BLOCK = 8 * 1024


class Cursor:
    """A place in a log that moves forward as committed entries are taken."""

    def __init__(self, directory: Path, position: Position) -> None:
        self.position = position
        self._directory = directory
        self._fd, self._open_segment = -1, 0

    def take(self, until: Position, limit: int = BLOCK) -> list[Entry]:
        """Return the next entries before ``until``, about ``limit`` bytes of them but at least one; none at the end.

        Raises:
            Halt: the log does not continue from this place: it was changed or replaced.
        """
        entries: list[Entry] = []
        taken = 0
        while taken < limit // 2 and (self.position.segment, self.position.offset) < (until.segment, until.offset):
            block = self._block(until, limit)
            if block:
                entries += self._entries(block)
            elif self.position.segment < until.segment:
                self.position = Position(self.position.segment + 1, 0, self.position.seq, self.position.h)
            else:
                raise rewritten(self._directory, self.position, f"the file ends before its head, seq {until.seq}")
            taken += len(block)
        return entries

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _block(self, until: Position, size: int) -> bytes:
        """Return about ``size`` bytes of whole lines; a segment before the head's is committed to its end."""
        self._open()
        here = self.position
        left = BLOCK if here.segment < until.segment else until.offset - here.offset
        block = os.pread(self._fd, min(size, left), here.offset)
        whole = block[: block.rfind(b"\n") + 1]
        if block and not whole and size <= MAX_LINE:
            return self._block(until, BLOCK)  # a line longer than was asked for
        if block and not whole:
            raise rewritten(self._directory, here, "no whole line there")
        return whole

    def _open(self) -> None:
        if self._fd >= 0 and self._open_segment == self.position.segment:
            return
        self.close()
        path = segment_path(self._directory, self.position.segment)
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise rewritten(self._directory, self.position, f"{path.name} is missing") from None
        self._open_segment = self.position.segment

    def _entries(self, block: bytes) -> list[Entry]:
        entries = []
        for raw in block[:-1].split(b"\n"):
            entry = self._entry(raw)
            self.position = entry.position
            entries.append(entry)
        return entries

    def _entry(self, raw: bytes) -> Entry:
        here = self.position
        try:
            prev, h = links(raw)
            entry = Entry(raw, here.segment, here.offset + len(raw) + 1, h)
        except (BadLine, ValueError) as error:
            raise rewritten(self._directory, here, f"no record there ({error})") from error
        if prev != here.h or entry.seq != here.seq + 1:
            raise rewritten(self._directory, here, f"seq {entry.seq}, which does not follow from it")
        return entry


def read_from(directory: Path, position: Position) -> Iterator[Entry]:
    """Yield the entries from ``position`` on, up to the commit mark as it stands at the first step.

    Every record comes out, the log's own (`segment_start`, `segment_end`, `recovery`) included. A log that does not
    exist yet is empty.

    Raises:
        Halt: the log does not continue from ``position``: it was changed or replaced.
    """
    until = head(directory)
    if until is None:
        return
    cursor = Cursor(directory, position)
    try:
        size = FIRST_BLOCK
        while entries := cursor.take(until, size):
            yield from entries
            size = min(size * 4, BLOCK)
    finally:
        cursor.close()


def read(directory: Path, *, after: Position | None = None) -> Iterator[Entry]:
    """Yield the committed entries, all of them or those ``after`` a place. Raises as `read_from`."""
    return read_from(directory, after or Position.start())


def scan(directory: Path, type_: type[T], *, after: Position | None = None) -> Iterator[T]:
    """Yield the committed records as ``type_``, all of them or those ``after`` a place: the fast way through a log.

    ``type_`` is a msgspec.Struct with the fields that are wanted, a dict, or msgspec.Raw for the lines themselves.
    Links are followed from block to block, not from line to line; `verify` is for that.

    Raises:
        Halt: the log does not continue from that place, or a record does not read as ``type_``.
    """
    until = head(directory)
    here = after or Position.start()
    decode = msgspec.json.Decoder(type_).decode_lines
    while until is not None and (here.segment, here.offset) < (until.segment, until.offset):
        stop = until.offset if here.segment == until.segment else None
        try:
            for offset, block in blocks(directory, here.segment, here.offset, stop):
                here = _linked(directory, here, offset, block)
                yield from decode(block)
        except (FileNotFoundError, BadLine, msgspec.DecodeError) as error:
            raise rewritten(directory, here, str(error)) from error
        if stop is not None and here.offset != stop:
            raise rewritten(directory, here, f"the file ends before its head, seq {until.seq}")
        if stop is None:
            here = Position(here.segment + 1, 0, here.seq, here.h)


def _linked(directory: Path, here: Position, offset: int, block: bytes) -> Position:
    """Return the place after ``block``, if it continues from ``here``."""
    first = block[: block.find(b"\n")]
    last = block[block.rfind(b"\n", 0, -1) + 1 : -1]
    prev, h = links(first)[0], links(last)[1]
    if prev != here.h:
        raise rewritten(directory, here, "a record that does not follow from it")
    return Position(here.segment, offset + len(block), here.seq + block.count(b"\n"), h)
