"""An HTTP protocol that does not wait for ever: for a request's head, for its body, or for a reader that does not read.

uvicorn bounds none of these (a request sent a byte at a time stayed open as long as it liked). Timers are only set
for what does not arrive in one piece, so an ordinary request pays for none.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from feed.poll import ON_GONE

HEAD_MAX_BYTES = 32 * 1024


class DeadlineProtocol(HttpToolsProtocol):
    """Closes a connection that is late; `bounded` makes the class for given limits."""

    head_s: float
    body_s: float
    write_s: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._waits_for: str | None = "head"
        self._head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._arm(self.head_s)

    def data_received(self, data: bytes) -> None:
        if self._waits_for is None:  # the first bytes of the next request on this connection
            self._waits_for, self._head_bytes = "head", 0
        before = self._waits_for
        super().data_received(data)
        if self.transport.is_closing():
            self._disarm()
        elif self._waits_for == "head":
            self._count(len(data))
        elif self._waits_for == "body" and before != "body":
            self._arm(self.body_s)

    def on_headers_complete(self) -> None:
        self._disarm()
        self._waits_for = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._disarm()
        self._waits_for = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = self.loop.call_later(self.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_write_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._end_write_deadline()
        super().connection_lost(exc)
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete and ON_GONE in cycle.scope:
            cycle.scope[ON_GONE]()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_MAX_BYTES:
            self.send_400_response("The head of the request is too large.")
        elif self._deadline is None:
            self._arm(self.head_s)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_write_deadline(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            if self._waits_for == "body" and not self.cycle.response_started:
                self.transport.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()


def bounded(head_s: float, body_s: float, write_s: float) -> type[DeadlineProtocol]:
    """Return the protocol with these limits, in seconds."""
    return type("BoundedProtocol", (DeadlineProtocol,), {"head_s": head_s, "body_s": body_s, "write_s": write_s})
