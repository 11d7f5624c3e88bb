"""What this client did, one JSON line each, durable before anything is done about it.

A crash may cut the last line short; it is then set aside on the next start, because what it announced was not begun.
A damaged line anywhere else is an error for a person to look at.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tbot_client.errors import ClientError

Record = dict[str, Any]
# macOS has no fdatasync.
_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


class Journal:
    """An append-only file of records; one process writes it (see `home.locked`)."""

    def __init__(self, path: Path, now: Callable[[], str]) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._now = now
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        _sync_folder(path.parent)
        self._repair(path)

    def close(self) -> None:
        os.close(self._fd)

    def append(self, records: list[Record]) -> None:
        """Write ``records`` in one piece; they are on the disk when this returns, or an OSError was raised."""
        at = self._now()
        data = b"".join(msgspec.json.encode({"at": at} | record) + b"\n" for record in records)
        size = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, data)
            if written != len(data):
                raise OSError(f"only {written} of {len(data)} bytes could be written: is the disk full?")
            _sync(self._fd)
        except OSError:
            os.ftruncate(self._fd, size)
            raise

    def _repair(self, path: Path) -> None:
        size = os.fstat(self._fd).st_size
        tail = os.pread(self._fd, 1 << 20, max(0, size - (1 << 20)))
        torn = len(tail) - (tail.rfind(b"\n") + 1)
        if torn:
            path.with_suffix(".torn").write_bytes(tail[-torn:])
            os.ftruncate(self._fd, size - torn)


def read(path: Path) -> Iterator[Record]:
    """Yield the whole records of a journal; a last line without newline is not one.

    Raises:
        ClientError: a line in the middle is damaged.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                yield _record(line, number, path)


def _record(line: bytes, number: int, path: Path) -> Record:
    try:
        return msgspec.json.decode(line, type=Record)
    except msgspec.MsgspecError as error:
        todo = "keep a copy, and compare your positions at the broker by hand before removing that line"
        raise ClientError(f"{path} whole", f"line {number} damaged ({error})", todo) from error


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
