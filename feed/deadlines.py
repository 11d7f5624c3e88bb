"""An HTTP protocol that does not wait for ever: for a request's head, for its body, or for a reader that does not read.

uvicorn bounds none of these (a request sent a byte at a time stayed open as long as it liked). Timers are only set
for what does not arrive in one piece, so an ordinary request pays for none.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from feed.poll import ON_GONE

HEAD_MAX_BYTES = 32 * 1024
_TOO_LARGE = "The head of the request is too large."


class DeadlineProtocol(HttpToolsProtocol):
    """Closes a connection that is late; the limits, in seconds, are for a subclass to give."""

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
        if self._waits_for == "head" and self._is_endless(data):
            self.send_400_response(_TOO_LARGE)
            return
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
        self._bound_closing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._bound_closing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._bound_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._end_write_deadline()
        super().connection_lost(exc)
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete and ON_GONE in cycle.scope:
            cycle.scope[ON_GONE]()

    def _is_endless(self, data: bytes) -> bool:
        """Tell whether a head does not end within its limit; one that arrives whole would never be counted."""
        left = HEAD_MAX_BYTES - self._head_bytes
        return len(data) > left and data.find(b"\r\n\r\n", 0, left) < 0

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_MAX_BYTES:
            self.send_400_response(_TOO_LARGE)
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

    def _bound_closing(self) -> None:
        """Closing waits for what is still unsent: for ever, when nobody reads it and it is too little to pause for."""
        if self._write_deadline is None and self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._write_deadline = self.loop.call_later(self.write_s, self.transport.abort)

    def _late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            if self._waits_for == "body" and not self.cycle.response_started:
                self.transport.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()
            self._bound_closing()
