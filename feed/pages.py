"""Pages: what lies after a cursor, in the journal's own bytes, built once for everybody who asks from there."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from heapq import merge
from itertools import islice

import msgspec

from domain.clock import Clock, iso
from domain.errors import Halt
from domain.vocabulary import Surface
from feed.cursor import Cursors, Mark, Marks
from feed.lines import Line
from feed.logs import Logs
from feed.problems import Problem, gone, not_ready
from feed.source import Source

_KEPT, _KEPT_BYTES = 256, 8 * 2**20

Head = Mapping[str, int | str | None]
Key = tuple[tuple[str, ...], tuple[int, ...], int]


class Page(msgspec.Struct, frozen=True):
    """The lines after some place, and the place after them."""

    items: bytes
    lines: Sequence[Line]
    opens: tuple[str, ...]
    marks: Marks
    cursor: str
    has_more: bool

    @property
    def is_empty(self) -> bool:
        return not self.items


class Pages:
    """Builds pages from the rings; only a cursor older than a ring costs a read from disk."""

    def __init__(self, logs: Logs, cursors: Cursors, clock: Clock) -> None:
        self._logs = logs
        self._cursors = cursors
        self._clock = clock
        self._cache: OrderedDict[Key, Page] = OrderedDict()
        self._cached_bytes = 0
        self._generation = -1

    async def at(self, marks: Marks, limit: int) -> Page:
        """Return the page after ``marks``.

        Raises:
            Problem: 410 when it cannot be served from there, 503 when a log cannot be read.
        """
        self.require_servable(marks)
        page = self.recent(marks, limit)
        return page if page is not None else await self._older(marks, limit)

    def recent(self, marks: Marks, limit: int) -> Page | None:
        """Return the page after ``marks`` from memory, or None when that does not reach back so far."""
        if self._generation != self._logs.generation:
            self._cache.clear()
            self._cached_bytes = 0
            self._generation = self._logs.generation
        key = (tuple(marks), tuple(mark.position.seq for mark in marks.values()), limit)
        found = self._cache.get(key)
        if found is None and all(self._source(name).ring.covers(mark.position.seq) for name, mark in marks.items()):
            lines = {name: self._ring_lines(name, mark.position.seq, limit) for name, mark in marks.items()}
            found = self._page(marks, limit, lines)
            self._keep(key, found)
        return found

    def _keep(self, key: Key, page: Page) -> None:
        self._cache[key] = page
        self._cached_bytes += len(page.items)
        while len(self._cache) > _KEPT or self._cached_bytes > _KEPT_BYTES:
            self._cached_bytes -= len(self._cache.popitem(last=False)[1].items)

    def require_servable(self, marks: Marks) -> None:
        """Raise the Problem that says why a cursor cannot be served, if it cannot."""
        if any(self._source(name).problem is not None for name in marks):
            raise not_ready("journal")
        for name, mark in marks.items():
            code = self._refusal(name, mark)
            if code is not None:
                raise self._gone(code, marks)

    def start(self, names: Sequence[str], where: str | datetime) -> Marks:
        """Return the places named by ``head``, ``oldest`` or a moment; nothing before ``oldest`` is served."""
        if where == "head":
            return {name: self._source(name).mark for name in names}
        oldest = self._oldest(names)
        if not isinstance(where, datetime):
            return oldest
        found = {name: self._source(name).at(self._source(name).since(where)) for name in names}
        return {name: max(found[name], oldest[name], key=_seq) for name in names}

    def render(self, page: Page, visible: frozenset[Surface], poll_after_ms: int = 0) -> bytes:
        """Return the body of an answer; everything but the items and the cursor is of this moment."""
        return b"".join((
            b'{"items":[', page.items,
            b'],"expired":', self.expired(page.opens, self._clock.now()),
            b',"next_cursor":"', page.cursor.encode(),
            b'","has_more":', b"true" if page.has_more else b"false",
            b',"logs":', self.heads_json(visible),
            b',"server_time":"', self.server_time().encode(),
            b'","poll_after_ms":%d}' % poll_after_ms,
        ))  # fmt: skip

    def server_time(self) -> str:
        return iso(self._clock.now())

    def heads_json(self, visible: frozenset[Surface]) -> bytes:
        return msgspec.json.encode(self.heads(visible))

    def expired(self, opens: Sequence[str], now: datetime) -> bytes:
        return msgspec.json.encode([one for one in opens if self._logs.board.is_dead(one, now)])

    def heads(self, visible: frozenset[Surface], *, with_ts: bool = False) -> Mapping[str, Head]:
        """Return log -> its committed head; a log without a record yet shows seq 0 and zeros."""
        sources = [self._source(name) for name in self._logs.names(visible)]
        heads = {one.name: {"seq": one.head.seq, "h": one.head.h, "sig": one.head_sig} for one in sources}
        if with_ts:
            return {one.name: {**heads[one.name], "ts": one.head_ts or None} for one in sources}
        return heads

    def _refusal(self, name: str, mark: Mark) -> str | None:
        source, at = self._source(name), mark.position
        if at.seq == 0:
            # The start of a log is a place in every incarnation of it, unless it has become too old to serve.
            return "cursor_expired" if source.oldest(self._logs.retention).seq > 0 else None
        if at.seq > source.head.seq:
            return "cursor_ahead"
        known = source.ring.place(at.seq)
        if mark.epoch != source.epoch or (known is not None and known.h != at.h):
            return "epoch_changed"
        return "cursor_expired" if at.seq < source.oldest(self._logs.retention).seq else None

    def _gone(self, code: str, marks: Marks) -> Problem:
        oldest = self._oldest(list(marks))
        missed = sum(max(0, oldest[name].position.seq - marks[name].position.seq) for name in marks)
        return gone(
            code,
            oldest_cursor=self._cursors.seal(oldest),
            head_cursor=self._cursors.seal(self.start(list(marks), "head")),
            missed_estimate=missed,
        )

    def _oldest(self, names: Sequence[str]) -> Marks:
        return {name: self._source(name).at(self._source(name).oldest(self._logs.retention)) for name in names}

    def _ring_lines(self, name: str, seq: int, limit: int) -> list[Line]:
        return self._source(name).ring.after(seq, limit + 1)

    async def _older(self, marks: Marks, limit: int) -> Page:
        """Read from disk what is older than the rings; then take the rings in one go, so that nothing slips between."""
        old: dict[str, list[Line]] = {}
        reached = {name: mark.position.seq for name, mark in marks.items()}
        while missing := [name for name in marks if not self._source(name).ring.covers(reached[name])]:
            for name in missing:
                until = self._source(name).ring.base.seq
                old[name] = await self._from_disk(name, marks, until, limit)
                reached[name] = until
        found = {name: old.get(name, []) + self._ring_lines(name, reached[name], limit) for name in marks}
        return self._page(marks, limit, found)

    async def _from_disk(self, name: str, marks: Marks, until: int, limit: int) -> list[Line]:
        try:
            return await asyncio.to_thread(self._source(name).read, marks[name].position, until, limit + 1)
        except Halt:
            raise self._gone("epoch_changed", marks) from None

    def _page(self, marks: Marks, limit: int, found: Mapping[str, list[Line]]) -> Page:
        merged = list(islice(merge(*found.values(), key=lambda line: line.order), limit + 1))
        lines, has_more = merged[:limit], len(merged) > limit
        after = {name: self._after(name, marks[name], lines, is_all=not has_more) for name in marks}
        return Page(
            b",".join([line.raw for line in lines]),
            lines,
            tuple(line.facts.signal_id for line in lines if line.is_open),
            after,
            self._cursors.seal(after),
            has_more,
        )

    def _after(self, name: str, mark: Mark, lines: list[Line], *, is_all: bool) -> Mark:
        """Return the place after the last line served of one log; its end, when nothing was left behind."""
        source = self._source(name)
        if is_all:
            return source.mark
        last = max((line for line in lines if line.log == name), key=lambda line: line.seq, default=None)
        return mark if last is None else source.at(last.after)

    def _source(self, name: str) -> Source:
        return self._logs.sources[name]


def _seq(mark: Mark) -> int:
    return mark.position.seq
