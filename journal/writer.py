"""The writer of a log: one process, any number of threads, each record durable before it is acknowledged."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING

from domain.clock import Clock
from domain.errors import Halt, Refuse, Retry
from journal import failpoints
from journal.checkpointer import PERIOD_S, RECORDS, Checkpointer
from journal.filesystem import require_local
from journal.layout import log_name
from journal.lock import WriterLock
from journal.model import Fields, NewRecord, Position, Receipt
from journal.opening import as_ours
from journal.record import Prepared, prepare, prepare_many
from journal.reserve import RESERVE_BYTES, Reserve
from journal.stamp import Stamper
from journal.store import Store
from journal.syscalls import SYSCALLS, Syscalls, Unsynced

if TYPE_CHECKING:
    from journal.keys import Signer

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

    def __init__(
        self, log: str, lock: WriterLock, store: Store, checkpointer: Checkpointer, checkpoint_s: float
    ) -> None:
        self.log = log
        self._lock, self._store, self._pid = lock, store, os.getpid()
        self._queue: deque[_Request] = deque()
        self._finished: deque[_Request] = deque()
        self._commit_lock = threading.Lock()
        self._queued: SimpleQueue[None] = SimpleQueue()
        self._committer: threading.Thread | None = None
        self._checkpointer, self._checkpoint_s = checkpointer, checkpoint_s
        self._checkpoints: threading.Thread | None = None
        self._failed: Halt | None = None
        self._is_closed = False

    @classmethod
    @as_ours()
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
        signer: "Signer | None" = None,
        sign_lines: bool = False,
        checkpoint_records: int = RECORDS,
        checkpoint_s: float = PERIOD_S,
        reserve_bytes: int = RESERVE_BYTES,
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
            signer: the key that signs checkpoints; without one they stand unsigned.
            sign_lines: sign every line too, the log's own included.
            checkpoint_records, checkpoint_s: a checkpoint follows after so many records, and so many real seconds
                after news.
            reserve_bytes: room kept to say that the disk is full; 0 for none.

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
        calls = syscalls if durable else Unsynced()
        checkpointer = Checkpointer(directory, name, clock, calls, signer, checkpoint_records)
        store = Store(
            directory,
            name,
            clock,
            calls,
            segment_bytes=segment_bytes,
            stamper=Stamper(clock, name, signer.sign_line if signer and sign_lines else None),
            checkpointer=checkpointer,
            reserve=Reserve(directory, clock, reserve_bytes if durable else 0),
        )
        journal = cls(name, lock, store, checkpointer, checkpoint_s)
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
        record = prepare(self.log, kind, surface, mode, id, fields)
        # Whoever meets others shares a write with them; alone, the queue would only cost time.
        is_alone = not self._queue and not self._commit_lock.locked()
        return (self._commit_alone(record) if is_alone else None) or self._commit(_Request([record]))[0]

    def append_many(self, records: Iterable[NewRecord]) -> list[Receipt]:
        """Write records together: after a crash either all of them are in the log or none. Raises as `append`."""
        prepared = prepare_many(self.log, records)
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
        self._queued.put(None)
        if self._is_closed:  # closed since the check above: nobody else will look at the queue again
            self._commit_queued()
        return future

    def close(self) -> None:
        """Write what is queued and a last checkpoint, then give the log up. Closing twice is harmless.

        Raises:
            Halt: the disk failed at the checkpoint; the records are safe.
        """
        try:
            if os.getpid() == self._pid and not self._is_closed:
                self._commit_queued(closing=True)
                self._end_threads()
                self._end_checkpoints()
        finally:
            self._release()

    def _end_threads(self) -> None:
        self._queued.put(None)
        self._checkpointer.news.set()
        for thread in (self._committer, self._checkpoints):
            if thread is not None and thread is not threading.current_thread():
                thread.join()

    def _end_checkpoints(self) -> None:
        if self._failed is None:
            self._store.note_checkpoint()
            self._checkpointer.write()

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

    def _commit_alone(self, record: Prepared) -> Receipt | None:
        """Write one record past the queue; None if something was queued first."""
        with self._commit_lock:
            if self._queue:
                return None
            try:
                self._require_usable()
                receipt = self._store.persist_one(record)
                self._before_acknowledging()
            except BaseException as error:
                shown = self._note(error)
                if isinstance(error, Exception) and shown is not error:
                    raise shown from error
                raise
            return receipt

    def _start_committer(self) -> None:
        if self._committer is None:
            with self._commit_lock:
                if self._committer is None:
                    self._committer = threading.Thread(target=self._run, name=f"journal {self.log}", daemon=True)
                    self._committer.start()

    def _run(self) -> None:
        while True:
            self._queued.get()
            for _ in range(self._queued.qsize()):  # whoever put one of these had queued a record before
                self._queued.get()
            was_closed = self._is_closed  # read before draining, so that nothing queued before it is left behind
            self._commit_queued()
            if was_closed:
                return

    def _start_checkpoints(self) -> None:
        name = f"checkpoints of {self.log}"
        thread = threading.Thread(target=self._keep_checkpoints, name=name, daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads: the record stands all the same
            thread.start()
            self._checkpoints = thread

    def _keep_checkpoints(self) -> None:
        """Write checkpoints as they become due, while others append."""
        news = self._checkpointer.news
        while not self._is_closed and self._failed is None:
            if not news.wait(self._checkpoint_s):
                with self._commit_lock:
                    self._store.note_checkpoint()
            news.clear()
            try:
                self._checkpointer.write()
            except BaseException as error:  # noqa: BLE001  nobody waits for this thread: the next append has to say it
                self._failed = error if isinstance(error, Halt) else self._interrupted(error)

    def _commit_queued(self, unless: _Request | None = None, *, closing: bool = False) -> None:
        """Write everything queued, ``unless`` that request has been written meanwhile by somebody else."""
        try:
            with self._commit_lock:
                if unless is None or (unless.receipts is None and unless.error is None):
                    self._drain()
                self._is_closed = self._is_closed or closing
        finally:
            # Outside the lock, because a future's callbacks may append again.
            with contextlib.suppress(IndexError):  # another thread may take the last one first
                while self._finished:
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
        self._before_acknowledging()
        for request in group:
            request.receipts = list(islice(receipts, len(request.records)))
        self._finished.extend(request for request in group if request.future is not None)

    def _before_acknowledging(self) -> None:
        if failpoints.armed:
            failpoints.reach("before_ack")
        if self._checkpoints is None:
            self._start_checkpoints()

    def _note(self, error: BaseException) -> BaseException:
        """Remember an error after which nothing may be written; return what the callers are to see."""
        if isinstance(error, Retry | Refuse):
            return error
        if self._failed is None:
            self._failed = error if isinstance(error, Halt) else self._interrupted(error)
        # A signal handler's exception is the interrupted thread's own; the others learn what became of the log.
        return self._failed

    def _fail(self, group: list[_Request], error: BaseException) -> None:
        shown = self._note(error)
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
