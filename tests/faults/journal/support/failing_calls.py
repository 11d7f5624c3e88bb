"""The journal's system calls, of which one goes wrong when its turn comes."""

from journal import Syscalls


class Died(BaseException):
    """Stands for SIGKILL: nothing of ours may catch it and go on."""


class FailingCalls(Syscalls):
    """Real calls without the syncs, of which the ``nth`` (from 1) of one name goes wrong; whoever died calls no more.

    Attributes:
        half: a write keeps half of its bytes before it fails.
        after: the call is made, and then fails.
    """

    def __init__(self, name: str, nth: int, error: BaseException, *, half: bool = False, after: bool = False) -> None:
        self.name, self.nth, self.error, self.half, self.after = name, nth, error, half, after
        self.fired = False

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return self._call("write", data, lambda part: super(FailingCalls, self).write(fd, part))

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return self._call("pwrite", data, lambda part: super(FailingCalls, self).pwrite(fd, part, offset))

    def ftruncate(self, fd: int, size: int) -> None:
        self._call("ftruncate", b"", lambda _: super(FailingCalls, self).ftruncate(fd, size))

    def fdatasync(self, fd: int) -> None:
        self._call("fdatasync", b"", lambda _: None)

    def fsync(self, fd: int) -> None:
        self._call("fsync", b"", lambda _: None)

    def _call(self, name, data, make):
        if self.fired and isinstance(self.error, Died):
            raise self.error
        if not self._due(name):
            return make(data)
        if self.half or self.after:
            make(data if self.after else data[: len(data) // 2])
        raise self.error

    def _due(self, name: str) -> bool:
        if name != self.name or self.fired:
            return False
        self.nth -= 1
        self.fired = self.nth == 0
        return self.fired
