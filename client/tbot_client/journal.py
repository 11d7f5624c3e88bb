"""What this client did, one JSON line each, durable before anything is done about it.

Each line ends in `c`, the start of a SHA-256 over the `c` before it and its own bytes, so that a line that was
changed, lost or put elsewhere is noticed. A crash may cut the last line short; it is then set aside on the next start,
because what it announced was not begun. A damaged line anywhere else is an error for a person to look at.
"""

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from tbot_client.errors import ClientError

Record = dict[str, Any]
GENESIS = "0" * 16
_END = re.compile(rb',"c":"([0-9a-f]{16})"\}\n?\Z')
_END_BYTES = len(',"c":""}\n') + 16
_CHUNK = 1 << 20
# macOS has no fdatasync.
_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


class Journal:
    """An append-only file of records; one process writes it (see `home.locked`)."""

    def __init__(self, path: Path, now: Callable[[], str]) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._now = now
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        sync_folder(path.parent)
        self._repair(path)
        self._size = os.fstat(self._fd).st_size
        self._last = self._find_last()

    @property
    def seal(self) -> str:
        """Return the seal of the last line, which stands for all lines up to it."""
        return self._last

    def close(self) -> None:
        os.close(self._fd)

    def append(self, records: list[Record]) -> list[Record]:
        """Write ``records`` in one piece and return them with their time.

        They are on the disk when this returns, or an OSError was raised and nothing of them is.
        """
        at, last = self._now(), self._last
        stamped = [{"at": at} | record for record in records]
        lines = []
        for record in stamped:
            line, last = sealed(record, last)
            lines.append(line)
        self._write(b"".join(lines))
        self._last = last
        return stamped

    def _write(self, data: bytes) -> None:
        # What an append before left behind and could not take back; glued to it, this one would be lost too.
        if os.fstat(self._fd).st_size != self._size:
            os.ftruncate(self._fd, self._size)
        try:
            written = os.write(self._fd, data)
            if written != len(data):
                raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes could be written")
            _sync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)

    def _repair(self, path: Path) -> None:
        """Set aside what follows the last newline, however long it is."""
        size = os.fstat(self._fd).st_size
        whole = _after_last_newline(self._fd, size)
        if whole < size:
            # On a full disk the fragment is let go: a client that can't start can't close a position.
            with contextlib.suppress(OSError):
                path.with_suffix(".torn").write_bytes(os.pread(self._fd, size - whole, whole))
            os.ftruncate(self._fd, whole)

    def _find_last(self) -> str:
        size = os.fstat(self._fd).st_size
        found = _END.search(os.pread(self._fd, _END_BYTES, max(0, size - _END_BYTES)))
        return found[1].decode() if found else GENESIS


def _after_last_newline(fd: int, size: int) -> int:
    end = size
    while end > 0:
        start = max(0, end - _CHUNK)
        at = os.pread(fd, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def sealed(record: Record, last: str) -> tuple[bytes, str]:
    """Return the line of a record that follows the line sealed with ``last``, and its own seal."""
    text = msgspec.json.encode(record)[:-1]
    seal = _seal(last, text)
    return b'%b,"c":"%b"}\n' % (text, seal.encode()), seal


def _seal(last: str, text: bytes) -> str:
    return sha256(last.encode() + text).hexdigest()[:16]


def read(path: Path) -> Iterator[Record]:
    """Yield the whole records of a journal; a last line without newline is not one.

    Raises:
        ClientError: a line is damaged, missing or not where it was written.
    """
    if not path.exists():
        return
    last = GENESIS
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                last = _check(line, last, number, path)
                yield _record(line, number, path)


def _check(line: bytes, last: str, number: int, path: Path) -> str:
    found = _END.search(line, max(0, len(line) - _END_BYTES))
    if found is None or found[1].decode() != _seal(last, line[: found.start()]):
        raise _damaged(path, number, "not as it was written, or not where")
    return found[1].decode()


def _record(line: bytes, number: int, path: Path) -> Record:
    try:
        return msgspec.json.decode(line, type=Record)
    except msgspec.MsgspecError as error:
        raise _damaged(path, number, str(error)) from error


def _damaged(path: Path, number: int, why: str) -> ClientError:
    todo = "keep a copy, and compare your positions at the broker by hand before moving it away"
    return ClientError(f"{path} whole", f"line {number} damaged ({why})", todo)


def is_full(error: OSError) -> bool:
    """Tell whether an error means that there is no room: that passes, while a broken disk does not."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
