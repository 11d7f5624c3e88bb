"""The stream: the long-poll's twin for clients that keep one connection open (Server-Sent Events).

One event an item, the cursor behind it as its id, so that a client that comes back with `Last-Event-ID` misses
nothing and sees nothing twice.
"""

import asyncio
import random
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from domain.clock import Clock
from domain.vocabulary import Surface
from feed import query
from feed.answers import HYGIENE, of_problem
from feed.asgi import Message, Receive, Scope, Send, header
from feed.config import FeedConfig
from feed.cursor import Cursors, Marks
from feed.door import Door
from feed.limits import Rate
from feed.logs import Logs
from feed.lot import Lot
from feed.pages import Page, Pages
from feed.poll import ON_GONE
from feed.problems import Problem, other_filter, replaced, restarting, too_busy, too_fast, wrong_method
from feed.tokens import Scope as TokenScope

# A proxy gives up on a connection that is silent for 60 or 100 seconds.
HEARTBEAT_S = 15.0
_HEARTBEAT = b": all is quiet\n\n"
# As much as is handed to the connection at once: a reader that does not read is waited for after that.
_CHUNK_BYTES = 64 * 1024
_KEPT = 16
_RESTART_MS, _SPREAD_MS = 1_000, 15_000
_REPLACED_MS = 60_000
_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream"), *HYGIENE],
}


class _Stream:
    """One open stream."""

    __slots__ = ("_send", "_spoke_at", "ending", "limit", "marks", "news", "token_id", "visible")

    def __init__(self, token_id: str, visible: frozenset[Surface], marks: Marks, limit: int, send: Send) -> None:
        self._send = send
        self._spoke_at = 0.0
        self.token_id = token_id
        self.visible = visible
        self.marks = marks
        self.limit = limit
        self.news = asyncio.Event()
        self.ending: Problem | None = None

    @property
    def is_over(self) -> bool:
        return self.ending is not None

    def end(self, problem: Problem) -> None:
        self.ending = self.ending or problem
        self.news.set()

    async def say(self, body: bytes) -> None:
        """Send a part, unless this is over already; it waits while the reader does not read."""
        if self.is_over:
            return
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        self._spoke_at = asyncio.get_running_loop().time()

    async def is_quiet(self, heartbeat_s: float) -> bool:
        """Wait for news; return True when there were none for so long that something must be said."""
        try:
            async with asyncio.timeout_at(self._spoke_at + heartbeat_s):
                await self.news.wait()
        except TimeoutError:
            return True
        return False


class Streams:
    """Serves ``/api/signals/stream``, and keeps the streams that are open."""

    def __init__(
        self,
        config: FeedConfig,
        clock: Clock,
        door: Door,
        logs: Logs,
        pages: Pages,
        cursors: Cursors,
        rate: Rate,
        lot: Lot,
    ) -> None:
        self._config = config
        self._clock = clock
        self._door = door
        self._logs = logs
        self._pages = pages
        self._cursors = cursors
        self._rate = rate
        self._lot = lot
        self._tokens: defaultdict[str, OrderedDict[_Stream, None]] = defaultdict(OrderedDict)
        self._rendered: OrderedDict[tuple[int, tuple[str, ...]], tuple[Page, tuple[bytes, ...]]] = OrderedDict()
        self._is_draining = False
        self.heartbeat_s = HEARTBEAT_S

    def __len__(self) -> int:
        return sum(map(len, self._tokens.values()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            stream = self._begin(scope, send)
        except Problem as problem:
            self._door.refused(scope, problem)
            await of_problem(problem).send(send)
            return
        try:
            await self._run(stream, send)
        finally:
            self._leave(stream)

    def wake(self) -> None:
        """Let every stream look for news."""
        for stream in self._all():
            stream.news.set()

    def recheck(self) -> None:
        """End the streams whose token has become invalid, or sees other surfaces than when they began."""
        now = self._clock.now()
        for token_id, streams in list(self._tokens.items()):
            problem = self._door.guard.recheck(token_id, now)
            for stream in list(streams):
                if problem is not None:
                    stream.end(problem)
                elif self._door.guard.surfaces(token_id) != stream.visible:
                    stream.end(other_filter())

    def drain(self) -> None:
        """End every stream with a word about when to come back: this process is about to end."""
        self._is_draining = True
        for stream in self._all():
            stream.end(restarting())

    def _begin(self, scope: Scope, send: Send) -> _Stream:
        if scope["method"] != "GET":
            raise wrong_method("GET")
        subscriber = self._door.admit(scope, TokenScope.FEED_READ, "streams")
        wait = self._rate.wait(subscriber.id)
        if wait:
            raise too_fast(wait)
        visible = frozenset(subscriber.surfaces)
        asked = query.stream(scope["query_string"], visible, header(scope, b"last-event-id"))
        names = self._logs.names(asked.surfaces)
        if asked.cursor is not None:
            marks = self._cursors.unseal(asked.cursor, names)
        else:
            assert asked.start is not None  # query.stream lets nothing else through
            marks = self._pages.start(names, asked.start)
        self._pages.require_servable(marks)
        return self._enter(_Stream(subscriber.id, visible, marks, asked.limit, send), scope)

    def _enter(self, stream: _Stream, scope: Scope) -> _Stream:
        """Take a place; the oldest stream of a token makes room for a newer one, which may be its own second try."""
        mine = self._tokens.get(stream.token_id, OrderedDict())
        if len(mine) >= self._config.streams_per_token:
            oldest = next(iter(mine))
            oldest.end(replaced())
            self._leave(oldest)
        if self._is_draining or len(self._lot) + self._lot.held >= self._config.parked_total:
            raise too_busy()
        self._tokens[stream.token_id][stream] = None
        self._lot.held += 1
        scope[ON_GONE] = self._leaver(stream)
        return stream

    def _leave(self, stream: _Stream) -> None:
        mine = self._tokens.get(stream.token_id, OrderedDict())
        if stream not in mine:
            return
        del mine[stream]
        self._lot.held -= 1
        if not mine:
            del self._tokens[stream.token_id]

    def _leaver(self, stream: _Stream) -> Callable[[], None]:
        def leave() -> None:
            self._leave(stream)
            stream.end(replaced())  # nobody hears it; it ends the wait

        return leave

    async def _run(self, stream: _Stream, send: Send) -> None:
        await send(_START)
        await stream.say(self._heads(stream))
        try:
            while not stream.is_over:
                stream.news.clear()
                await self._tell(stream)
                if await stream.is_quiet(self.heartbeat_s):
                    await self._keep_alive(stream)
        except Problem as problem:
            stream.end(problem)
        assert stream.ending is not None
        await send({"type": "http.response.body", "body": _ending(stream.ending), "more_body": False})

    async def _tell(self, stream: _Stream) -> None:
        """Send everything there is, a page at a time.

        Raises:
            Problem: 410 or 503, as `Pages.at`.
        """
        has_more = True
        while has_more and not stream.is_over:
            page = await self._pages.at(stream.marks, stream.limit)
            for piece in self._pieces(page, stream.marks):
                await stream.say(piece)
            if not page.is_empty:
                stream.marks = page.marks
                await stream.say(self._heads(stream))
            has_more = page.has_more

    async def _keep_alive(self, stream: _Stream) -> None:
        """Say that we are there; a cursor that stayed behind the log is taken along."""
        page = await self._pages.at(stream.marks, stream.limit)
        if page.is_empty and page.marks != stream.marks:
            stream.marks = page.marks
            await stream.say(self._heads(stream))
        else:
            await stream.say(_HEARTBEAT)

    def _pieces(self, page: Page, marks: Marks) -> tuple[bytes, ...]:
        """Return the page as events, in pieces; made once for all streams that stand at the same place."""
        if page.is_empty:
            return ()
        now = self._clock.now()
        dead = tuple(one for one in page.opens if self._logs.board.is_dead(one, now))
        key = (id(page), dead)
        found = self._rendered.get(key)
        if found is None:
            found = page, tuple(_joined(self._each(page, marks, frozenset(dead))))
            self._rendered[key] = found
            if len(self._rendered) > _KEPT:
                self._rendered.popitem(last=False)
        return found[1]

    def _each(self, page: Page, marks: Marks, dead: frozenset[str]) -> Iterator[bytes]:
        """Yield an event for each item. One that must not be executed any more has another name, so that a client
        that knows nothing of it passes it over.
        """
        reached = dict(marks)
        for line in page.lines:
            reached[line.log] = self._logs.sources[line.log].at(line.after)
            name = b"expired" if line.is_open and line.facts.signal_id in dead else b"item"
            yield b"id: %b\nevent: %b\ndata: %b\n\n" % (self._cursors.seal(reached).encode(), name, line.raw)

    def _heads(self, stream: _Stream) -> bytes:
        return b'id: %b\nevent: heads\ndata: {"logs":%b,"server_time":"%b"}\n\n' % (
            self._cursors.seal(stream.marks).encode(),
            self._pages.heads_json(stream.visible),
            self._pages.server_time().encode(),
        )

    def _all(self) -> list[_Stream]:
        return [stream for streams in self._tokens.values() for stream in streams]


def _joined(events: Iterator[bytes]) -> Iterator[bytes]:
    piece = bytearray()
    for event in events:
        if piece and len(piece) + len(event) > _CHUNK_BYTES:
            yield bytes(piece)
            piece.clear()
        piece += event
    if piece:
        yield bytes(piece)


def _ending(problem: Problem) -> bytes:
    """Return the last event: ``gone`` and ``restart`` may come back, ``end`` should not come back unchanged."""
    name, body, retry_ms = "end", dict[str, Any](problem.body), 0
    if problem.status == 410:
        name = "gone"
    elif problem.status == 503:
        name, retry_ms = "restart", _RESTART_MS + random.randrange(_SPREAD_MS)  # noqa: S311  spreads returns
    elif problem.status == 409:
        retry_ms = _REPLACED_MS
    retry = b"retry: %d\n" % retry_ms if retry_ms else b""
    return b"%bevent: %b\ndata: %b\n\n" % (retry, name.encode(), msgspec.json.encode(body))
