"""The few system calls whose failure decides whether a record exists, in one replaceable object."""

import os


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


def sync_directory(path: str | os.PathLike[str], calls: Syscalls = SYSCALLS) -> None:
    """Make the directory's entries durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        calls.fsync(fd)
    finally:
        os.close(fd)
