"""The few system calls whose failure decides whether a record exists, in one replaceable object."""

import errno
import os

# Nothing was written, and more may be after somebody made room.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_FILE = NO_ROOM | {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class Syscalls:
    """The real calls. A test hands the journal a subclass in which one of them fails or is counted."""

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def ftruncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return os.pwrite(fd, data, offset)


class Unsynced(Syscalls):
    """The real calls without the syncs: fast, and worth nothing at a power cut."""

    def fdatasync(self, fd: int) -> None:
        pass

    def fsync(self, fd: int) -> None:
        pass


SYSCALLS = Syscalls()


def write_all(calls: Syscalls, fd: int, data: bytes) -> None:
    """Write all of ``data``.

    Raises:
        OSError: the reason why not all of it was written; some of it may have been.
    """
    written = _write(calls, fd, data)
    while written < len(data):
        # A short write is how a full disk announces itself; asking again brings the reason.
        more = _write(calls, fd, memoryview(data)[written:])
        if more == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written += more


def _write(calls: Syscalls, fd: int, data: bytes | memoryview) -> int:
    while True:
        try:
            return calls.write(fd, data)
        except InterruptedError:
            continue  # EINTR means that not a byte was written; Python hides only those of its own signals


def sync_directory(path: str | os.PathLike[str], calls: Syscalls = SYSCALLS) -> None:
    """Make the directory's entries durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        calls.fsync(fd)
    finally:
        os.close(fd)
