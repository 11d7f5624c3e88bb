"""Following a log as it grows, woken by the append itself."""

import select
import time
from pathlib import Path
from types import TracebackType

from journal.inotify import (
    IN_ATTRIB,
    IN_CREATE,
    IN_DELETE_SELF,
    IN_IGNORED,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_TO,
    Inotify,
)
from journal.layout import MARK
from journal.mark import head
from journal.model import Entry, Position
from journal.reader import Cursor

# IN_Q_OVERFLOW belongs to no watch: any of them may have had events that were dropped.
_OVERFLOW, _IN_Q_OVERFLOW = -1, 0x4000
_GONE = IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | _IN_Q_OVERFLOW
_ON_MARK = IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF
_ON_PARENT = IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF


class Tail:
    """A reader that keeps its place in a log, which need not exist yet.

    In a thread: ``while tail.wait(30): handle(tail.poll())``. In asyncio: ``add_reader(tail.fileno(), on_wake)``,
    where ``on_wake`` calls `drain` and then `poll` until it returns nothing; after the first `fileno` call `poll` that
    way once, for what was there already. Whoever only polls costs the kernel nothing: a user has 128 inotify instances
    in all, and the watch is made when somebody first waits.
    """

    def __init__(self, directory: Path, after: Position | None = None) -> None:
        self._directory = directory = directory.absolute()
        self._cursor = Cursor(directory, after or Position.start())
        self._inotify: Inotify | None = None
        self._watch: int | None = None
        self._watched: Path | None = None

    @property
    def position(self) -> Position:
        """The place just after the last entry that `poll` returned."""
        return self._cursor.position

    def poll(self) -> list[Entry]:
        """Return the next committed entries, about 256 KiB of lines at most; none when all are taken. Never blocks.

        Raises:
            Halt: the log does not continue from our place: it was changed or replaced.
        """
        until = head(self._directory)
        return [] if until is None else self._cursor.take(until)

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as `poll` has something to give, False after ``timeout_s`` real seconds without."""
        deadline = time.monotonic() + timeout_s
        descriptor = self.fileno()
        while not self._has_news():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            select.select([descriptor], [], [], left)
            self.drain()
        return True

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when the log may have grown since the first call."""
        return self._watching().fileno()

    def drain(self) -> None:
        """Take note of what woke us, so that the descriptor is quiet until the next append."""
        inotify = self._watching()
        # Ending a watch makes an event of its own: arming anew for that one would make the next, without end.
        mine = [mask for number, mask in inotify.events() if number in (self._watch, _OVERFLOW)]
        if mine and (self._watched != self._directory / MARK or any(mask & _GONE for mask in mine)):
            self._arm(inotify)

    def close(self) -> None:
        """Close the descriptors."""
        self._cursor.close()
        if self._inotify is not None:
            self._inotify.close()

    def __enter__(self) -> "Tail":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _has_news(self) -> bool:
        until = head(self._directory)
        return until is not None and until.seq > self.position.seq

    def _watching(self) -> Inotify:
        if self._inotify is None:
            self._inotify = Inotify()
            self._arm(self._inotify)
        return self._inotify

    def _arm(self, inotify: Inotify) -> None:
        """Watch the commit mark or, while there is none, the nearest directory in which it can come to be."""
        if self._watch is not None:
            inotify.unwatch(self._watch)
        target = self._directory / MARK
        path = target
        while True:
            self._watched = path
            self._watch = inotify.watch(path, _ON_MARK if path == target else _ON_PARENT)
            if self._watch is None:
                path = path.parent
            elif path == target or not (path / target.relative_to(path).parts[0]).exists():
                return
            else:  # the next part came to be before the watch was set
                inotify.unwatch(self._watch)
                path = target
