"""The lock that lets one process write a log, and the note saying which one it is.

An open-file-description lock on a side file that is never renamed: unlike POSIX locks it survives another part of the
process opening and closing the file, and excludes a second descriptor of the same process; unlike flock(2) it
conflicts with everybody else's fcntl locks.
"""

import contextlib
import errno
import fcntl
import json
import os
import struct
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

from domain.clock import Clock, iso
from domain.errors import Retry
from journal.layout import LOCK, OWNER

# struct flock on 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid (must be 0 for OFD locks), padding.
_WRITE_LOCK = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_PAUSE_S = 0.02


class LogLocked(Retry):
    """Another writer has the log; ``owner`` is its note (pid, program, since), or empty if it left none."""

    def __init__(self, directory: Path, owner: dict[str, Any], waited_s: float) -> None:
        super().__init__(
            f"to be the only writer of {directory} within {waited_s:g} s",
            f"it is held by {_describe(owner)}",
            "stop that process, or wait until it ends",
            after_s=waited_s,
        )
        self.owner = owner


class WriterLock:
    """The lock held from `acquire` to `release`, or to the death of the process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pid = os.getpid()
        with _changing:
            # O_CLOEXEC is Python's default; without it an exec'ed child would keep the lock alive.
            self._fd = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            _held.add(self)

    def acquire(self, clock: Clock, wait_s: float) -> None:
        """Take the lock and leave a note about this process beside it.

        Raises:
            LogLocked: somebody else still had it after ``wait_s`` seconds.
            OSError: the system refuses locks here; this one is closed.
        """
        # Real time, whatever the clock: a fake one does not move by itself. Not counted pauses, which a busy machine
        # makes twice as long.
        deadline = time.monotonic() + wait_s
        while not self._try():
            left = deadline - time.monotonic()
            if left <= 0:
                self.close()
                raise LogLocked(self._directory, read_owner(self._directory), wait_s)
            time.sleep(min(_PAUSE_S, left))
        _write_owner(self._directory, clock)

    def _try(self) -> bool:
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _WRITE_LOCK)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            self.close()
            raise
        return True

    def release(self) -> None:
        """Remove the note and give the lock up; a forked child only closes its copy."""
        if self._fd >= 0 and os.getpid() == self._pid:
            _remove_owner(self._directory)
        self.close()

    def close(self) -> None:
        """Close this process's descriptor. The lock ends with the last copy of it."""
        with _changing:
            self._drop()

    def _drop(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        _held.discard(self)


_held: "weakref.WeakSet[WriterLock]" = weakref.WeakSet()
# Held while a descriptor and what is known of it change, and by every fork: one in between would leave the child with a
# descriptor that it does not know of, or closes a second time.
_changing = threading.Lock()


def _drop_in_child() -> None:
    # A forked child shares the lock; if it kept the descriptor, the lock would outlive a dead parent.
    for lock in list(_held):
        lock._drop()
    _changing.release()


os.register_at_fork(before=_changing.acquire, after_in_parent=_changing.release, after_in_child=_drop_in_child)


def read_owner(directory: Path) -> dict[str, Any]:
    """Return the note of the process that holds (or last held) the log; empty if there is none."""
    try:
        owner = json.loads((directory / OWNER).read_bytes())
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def boot_id() -> str:
    """Return the kernel's id of this boot, or ``unknown`` where /proc is not mounted."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _remove_owner(directory: Path) -> None:
    # The note is a courtesy: a disk that turned read-only must not keep the lock from being given up.
    with contextlib.suppress(OSError):
        (directory / OWNER).unlink(missing_ok=True)


def _write_owner(directory: Path, clock: Clock) -> None:
    note = {
        "pid": os.getpid(),
        "start_ticks": _start_ticks(),
        "boot": boot_id(),
        "program": _program(),
        "since": iso(clock.now()),
    }
    draft = directory / f"{OWNER}.new"
    try:
        draft.write_text(json.dumps(note) + "\n")
        draft.rename(directory / OWNER)
    except OSError:
        _remove_owner(directory)  # better none than the one of who was here before


def _start_ticks() -> int | None:
    # Field 22 of /proc/<pid>/stat, counted after the parenthesised name, tells a reused pid from the old one.
    try:
        stat = Path("/proc/self/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _program() -> str:
    # Only the program's own path: arguments might hold what belongs to nobody else.
    path = Path(sys.argv[0] if sys.argv else "")
    return path.parent.name if path.name == "__main__.py" else path.name or "python"


def _describe(owner: dict[str, Any]) -> str:
    if not owner:
        return "a process that left no note"
    return f"pid {owner.get('pid')} ({owner.get('program')}) since {owner.get('since')}"
