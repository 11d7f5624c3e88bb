"""How often the Client Portal may be asked, and the silence after a 429, shared by all processes that use one gateway.

Source: IBKR's Web API pages on pacing. Ten requests a second through one gateway; some pages much rarer than that. Who
asks more often is shut out for ten to fifteen minutes, address and all. The list of orders may be read once in five
seconds by everybody together, so two processes at half that rate would still meet within five: they have to take turns.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from brokers.ibkr.config import IbkrConfig
from domain.clock import Clock
from domain.errors import Misconfigured, Retry

EVERYTHING, SHUT = "everything", "shut"
TICKLE_APART_S = 1.1
# A turn further away than this was noted before the machine started anew.
LONGEST_S = 3600.0
LOOK_S = 0.02

Marks = dict[str, int]


class Page(StrEnum):
    """A class of pages with a limit of its own; ``OTHER`` has none but the one for everything."""

    OTHER = "other"
    ORDERS = "orders"
    TRADES = "trades"
    ACCOUNTS = "accounts"
    TICKLE = "tickle"


class Pace:
    """Hands out turns: each is noted for everybody before it is waited for."""

    def __init__(self, clock: Clock, config: IbkrConfig, sleep: Callable[[float], object] | None = None) -> None:
        pause_s = config.portal_page_pause_s
        self._apart_s: Mapping[Page, float] = {
            Page.ORDERS: pause_s,
            Page.TRADES: pause_s,
            Page.ACCOUNTS: pause_s,
            Page.TICKLE: min(TICKLE_APART_S, pause_s),
        }
        self._each_s = 1 / config.portal_requests_per_s
        self._clock = clock
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        self._board = Board(config.portal_shared)

    def enter(self, page: Page, patience_s: float) -> float:
        """Wait for a turn and take it; return 0, or how far it is away when that is more than ``patience_s``."""
        with self._board.open() as marks:
            away_s = self._away_s(marks, page)
            if away_s > patience_s:
                return away_s
            turn_ns = self._clock.monotonic_ns() + int(away_s * 1e9)
            marks[EVERYTHING] = turn_ns + int(self._each_s * 1e9)
            if page in self._apart_s:
                marks[page] = turn_ns + int(self._apart_s[page] * 1e9)
        if away_s > 0:
            self._sleep(away_s)
        if self._closed.is_set():
            raise Retry("an open connection", "one that was closed", "connect anew")
        return 0.0

    def close(self) -> None:
        """Wake who waits for a turn, and give out no more of them."""
        self._closed.set()

    def shut(self, seconds: float) -> None:
        """Let nobody ask anything for a while."""
        with self._board.open() as marks:
            marks[SHUT] = self._clock.monotonic_ns() + int(seconds * 1e9)

    def shut_for_s(self) -> float:
        """Return for how many more seconds nothing may be asked."""
        with self._board.open() as marks:
            return self._until_s(marks.get(SHUT, 0))

    @contextmanager
    def alone(self, what: str, patience_s: float) -> Iterator[None]:
        """Hold the only conversation about orders that the gateway can follow. Raises Retry after ``patience_s``."""
        with self._board.alone(what, patience_s):
            yield

    def _away_s(self, marks: Marks, page: Page) -> float:
        return max(self._until_s(marks.get(EVERYTHING, 0)), self._until_s(marks.get(page, 0)))

    def _until_s(self, mark_ns: int) -> float:
        left_s = (mark_ns - self._clock.monotonic_ns()) / 1e9
        return left_s if 0 < left_s <= LONGEST_S else 0.0


class Board:
    """Marks in memory, or in a file that several processes write under its lock."""

    def __init__(self, file: Path | None) -> None:
        if file is not None and not file.parent.is_dir():
            raise Misconfigured("IBKR_PORTAL_SHARED in a folder that is there", str(file), "correct it or leave it out")
        self._file = file
        self._marks: Marks = {}
        self._lock = threading.Lock()
        self._talking = threading.Lock()

    @contextmanager
    def open(self) -> Iterator[Marks]:
        """Hand out the marks for reading and writing, to one at a time."""
        with self._lock:
            if self._file is None:
                yield self._marks
                return
            with _locked(self._file) as handle:
                before = os.pread(handle, 4096, 0)
                marks = _read(before)
                yield marks
                after = json.dumps(marks).encode()
                if after != before:
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, after, 0)

    @contextmanager
    def alone(self, what: str, patience_s: float) -> Iterator[None]:
        """Let one thread of one process in at a time."""
        deadline = time.monotonic() + patience_s
        if not self._talking.acquire(timeout=patience_s):
            raise _busy(what)
        try:
            if self._file is None:
                yield
                return
            handle = os.open(self._file.with_suffix(".talk"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock_by(handle, deadline, what)
                yield
            finally:
                os.close(handle)
        finally:
            self._talking.release()


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _lock_by(handle: int, deadline: float, what: str) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise _busy(what) from error
            time.sleep(LOOK_S)


def _busy(what: str) -> Retry:
    return Retry(f"a turn to talk about {what}", "another order being talked about", "try again", after_s=0.5)


def _read(raw: bytes) -> Marks:
    try:
        found = json.loads(raw or b"{}")
        return {str(name): int(mark) for name, mark in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
