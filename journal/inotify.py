"""A thin binding of inotify(7): being told by the kernel that a file or a directory changed."""

import ctypes
import errno
import os
import struct
from pathlib import Path

from domain.errors import Misconfigured

# linux/inotify.h
IN_MODIFY = 0x0002
IN_ATTRIB = 0x0004
IN_MOVED_TO = 0x0080
IN_CREATE = 0x0100
IN_DELETE_SELF = 0x0400
IN_MOVE_SELF = 0x0800
IN_IGNORED = 0x8000

_HEADER = struct.Struct("iIII")  # wd, mask, cookie, length of the name that follows
_libc = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """One inotify descriptor, non-blocking, closed over exec."""

    def __init__(self) -> None:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _limit(ctypes.get_errno(), "max_user_instances")

    def watch(self, path: Path, mask: int) -> int | None:
        """Watch ``path``; return the watch's number, or None if the path does not exist.

        Raises:
            Misconfigured: the system allows no more watches.
            OSError: anything else.
        """
        number = _libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(mask))
        if number >= 0:
            return int(number)
        code = ctypes.get_errno()
        if code in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise _limit(code, "max_user_watches")

    def unwatch(self, number: int) -> None:
        """End a watch; one that has ended by itself is no error."""
        _libc.inotify_rm_watch(self._fd, number)

    def fileno(self) -> int:
        """Return the descriptor, readable while events wait."""
        return int(self._fd)

    def events(self) -> list[tuple[int, int]]:
        """Take the waiting events as (watch number, mask), without blocking."""
        found = []
        while block := self._read():
            at = 0
            while at < len(block):
                number, mask, _, name_size = _HEADER.unpack_from(block, at)
                found.append((number, mask))
                at += _HEADER.size + name_size
        return found

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, 64 * 1024)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """End all watches."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _limit(code: int, name: str) -> OSError | Misconfigured:
    if code in (errno.EMFILE, errno.ENOSPC):
        return Misconfigured("a free inotify watch", os.strerror(code), f"raise fs.inotify.{name} (sysctl)")
    return OSError(code, os.strerror(code))
