"""The writer of a log: one process, any number of threads, each record durable before it is acknowledged."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType

from domain.clock import Clock
from domain.errors import Halt, Refuse, Retry
from journal.filesystem import require_local
from journal.layout import log_name
from journal.lock import WriterLock
from journal.model import Fields, NewRecord, Position, Receipt
from journal.record import Prepared, prepare
from journal.store import Store
from journal.syscalls import SYSCALLS, Syscalls, Unsynced

SEGMENT_BYTES = 64 * 2**20
# One write carries about this much, so that a burst does not delay its first record without bound.
GROUP_RECORDS = 1024
GROUP_BYTES = 4 * 2**20


class _Request:
    """Records that belong together, waiting for their place in the log."""

    __slots__ = ("error", "future", "receipts", "records", "size")

    def __init__(self, records: list[Prepared], future: "Future[Receipt] | None" = None) -> None:
        self.records = records
        self.size = sum([len(record.body) for record in records])
        self.future = future
        self.receipts: list[Receipt] | None = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """Tell the future, which runs its callbacks, what became of the records."""
        assert self.future is not None
        if self.receipts is not None:
            self.future.set_result(self.receipts[0])
        else:
            self.future.set_exception(self.error)


class Journal:
    """An open log. Made by `Journal.open`; close it, or use it as a context manager."""

    def __init__(self, log: str, lock: WriterLock, store: Store) -> None:
        self.log = log
        self._lock, self._store, self._pid = lock, store, os.getpid()
        self._queue: deque[_Request] = deque()
        self._finished: deque[_Request] = deque()
        self._commit_lock = threading.Lock()
        self._queued = threading.Semaphore(0)
        self._committer: threading.Thread | None = None
        self._failed: Halt | None = None
        self._is_closed = False

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        clock: Clock,
        log: str | None = None,
        lock_wait_s: float = 5.0,
        segment_bytes: int = SEGMENT_BYTES,
        durable: bool = True,
        allow_fs: bool = False,
        syscalls: Syscalls = SYSCALLS,
    ) -> "Journal":
        """Take the log's lock, recover from whatever happened before, and be ready to append.

        Args:
            directory: the log's own directory; created if missing.
            log: the log's name; by default the last two parts of the path (``fx/signals``).
            lock_wait_s: real seconds to wait for another writer to end.
            segment_bytes: size at which a new segment is begun.
            durable: False skips every sync; a power cut may then lose or damage acknowledged records.
            allow_fs: accept network and user-space file systems.
            syscalls: the calls to use when durable; tests put failing ones here.

        Raises:
            LogLocked: another writer (named in the message) has the log.
            Halt: committed records are damaged or missing; nothing was changed.
            Misconfigured: the file system is not trusted.
            Retry: there is no room to begin.
        """
        directory = directory.absolute()  # segments to come must not depend on the working directory
        directory.mkdir(parents=True, exist_ok=True)
        require_local(directory, allowed=allow_fs)
        lock = WriterLock(directory)
        lock.acquire(clock, lock_wait_s)
        name = log or log_name(directory)
        store = Store(directory, name, clock, syscalls if durable else Unsynced(), segment_bytes)
        journal = cls(name, lock, store)
        try:
            store.begin()
        except BaseException:
            journal._release()
            raise
        return journal

    @property
    def position(self) -> Position:
        """The place just after the last acknowledged record."""
        return self._store.position

    def append(self, kind: str, *, surface: str, mode: str, id: str | None = None, fields: Fields) -> Receipt:
        """Write one record; return once it is durable.

        Args:
            id: the record's id; by default a time-ordered ``rec_…``.
            fields: a mapping or dataclass, written flat beside the envelope. It may repeat ``id``, ``kind``,
                ``surface`` and ``mode`` with the same values, and use no other name of the envelope.

        Raises:
            Refuse: the record cannot be written in this form; nothing happened.
            Retry: no room on the disk; nothing happened.
            Halt: the log failed, now or earlier; no more may be written.
        """
        return self._commit(_Request([prepare(self.log, kind, surface, mode, id, fields)]))[0]

    def append_many(self, records: Iterable[NewRecord]) -> list[Receipt]:
        """Write records together: after a crash either all of them are in the log or none. Raises as `append`."""
        prepared = [prepare(self.log, new.kind, new.surface, new.mode, new.id, new.fields) for new in records]
        return self._commit(_Request(prepared)) if prepared else []

    def submit(self, kind: str, *, surface: str, mode: str, id: str | None = None, fields: Fields) -> "Future[Receipt]":
        """Queue one record and return at once; the future ends as `append` would.

        Records queued while the disk is busy share one write and one sync, in the order of submission.

        Raises:
            Refuse: the record cannot be written in this form, or the journal is closed; nothing was queued.
            Halt: the log failed earlier.
        """
        prepared = prepare(self.log, kind, surface, mode, id, fields)
        self._require_usable()
        future: Future[Receipt] = Future()
        future.set_running_or_notify_cancel()  # too late to cancel: it may be on its way to the disk
        self._start_committer()
        self._queue.append(_Request([prepared], future))
        self._queued.release()
        if self._is_closed:  # closed since the check above: nobody else will look at the queue again
            self._commit_queued()
        return future

    def close(self) -> None:
        """Write what is queued, then give the log up. Closing twice is harmless."""
        if os.getpid() == self._pid and not self._is_closed:
            self._commit_queued(closing=True)
            self._queued.release()
            if self._committer is not None and self._committer is not threading.current_thread():
                self._committer.join()
        self._release()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _release(self) -> None:
        self._is_closed = True
        self._store.close()
        self._lock.release()

    def _commit(self, request: _Request) -> list[Receipt]:
        """Queue the request and see to it that it is written: by us, or by whoever holds the lock before us."""
        self._require_usable()
        self._queue.append(request)
        self._commit_queued(request)
        if request.receipts is None:
            assert request.error is not None
            raise request.error
        return request.receipts

    def _start_committer(self) -> None:
        if self._committer is None:
            with self._commit_lock:
                if self._committer is None:
                    self._committer = threading.Thread(target=self._run, name=f"journal {self.log}", daemon=True)
                    self._committer.start()

    def _run(self) -> None:
        while True:
            self._queued.acquire()
            was_closed = self._is_closed  # read before draining, so that nothing queued before it is left behind
            self._commit_queued()
            if was_closed:
                return

    def _commit_queued(self, unless: _Request | None = None, *, closing: bool = False) -> None:
        """Write everything queued, ``unless`` that request has been written meanwhile by somebody else."""
        try:
            with self._commit_lock:
                if unless is None or (unless.receipts is None and unless.error is None):
                    self._drain()
                self._is_closed = self._is_closed or closing
        finally:
            # Outside the lock, because a future's callbacks may append again.
            while self._finished:
                with contextlib.suppress(IndexError):  # another thread may take the last one first
                    self._finished.popleft().settle()

    def _drain(self) -> None:
        """Write everything queued, group by group; the caller holds the commit lock."""
        while group := self._next_group():
            try:
                self._require_usable()
                self._write(group)
            except BaseException as error:
                self._fail(group, error)
                if not isinstance(error, Exception):
                    raise

    def _next_group(self) -> list[_Request]:
        group: list[_Request] = []
        count = size = 0
        while self._queue and count < GROUP_RECORDS and size < GROUP_BYTES:
            request = self._queue.popleft()
            group.append(request)
            count += len(request.records)
            size += request.size
        return group

    def _write(self, group: list[_Request]) -> None:
        records = [record for request in group for record in request.records]
        receipts = iter(self._store.persist(records, [len(request.records) for request in group]))
        for request in group:
            request.receipts = [next(receipts) for _ in request.records]
        self._finished.extend(request for request in group if request.future is not None)

    def _fail(self, group: list[_Request], error: BaseException) -> None:
        if not isinstance(error, Retry | Refuse) and self._failed is None:
            self._failed = error if isinstance(error, Halt) else self._interrupted(error)
        # A signal handler's exception is the interrupted thread's own; the others learn what became of the log.
        shown = error if isinstance(error, Retry | Refuse) or self._failed is None else self._failed
        for request in group:
            if request.receipts is None:
                request.error = shown
        self._finished.extend(request for request in group if request.future is not None)

    def _interrupted(self, error: BaseException) -> Halt:
        halt = Halt(f"to finish a write to {self.log}", f"{type(error).__name__}: {error}", "reopen the log")
        halt.__cause__ = error
        return halt

    def _require_usable(self) -> None:
        if os.getpid() != self._pid:
            raise Refuse(f"{self.log} to be written by pid {self._pid}", f"forked child {os.getpid()}", "open it there")
        if self._failed is not None:
            raise self._failed
        if self._is_closed:
            raise Refuse(f"{self.log} to be open", "a closed journal", "open it again")
