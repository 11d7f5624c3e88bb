"""The errors of a log that the system does not let be opened."""

import contextlib
import errno
from collections.abc import Iterator

from domain.errors import Halt, Misconfigured, Retry
from journal.syscalls import NO_FILE

_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.ENOTDIR})


@contextlib.contextmanager
def as_ours() -> Iterator[None]:
    """Raise what the system refuses while a log is being opened as an error that says what to do about it.

    Raises:
        Retry: there is no room for a new file, or a signal came in between.
        Misconfigured: this process may not write there.
        Halt: the disk failed.
    """
    try:
        yield
    except OSError as error:
        expected = "to open a log for writing"
        if error.errno in NO_FILE:
            todo = "free disk space, inodes or file descriptors; no record was written"
            raise Retry(expected, str(error), todo) from error
        if error.errno == errno.EINTR:
            raise Retry(expected, str(error), "try again; no record was written") from error
        if error.errno in _NOT_OURS:
            raise Misconfigured(expected, str(error), "check the directory, its owner and its mode") from error
        raise Halt(expected, str(error), "check the disk; the next start checks the log") from error
