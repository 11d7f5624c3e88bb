"""Standard error that never fails and never waits: a supervisor that is gone or stalls must not stop a trading loop.

What can't be written is dropped and counted; the count is told as soon as there is room again. The journals are the
record, and they are written elsewhere.
"""

import os
import select
import stat
import sys
import threading
from typing import TextIO

# Room that poll promises on a pipe, so that a write of no more than this does not wait.
PIPE_BUF = select.PIPE_BUF


def patient() -> "TextIO | Pipe":
    """Return what to write the process log to: the standard error as it is, or, if that is a pipe, one that is safe."""
    try:
        fd = sys.stderr.fileno()
        is_pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
    except (OSError, ValueError):  # captured by a test, or closed
        return sys.stderr
    return Pipe(fd) if is_pipe else sys.stderr


class Pipe:
    """The write end of a pipe, as a text stream.

    Attributes:
        dropped: lines lost since the last one that was written.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._lock = threading.Lock()
        self.dropped = 0

    def write(self, text: str) -> int:
        """Write ``text`` as far as there is room for it now."""
        with self._lock:
            told = f'{{"event":"log_lines_dropped","count":{self.dropped}}}\n' if self.dropped else ""
            if self._put((told + text).encode(errors="replace")):
                self.dropped = 0
            else:
                self.dropped += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def _put(self, data: bytes) -> bool:
        for start in range(0, len(data), PIPE_BUF):
            if not any(event & select.POLLOUT for _, event in self._poll.poll(0)):
                return False
            try:
                os.write(self._fd, data[start : start + PIPE_BUF])
            except OSError:
                return False
        return True
