"""What happens to a log between a crash and the next record.

Recovery reads forward and stops at the first bad record, so what remains is a prefix of what was written. Bytes that
were never committed are moved to ``torn/``; damage among committed records is never repaired here.
"""

import json
import os
from pathlib import Path

import msgspec

from domain.clock import Clock, iso
from domain.errors import Halt
from journal.chain import Tip, batch_bounds, faults, lines
from journal.layout import TORN, segment_path, segments
from journal.mark import Mark, read_mark
from journal.record import MAX_LINE, SEGMENT_END, BadLine, parse_line
from journal.syscalls import Syscalls, sync_directory

# A note keeps this ending until the log itself names it: a crash in between must not leave bytes unmentioned.
_PENDING = ".pending"
_TODO = "open it for reading only, run `audit verify`, and restore the damaged segment from a copy"


class Torn(msgspec.Struct, frozen=True):
    """Bytes that were moved out of a segment; ``file`` is relative to the log's directory."""

    file: str
    segment: int
    offset: int
    bytes: int
    reason: str

    def settle(self, directory: Path) -> None:
        """Give the note its final name, once a `recovery` record names the bytes."""
        note = (directory / self.file).with_suffix(_PENDING)
        note.rename(note.with_suffix(".json"))


class Recovered(msgspec.Struct, frozen=True):
    """Where writing goes on.

    Attributes:
        segment: the last one; it may be one beyond the tip's, when it exists but is still empty.
        torn: what was moved away and is not yet named by a `recovery` record, oldest first.
    """

    tip: Tip
    segment: int
    torn: list[Torn]


class _Stop(msgspec.Struct, frozen=True):
    """The first bad record, and the tip before it."""

    tip: Tip
    offset: int
    reason: str


def recover(directory: Path, log: str, clock: Clock, calls: Syscalls) -> Recovered:
    """Bring the log to a state in which appending is safe. The caller holds the writer's lock.

    Raises:
        Halt: committed records are damaged or missing.
    """
    numbers, mark = segments(directory), read_mark(directory)
    _require_all(directory, numbers, mark)
    if not numbers:
        return Recovered(Tip.start(), 1, _unmentioned(directory))
    last = numbers[-1]
    first = min(mark.segment, last) if mark else last
    tip = _ends_before(directory, first, log)
    for number in range(first, last):
        tip = _whole(directory, number, tip, mark, log)
    stop = _scan(directory, last, tip, mark, log)
    size = segment_path(directory, last).stat().st_size
    _require_committed(directory, last, stop, mark)
    if stop.offset < size:
        _quarantine(directory, last, stop, size, clock, calls)
    return Recovered(stop.tip, last, _unmentioned(directory))


def _unmentioned(directory: Path) -> list[Torn]:
    found = []
    for note in sorted((directory / TORN).glob(f"*{_PENDING}")):
        try:
            found.append(msgspec.json.decode(note.read_bytes(), type=Torn))
        except msgspec.DecodeError:
            continue  # a crash while it was written: its bytes were still in the segment, and were moved again
    return found


def _damage(directory: Path, segment: int, offset: int, seq: int, what: str) -> Halt:
    where = f"segment {segment}, offset {offset}, seq {seq}"
    return Halt(f"{directory} to hold every committed record", f"{what} at {where}", _TODO)


def _require_all(directory: Path, numbers: list[int], mark: Mark | None) -> None:
    needed = max(mark.segment if mark else 0, numbers[-1] if numbers else 0)
    for number in range(1, needed + 1):
        if number not in numbers:
            seq = mark.seq if mark else 0
            raise _damage(directory, number, 0, seq, f"segment {number} is missing (last committed seq {seq})")


def _ends_before(directory: Path, first: int, log: str) -> Tip:
    """Check the earlier segments by their end records, and return the tip after the last of them."""
    tip = Tip.start()
    for number in range(1, first):
        size = segment_path(directory, number).stat().st_size
        window = max(0, size - MAX_LINE)
        *_, (offset, line) = [(window, b""), *lines(directory, number, window)]
        try:
            record = parse_line(line)
        except BadLine as error:
            raise _damage(directory, number, offset, tip.position.seq, str(error)) from None
        if record.kind != SEGMENT_END or not record.hash_ok:
            raise _damage(directory, number, offset, record.seq, "no valid segment_end")
        if record.log != log:
            raise _damage(directory, number, offset, record.seq, f"a record of log {record.log!r}, not {log!r},")
        tip = Tip.start().after(record, number, size)
    return tip


def _whole(directory: Path, number: int, tip: Tip, mark: Mark | None, log: str) -> Tip:
    """Check a segment that has a successor, and was therefore synced to its end."""
    stop = _scan(directory, number, tip, mark, log)
    if not stop.tip.ended or stop.offset != segment_path(directory, number).stat().st_size:
        raise _damage(directory, number, stop.offset, stop.tip.position.seq + 1, stop.reason or "no segment_end")
    return stop.tip


def _scan(directory: Path, number: int, tip: Tip, mark: Mark | None, log: str) -> _Stop:
    """Read forward to the first bad record or the end; a batch that is not whole ends before its first record."""
    offset, batch_start, batch_last = 0, _Stop(tip, 0, ""), 0
    for offset, line in lines(directory, number):
        try:
            record = parse_line(line)
        except BadLine as error:
            return _cut(tip, batch_start, batch_last, offset, str(error))
        found = faults(tip, record, number, offset, log)
        if found:
            return _cut(tip, batch_start, batch_last, offset, "; ".join(found))
        bounds = batch_bounds(record)
        if bounds and bounds[0] == record.seq:
            batch_start, batch_last = _Stop(tip, offset, "a batch that was not written to its end"), bounds[1]
        tip = tip.after(record, number, offset + len(line))
        _require_mark(directory, offset, tip, mark)
        offset += len(line)
    return _cut(tip, batch_start, batch_last, offset, "")


def _cut(tip: Tip, batch_start: _Stop, batch_last: int, offset: int, reason: str) -> _Stop:
    return batch_start if tip.position.seq < batch_last else _Stop(tip, offset, reason)


def _require_mark(directory: Path, start: int, tip: Tip, mark: Mark | None) -> None:
    """Refuse when the record from ``start`` to ``tip`` reaches the mark without being the marked one."""
    at = tip.position
    if mark is None or at.segment != mark.segment or not start < mark.offset <= at.offset:
        return
    if at != mark.position():
        raise _damage(
            directory, at.segment, start, at.seq, f"not the committed head (seq {mark.seq}) but another record"
        )


def _require_committed(directory: Path, last: int, stop: _Stop, mark: Mark | None) -> None:
    if mark is not None and (last, stop.offset) < (mark.segment, mark.offset):
        reason = stop.reason or f"the segment ends before the committed offset {mark.offset}"
        raise _damage(directory, last, stop.offset, stop.tip.position.seq + 1, reason)


def _quarantine(directory: Path, segment: int, stop: _Stop, size: int, clock: Clock, calls: Syscalls) -> None:
    """Copy the bytes from the first bad record on to ``torn/``, make the copy durable, then cut them off."""
    now = clock.now()
    (directory / TORN).mkdir(exist_ok=True)
    name = _free_name(directory, f"{TORN}/{segment:06d}-{stop.offset}-{now:%Y%m%dT%H%M%S%fZ}")
    torn = Torn(name, segment, stop.offset, size - stop.offset, stop.reason)
    fd = os.open(segment_path(directory, segment), os.O_RDWR)
    try:
        _copy(fd, stop.offset, size, directory / name, calls)
        note = {**msgspec.to_builtins(torn), "found_at": iso(now), "after_seq": stop.tip.position.seq}
        _write_durably((directory / name).with_suffix(_PENDING), json.dumps(note).encode() + b"\n", calls)
        sync_directory(directory / TORN, calls)
        sync_directory(directory, calls)
        calls.ftruncate(fd, stop.offset)
        calls.fsync(fd)
    finally:
        os.close(fd)


def _free_name(directory: Path, stem: str) -> str:
    names = (f"{stem}{suffix}.bin" for suffix in ("", *(f"-{again}" for again in range(2, 1000))))
    return next(name for name in names if not (directory / name).exists())


def _copy(source: int, offset: int, size: int, target: Path, calls: Syscalls) -> None:
    with open(target, "wb") as file:
        while offset < size:
            block = os.pread(source, min(1 << 20, size - offset), offset)
            if not block:
                break
            file.write(block)
            offset += len(block)
        file.flush()
        calls.fsync(file.fileno())


def _write_durably(path: Path, data: bytes, calls: Syscalls) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        calls.fsync(file.fileno())
