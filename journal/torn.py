"""The place for bytes that a crash left behind: nothing is deleted, it is moved to ``torn/`` and named in the log."""

import json
import os
from pathlib import Path

import msgspec

from domain.clock import Clock, iso
from journal.layout import TORN
from journal.syscalls import Syscalls, sync_directory

# A note keeps this ending until the log itself names it: a crash in between must not leave bytes unmentioned.
_PENDING = ".pending"


class Torn(msgspec.Struct, frozen=True):
    """Bytes that were moved out of a segment; out of `checkpoints.jsonl` when ``segment`` is 0.

    Attributes:
        file: relative to the log's directory.
    """

    file: str
    segment: int
    offset: int
    bytes: int
    reason: str

    def settle(self, directory: Path) -> None:
        """Give the note its final name, once a `recovery` record names the bytes."""
        note = (directory / self.file).with_suffix(_PENDING)
        note.rename(note.with_suffix(".json"))


def unmentioned(directory: Path) -> list[Torn]:
    """Return what was moved away and is not yet named by a `recovery` record, oldest first."""
    found = []
    for note in sorted((directory / TORN).glob(f"*{_PENDING}")):
        try:
            found.append(msgspec.json.decode(note.read_bytes(), type=Torn))
        except msgspec.DecodeError:
            continue  # a crash while it was written: its bytes were still in their file, and were moved again
    return found


def quarantine(
    path: Path, segment: int, offset: int, after_seq: int, reason: str, clock: Clock, calls: Syscalls
) -> None:
    """Copy the bytes of ``path`` from ``offset`` on to ``torn/``, make the copy durable, then cut them off."""
    directory = path.parent
    size = path.stat().st_size
    now = clock.now()
    (directory / TORN).mkdir(exist_ok=True)
    stem = path.stem if segment == 0 else f"{segment:06d}"
    name = _free_name(directory, f"{TORN}/{stem}-{offset}-{now:%Y%m%dT%H%M%S%fZ}")
    torn = Torn(name, segment, offset, size - offset, reason)
    fd = os.open(path, os.O_RDWR)
    try:
        _copy(fd, offset, size, directory / name, calls)
        note = {**msgspec.to_builtins(torn), "found_at": iso(now), "after_seq": after_seq}
        _write_durably((directory / name).with_suffix(_PENDING), json.dumps(note).encode() + b"\n", calls)
        sync_directory(directory / TORN, calls)
        sync_directory(directory, calls)
        calls.ftruncate(fd, offset)
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
