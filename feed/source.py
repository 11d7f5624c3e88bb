"""One log as the feed sees it: its head, its recent lines, and the notifier that says when there is more."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path

from domain.clock import Clock, iso
from domain.errors import Halt
from domain.vocabulary import Surface
from feed.cursor import NO_EPOCH, Mark
from feed.keepsake import KeptLog
from feed.lines import Line, public, signature
from feed.ring import Ring
from journal import Entry, Position, Tail, head, read
from journal.layout import MARK
from journal.seek import find

OnEntry = Callable[[Entry, Line | None], None]

_OLDEST_KEPT_S = 60.0


class Source:
    """A log that may not exist yet, may grow at any moment, and may be replaced by an older copy of itself."""

    def __init__(self, name: str, surface: Surface, directory: Path, *, ring_lines: int, clock: Clock) -> None:
        self.name = name
        self.surface = surface
        self.directory = directory
        self.problem: Halt | None = None
        self._capacity = ring_lines
        self._clock = clock
        self._tail: Tail | None = None
        self._blank()

    def _blank(self) -> None:
        self.ring = Ring(self._capacity, Position.start())
        self.epoch = NO_EPOCH
        self.head_ts = ""
        self.head_sig: str | None = None
        self._oldest = (Position.start(), float("-inf"))
        self._folded = 0
        self._file: tuple[int, int] | None = None

    @property
    def head(self) -> Position:
        return self.ring.head

    @property
    def mark(self) -> Mark:
        """Where the log ends now."""
        return self.at(self.head)

    def at(self, position: Position) -> Mark:
        return Mark(self.epoch, position)

    def fileno(self) -> int | None:
        """Return what becomes readable when the log may have grown."""
        return None if self._tail is None else self._tail.fileno()

    def open(self, on_entry: OnEntry, kept: KeptLog | None = None) -> None:
        """Read the log and stay at its end; errors are kept in ``problem``.

        Without ``kept`` it is read from its beginning; else from there on, and only what came later is handed on.
        """
        self.close()
        self._blank()
        if kept is not None:
            self._resume(kept)
        self._file = _file(self.directory)
        self._tail = Tail(self.directory, None if kept is None else kept.base)
        self._tail.fileno()  # watched before it is first read, so that nothing comes in between
        self.problem = None
        self.refresh(on_entry)

    def refresh(self, on_entry: OnEntry) -> bool:
        """Take in what was committed since the last call; tell whether a public line was among it."""
        if self._tail is None:
            return False
        news = False
        self._file = self._file or _file(self.directory)
        self._tail.drain()
        try:
            while self.problem is None and (entries := self._tail.poll()):
                news = self._take(entries, on_entry) or news
        except Halt as error:
            self.problem = error
        return news

    def _resume(self, kept: KeptLog) -> None:
        self.ring = Ring(self._capacity, kept.base)
        self.epoch = bytes.fromhex(kept.epoch)
        self.head_ts, self.head_sig = kept.head_ts, kept.head_sig
        self._folded = kept.head.seq

    def keep(self) -> KeptLog:
        """Return what `open` goes on from."""
        return KeptLog(self.epoch.hex(), self.ring.base, self.head, self.head_ts, self.head_sig)

    def was_replaced(self) -> bool:
        """Tell whether the log on disk ends before, or beside, what was read from it, or is another one."""
        now, known = head(self.directory), self.head
        if now is None or now.seq < known.seq:
            return known.seq > 0
        if now.seq == known.seq:
            return now.h != known.h
        # It went on without us: either the watch is about to say so, or it is on a file that was moved away.
        return self._file is not None and self._file != _file(self.directory)

    def close(self) -> None:
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def oldest(self, retention: timedelta) -> Position:
        """Return the place after which lines are young enough to be served; at most a minute out of date."""
        now = self._clock.monotonic_ns() / 1e9
        if now - self._oldest[1] > _OLDEST_KEPT_S:
            self._oldest = (self.since(self._clock.now() - retention), now)
        return self._oldest[0]

    def since(self, moment: datetime) -> Position:
        """Return the place before the first record not older than ``moment``; the head if all are older."""
        if not self.head.seq or self.head_ts < iso(moment):
            return self.head
        found = find(self.directory, moment)
        return self.head if found is None or found.seq > self.head.seq else found

    def read(self, after: Position, until: int, limit: int) -> list[Line]:
        """Read public lines from disk, up to record ``until``: for places too old for the ring."""
        entries = takewhile(lambda entry: entry.seq <= until, read(self.directory, after=after))
        lines = (line for entry in entries if (line := public(self.name, entry)) is not None)
        return list(islice(lines, limit))

    def _take(self, entries: Sequence[Entry], on_entry: OnEntry) -> bool:
        news = False
        for entry in entries:
            if entry.seq == 1:
                self.epoch = bytes.fromhex(entry.position.h)[:8]
            line = public(self.name, entry)
            self.ring.add(entry, line)
            if entry.seq > self._folded:
                on_entry(entry, line)
                news = news or line is not None
        self.head_ts, self.head_sig = iso(entries[-1].ts), signature(entries[-1].raw)
        return news


def _file(directory: Path) -> tuple[int, int] | None:
    """Return what tells a log's commit mark, which is written in place, from that of its copy."""
    try:
        found = os.stat(directory / MARK)
    except OSError:
        return None
    return found.st_dev, found.st_ino
