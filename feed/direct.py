"""Answers straight from the protocol: for a poll that waits no task, no future and no ASGI messages.

A woken poll costs uvicorn's way about 50 us (a task's turn, two messages, the headers written anew) and a waiting one
several KiB. Here a waiting poll is one small object, and waking it is one write of bytes that all of them share.
What is out of the ordinary (a page from the disk, another method, pipelining, HTTP/1.0) goes uvicorn's way. A report
has its task, and its answer is written in one piece as well.
"""

import asyncio
from collections import deque
from functools import cached_property
from typing import Any, ClassVar

import structlog
from uvicorn.protocols.http.flow_control import FlowControl

from feed.answers import WHOLE, Answer, of_problem
from feed.asgi import Scope
from feed.deadlines import DeadlineProtocol
from feed.lot import TICK_S, Parked
from feed.poll import ON_GONE, Poll
from feed.problems import Problem
from feed.schema import POLL_PATH

log = structlog.get_logger("feed")

_PATH = POLL_PATH.encode()
_BODY = (b"content-length", b"transfer-encoding")
_NOTHING_KEPT: Scope = {}
# One for all connections on which nothing was ever queued: an empty deque takes 760 bytes. It holds nothing.
_NOTHING_QUEUED: deque[Any] = deque(maxlen=0)


class _Unheard:
    """An event nobody waits for."""

    def set(self) -> None:
        pass


class Waiting(Parked):
    """A poll in progress, with what uvicorn wants to know of a request in progress."""

    __slots__ = (
        "body", "disconnected", "keep_alive", "more_body", "protocol", "response_complete", "response_started", "scope",
    )  # fmt: skip

    message_event: ClassVar = _Unheard()

    def __init__(self, protocol: "PollProtocol") -> None:
        self.protocol = protocol
        self.scope = _NOTHING_KEPT
        self.body: bytes | bytearray = b""
        self.more_body = True
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False

    def tell(self, answer: Answer | None) -> None:
        if self.disconnected:
            return
        if answer is None:
            self.protocol.look_again(self)
        else:
            self.protocol.answer(self, answer)


class Idle:
    """Connections between two requests, closed when that takes too long: one timer for all of them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[PollProtocol, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, protocol: "PollProtocol") -> None:
        loop = protocol.loop
        self._since[protocol] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._sweep, loop)

    def discard(self, protocol: "PollProtocol") -> None:
        self._since.pop(protocol, None)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._since:
            protocol, since = next(iter(self._since.items()))  # the oldest: all wait equally long
            if since + self._seconds > now:
                self._timer = loop.call_at(since + self._seconds, self._sweep, loop)
                return
            del self._since[protocol]
            protocol.timeout_keep_alive_handler()


class _Flow(FlowControl):
    """Flow control that makes its event when somebody has to wait: an event takes a KiB."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = self.write_paused = False

    @cached_property
    def _is_writable_event(self) -> asyncio.Event:  # type: ignore[override]  # an attribute there
        event = asyncio.Event()
        if not self.write_paused:
            event.set()
        return event


class PollProtocol(DeadlineProtocol):
    """Serves polls itself and hands everything else on; `serving` makes the class for one feed."""

    poll: Poll
    idle: Idle

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pipeline = _NOTHING_QUEUED
        self._waiting: Waiting | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = _Flow(transport)

    def on_headers_complete(self) -> None:
        if self._is_plain_poll() and self._begin():
            return
        if self.pipeline is _NOTHING_QUEUED:
            self.pipeline = deque()
        scope: Any = self.scope  # its type knows nothing of ours
        scope[WHOLE] = self.answer_whole
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.idle.discard(self)
        super().connection_lost(exc)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.disconnected = True
            self.poll.lot.leave(waiting)
            if ON_GONE in waiting.scope:
                waiting.scope[ON_GONE]()

    def _unset_keepalive_if_required(self) -> None:
        super()._unset_keepalive_if_required()
        self.idle.discard(self)

    def answer(self, waiting: Waiting, answer: Answer) -> None:
        """Write a whole answer and be ready for the next request."""
        self._waiting = None
        waiting.response_started = waiting.response_complete = True
        if self.transport.is_closing():
            return
        self.transport.write(answer.wire(self.server_state.default_headers))
        if answer.closes or not waiting.keep_alive:
            self.server_state.total_requests += 1
            self.transport.close()
            self._bound_closing()
        else:
            self._go_on()

    def answer_whole(self, scope: Scope, answer: Answer) -> bool:
        """Write the answer to a request that a task serves, in one piece; False when it must go the usual way.

        uvicorn writes head and body apart: two system calls, and often two packets.
        """
        cycle = self.cycle
        is_ours = cycle.scope is scope and not cycle.response_started
        may_stay = cycle.keep_alive and not answer.closes and not self.transport.is_closing()
        if not (is_ours and may_stay) or self.flow.write_paused or scope["method"] == "HEAD":
            return False
        cycle.response_started = cycle.response_complete = True
        self.transport.write(answer.wire(self.server_state.default_headers))
        self._go_on()
        return True

    def _go_on(self) -> None:
        """Be ready for the next request."""
        if self.pipeline:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()
            self.idle.add(self)

    def look_again(self, waiting: Waiting) -> None:
        """Let a task find the answer; it may have to wait for the disk."""
        waiting.scope = {}
        task = self.loop.create_task(self._find(waiting))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _find(self, waiting: Waiting) -> None:
        left = max(0.0, waiting.due * TICK_S - self.loop.time())
        answer = await self.poll.resume(waiting.scope, waiting, left)
        if not waiting.disconnected:
            self.answer(waiting, answer)

    def _is_plain_poll(self) -> bool:
        url, parser = self.url, self.parser
        before: Any = self.cycle  # none yet on a fresh connection, whatever its type says
        if not url.startswith(_PATH) or url[len(_PATH) :][:1] not in (b"", b"?") or b"#" in url:
            return False
        is_ordinary = parser.get_method() == b"GET" and parser.get_http_version() == "1.1"
        is_first = before is None or before.response_complete
        may_stay = parser.should_keep_alive() and not parser.should_upgrade()
        has_body = any(name in _BODY for name, _ in self.headers)
        return is_ordinary and is_first and may_stay and not (has_body or self.pipeline or self.flow.write_paused)

    def _begin(self) -> bool:
        """Answer a poll or park it; False when it is to be served like any other request."""
        waiting = Waiting(self)
        outcome = self._ask(waiting)
        if outcome is None:
            return False
        self._disarm()
        self._waits_for = "body"
        self.cycle = waiting  # type: ignore[assignment]  # it has what uvicorn looks at
        self.scope = self.headers = None  # type: ignore[assignment]  # nobody looks at these while it waits
        self.url = b""
        if isinstance(outcome, Answer):
            self.answer(waiting, outcome)
        else:
            self._waiting = waiting
        return True

    def _ask(self, waiting: Waiting) -> Answer | Parked | None:
        scope: Any = self.scope
        scope["method"], scope["path"] = "GET", POLL_PATH
        scope["query_string"] = self.url[len(_PATH) + 1 :]
        try:
            return self.poll.begin(scope, waiting)
        except Exception as error:  # noqa: BLE001  the parser would call it the client's mistake
            log.error("a poll failed", error=repr(error))
            return of_problem(Problem(500, "feed", "this is ours to mend"))


def serving(poll: Poll, *, head_s: float, body_s: float, write_s: float, keep_alive_s: float) -> type[PollProtocol]:
    """Return the protocol for this feed, with its limits in seconds."""
    limits = {"head_s": head_s, "body_s": body_s, "write_s": write_s}
    return type("FeedProtocol", (PollProtocol,), {**limits, "poll": poll, "idle": Idle(keep_alive_s)})
