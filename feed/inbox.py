"""Where reports are kept: one journal, and the threads folded from it.

A report is checked against its thread and appended in one critical section: while one report about a signal is on
its way to the disk, the next of the same subscriber about the same signal waits for it. What is folded is what stands
in the journal, decoded from the line itself, so that a restart finds exactly the same.
"""

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path

from domain.callback import Callback
from domain.clock import Clock
from domain.errors import Halt, TBotError
from domain.ids import new_id
from domain.vocabulary import Kind, Stage
from feed.aggregates import Tally
from feed.keepsake import KeptReports
from feed.lines import Signal
from feed.memory import Memory, anything, records
from feed.problems import not_ready
from feed.reports import Report
from feed.rules import Conflict, Moment, draft, judge, place
from feed.thread import OVERDUE_AFTER, Pair, Thread
from journal import Journal, Receipt, decode

OpenJournal = Callable[[], Journal]

_AUDITED_MAX = 100
__all__ = ["Inbox", "records"]


class Inbox:
    """Takes reports in. ``problem`` says why it cannot, while it cannot."""

    def __init__(self, directory: Path, clock: Clock, open_journal: OpenJournal) -> None:
        self._directory = directory
        self._clock = clock
        self._open_journal = open_journal
        self._journal: Journal | None = None
        self._busy: dict[Pair, asyncio.Future[TBotError | None]] = {}
        self._audited: dict[Pair, set[str]] = {}
        self._memory = Memory()
        self.taking: Counter[str] = Counter()
        self.version = 0
        self.problem: TBotError | None = None

    @property
    def threads(self) -> dict[Pair, Thread]:
        return self._memory.threads

    @property
    def past(self) -> Tally:
        """Sums over the threads that are no longer in memory."""
        return self._memory.past

    def open(self, kept: KeptReports | None = None, is_known: Callable[[str], bool] = anything) -> None:
        """Take the journal and fold what is in it, from the beginning or from where it was ``kept``.

        Args:
            is_known: tells whether a signal is still served; of others nothing is kept but the sums.

        Raises:
            TBotError: it cannot be opened.
        """
        self._memory = Memory(kept, is_known)
        self._begin(*self._load())

    async def reopen(self) -> None:
        """Begin anew after the journal failed; what it holds then is what counts. Raises as `open`."""
        # Reports that were still on their way settle on the loop before the line after this one runs.
        self._begin(*await asyncio.to_thread(self._load))

    def _load(self) -> tuple[Journal, Memory]:
        self.close()
        memory = self._memory.blank()
        journal = self._open_journal()
        memory.read(self._directory)
        return journal, memory

    def _begin(self, journal: Journal, memory: Memory) -> None:
        self._journal, self._memory, self._audited = journal, memory, {}
        self.version += 1
        self.problem = None

    def forget(self, is_kept: Callable[[str], bool], find: Callable[[str], Signal | None]) -> None:
        """Let go of all reports about signals that are not kept; keep their sums."""
        for pair in self._memory.forget(is_kept, find, self._clock.now()):
            self._audited.pop(pair, None)

    def keep(self) -> KeptReports:
        return self._memory.keep()

    def waiting(self) -> frozenset[str]:
        """Return the signals about which a resolution waits for its fills, and not yet too long."""
        now = self._clock.now()
        return frozenset(signal for (_, signal), at in self._memory.parked.items() if at + OVERDUE_AFTER > now)

    def newly_overdue(self) -> list[Callback]:
        """Return the resolutions that have come to wait too long for their fills; each only once."""
        return self._memory.newly_overdue(self._clock.now())

    @property
    def needs_reopening(self) -> bool:
        return self._journal is None or isinstance(self.problem, Halt)

    def close(self) -> None:
        """Write what is queued and give the journal up."""
        if self._journal is not None:
            journal, self._journal = self._journal, None
            journal.close()

    async def take(
        self, subscriber: str, signal: Signal, stage: Stage, report: Report, body_sha256: str, ended_at: datetime | None
    ) -> tuple[Callback, bool]:
        """Store a report and return its record once it is durable, or the one it repeats and True.

        Raises:
            Problem: 409 or 422 as the rules say; 503 when the journal cannot be written.
        """
        # While a report is on its way nothing about its signal is let go.
        self.taking[signal.id] += 1
        try:
            return await self._take((subscriber, signal.id), signal, stage, report, body_sha256, ended_at)
        finally:
            self.taking[signal.id] -= 1
            if not self.taking[signal.id]:
                del self.taking[signal.id]

    async def _take(
        self, pair: Pair, signal: Signal, stage: Stage, report: Report, body_sha256: str, ended_at: datetime | None
    ) -> tuple[Callback, bool]:
        while (busy := self._busy.get(pair)) is not None:
            await asyncio.wait([busy])
        now = self._clock.now()
        thread = self.threads.get(pair) or Thread()
        new = draft(report, stage, body_sha256, new_id("cbk", now), pair[0], signal, Moment(now, ended_at))
        try:
            known = judge(thread, new)
        except Conflict as conflict:
            await self._audit(pair, new, conflict)
            raise
        if known is not None:
            return known, True
        return await self._store(pair, place(thread, new)), False

    async def _store(self, pair: Pair, record: Callback) -> Callback:
        done: asyncio.Future[TBotError | None] = asyncio.get_running_loop().create_future()
        future = self._submit(Kind.CALLBACK, record.id, record, _fields(record))
        self._busy[pair] = done
        _on_loop(future, lambda: self._settle(pair, future, done))
        # The report is on its way whatever becomes of the connection: only the answer may be lost.
        error = await asyncio.shield(done)
        if error is not None:
            raise not_ready("journal")
        return self.threads[pair].chains[record.chain][record.rev]

    def _settle(self, pair: Pair, future: "Future[Receipt]", done: "asyncio.Future[TBotError | None]") -> None:
        del self._busy[pair]
        error = future.exception()
        if error is None:
            receipt = future.result()
            self._memory.take(decode(receipt.raw, Callback), receipt.raw, receipt.position)
            self.version += 1
            self.problem = None
            done.set_result(None)
            return
        self.problem = error if isinstance(error, TBotError) else Halt("a journal that takes records", str(error), "")
        done.set_result(self.problem)

    async def _audit(self, pair: Pair, new: Callback, conflict: Conflict) -> None:
        """Leave one line for each contradiction; a client that repeats itself does not fill the disk."""
        seen = self._audited.setdefault(pair, set())
        key = f"{new.chain} {new.rev} {new.body_sha256}"
        if key in seen or len(seen) >= _AUDITED_MAX:
            return
        seen.add(key)
        existing = conflict.existing
        fields = {
            **{name: getattr(new, name) for name in _AUDIT_FIELDS},
            "code": conflict.body["code"],
            "existing_id": existing.id if existing else None,
            "existing_sha256": existing.body_sha256 if existing else None,
        }
        try:
            await asyncio.wrap_future(self._submit(Kind.CALLBACK_CONFLICT, new.id, new, fields))
        except TBotError as error:
            seen.discard(key)
            self.problem = error
            raise not_ready("journal") from None

    def _submit(self, kind: Kind, record_id: str, record: Callback, fields: dict[str, object]) -> "Future[Receipt]":
        if self._journal is None:
            raise not_ready("journal")
        try:
            return self._journal.submit(kind, surface=record.surface, mode=record.mode, id=record_id, fields=fields)
        except TBotError as error:
            self.problem = error
            raise not_ready("journal") from None


_FIELDS = tuple(field.name for field in dataclasses.fields(Callback))
_AUDIT_FIELDS = ("subscriber", "signal_id", "stage", "rev", "fill_id", "body_sha256", "received_at")


def _fields(record: Callback) -> dict[str, object]:
    return {name: getattr(record, name) for name in _FIELDS}


def _on_loop(future: "Future[Receipt]", then: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(then))
