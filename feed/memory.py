"""The reports the feed has in memory: threads about signals that are still served, and sums over all others."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from domain.callback import Callback
from domain.vocabulary import Kind
from feed import aggregates
from feed.aggregates import Tally
from feed.keepsake import KeptReports
from feed.lines import Signal
from feed.thread import OVERDUE_AFTER, Pair, Thread
from journal import Entry, Position, decode, read
from journal.record import links


def anything(signal_id: str) -> bool:
    return True


class Memory:
    """A fold over the callbacks journal that can let go of its oldest part.

    ``past`` are the sums over what was let go. Nothing before the place `keep` names belongs to a thread that is
    still here, and what comes after it and was let go is about signals that are not served any more.
    """

    def __init__(self, kept: KeptReports | None = None, is_known: Callable[[str], bool] = anything) -> None:
        self.threads: dict[Pair, Thread] = {}
        self.parked: dict[Pair, datetime] = {}
        self.past = Tally() if kept is None else Tally.restored(kept.sums)
        self._is_known = is_known
        self._is_begun = kept is not None and kept.is_begun
        self._after = Position.start() if kept is None else kept.after
        self._head = self._after
        self._firsts: dict[Pair, Position] = {}
        self._told: set[Pair] = set() if kept is None else set(kept.told)

    def blank(self) -> "Memory":
        """Return a memory that has let go of the same and has read nothing yet."""
        made = Memory(self.keep(), self._is_known)
        made._told = set(self._told)
        return made

    def read(self, directory: Path) -> None:
        """Fold what the journal holds."""
        for entry in read(directory, after=self._after):
            self._head = entry.position
            if entry.kind == Kind.CALLBACK:
                record = decode(entry.raw, Callback)
                if not self._is_begun or self._is_known(record.signal_id):
                    self.take(record, entry.raw, entry.position)

    def take(self, record: Callback, raw: bytes, at: Position) -> None:
        """Fold one report, whose line ends at ``at``."""
        pair = (record.subscriber, record.signal_id)
        thread = self.threads.setdefault(pair, Thread())
        thread.take(record)
        self._firsts.setdefault(pair, _before(raw, at))
        self._head = at
        end = thread.resolved
        if end is None or thread.is_resolved:
            self.parked.pop(pair, None)
        else:
            self.parked[pair] = end.received_at

    def forget(self, is_kept: Callable[[str], bool], find: Callable[[str], Signal | None], now: datetime) -> list[Pair]:
        """Let go of the threads about signals that are not kept; return which those were."""
        gone = [pair for pair in self.threads if not is_kept(pair[1])]
        for pair in gone:
            aggregates.add(self.past, pair[0], self.threads.pop(pair), find(pair[1]), now)
            del self._firsts[pair]
            self.parked.pop(pair, None)
            self._told.discard(pair)
        self._is_begun = self._is_begun or bool(gone)
        self._after = next(iter(self._firsts.values()), self._head)
        return gone

    def newly_overdue(self, now: datetime) -> list[Callback]:
        late = [pair for pair, at in self.parked.items() if at + OVERDUE_AFTER <= now and pair not in self._told]
        self._told.update(late)
        return [end for pair in late if (end := self.threads[pair].resolved) is not None]

    def keep(self) -> KeptReports:
        return KeptReports(self.past.keep(), self._after, self._head, self._is_begun, sorted(self._told))


def records(entries: Iterable[Entry]) -> Iterator[Callback]:
    """Yield the reports of a callbacks journal."""
    return (decode(entry.raw, Callback) for entry in entries if entry.kind == Kind.CALLBACK)


def _before(raw: bytes, after: Position) -> Position:
    """Return the place before a line that ends at ``after``."""
    return Position(after.segment, after.offset - len(raw) - 1, after.seq - 1, links(raw)[0])
