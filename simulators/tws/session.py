"""One connected client: its socket, its identity and what it is sent."""

import asyncio
import re
import time
from collections import deque
from typing import Protocol

from simulators.tws.framing import Malformed, encode, read_payload, split

SERVER_VERSION = 176
_VERSIONS = re.compile(rb"v(\d+)(?:\.\.(\d+))?(?: .*)?\Z", re.DOTALL)
# brokers allow so many messages in a second and close the connection at the third breach
_MESSAGES_A_SECOND = 50
_BREACHES = 3
_UNREAD_BYTES = 8 * 1024 * 1024


class Listening(Protocol):
    """What a session hands its messages to."""

    def greeting(self) -> str | None:
        """Return the time of connection, or None when the gateway says nothing."""

    def hear(self, session: "Session", values: list[str]) -> None:
        """Act on one message."""

    def left(self, session: "Session") -> None:
        """Forget a client that has gone."""


class Session:
    """A client's connection. ``client`` is None until it has said who it is.

    ``muted`` holds order numbers of which this client is told nothing; ``dead`` swallows everything.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gateway: Listening) -> None:
        self._reader = reader
        self._writer = writer
        self._gateway = gateway
        self.client: int | None = None
        self.ready = False
        self.dead = False
        self.muted: set[int] = set()
        self.cut_next = False
        # until then, on the monotonic clock, lists of orders and executions are empty
        self.unloaded_until = 0.0
        self.breaches = 0
        self._heard: deque[float] = deque()
        self._waiting: deque[bytes] = deque()
        self._held_until = 0.0

    async def serve(self) -> None:
        """Converse until the client leaves or is put out."""
        try:
            if await self._greet():
                while (payload := await read_payload(self._reader)) is not None:
                    if not self.dead:
                        self._gateway.hear(self, split(payload))
        except (Malformed, ConnectionError, TimeoutError):
            # nobody can be told: the next byte could be anything
            pass
        finally:
            self._gateway.left(self)
            self._writer.close()

    async def _greet(self) -> bool:
        try:
            if await self._reader.readexactly(4) != b"API\0":
                return False
        except asyncio.IncompleteReadError:
            return False
        found = _VERSIONS.match(await read_payload(self._reader) or b"")
        if found is None or not int(found[1]) <= SERVER_VERSION <= int(found[2] or found[1]):
            return False
        said = self._gateway.greeting()
        if said is None:
            self.dead = True
        self.send(SERVER_VERSION, said)
        return True

    def counts_too_many(self) -> bool:
        """Count a message; tell whether it is more than a second allows."""
        now = time.monotonic()
        while self._heard and now - self._heard[0] >= 1:
            self._heard.popleft()
        if len(self._heard) >= _MESSAGES_A_SECOND:
            self.breaches += 1
            return True
        self._heard.append(now)
        return False

    @property
    def is_loaded(self) -> bool:
        """Tell whether lists of orders and executions can be answered."""
        return time.monotonic() >= self.unloaded_until

    @property
    def is_put_out(self) -> bool:
        """Tell whether it was too fast too often."""
        return self.breaches >= _BREACHES

    def send(self, *fields: object) -> None:
        """Send one message, unless nothing is to reach this client."""
        if self.dead or self._writer.is_closing():
            return
        frame = encode(fields)
        if self.cut_next:
            self._writer.write(frame[: max(len(frame) // 2, 1)])
            self.dead = True
            self.close()
            return
        if self._writer.transport.get_write_buffer_size() > _UNREAD_BYTES:
            # a client that no longer reads is put out before it fills our memory
            self.abort()
            return
        if self._waiting or time.monotonic() < self._held_until:
            self._waiting.append(frame)
            return
        self._writer.write(frame)

    def error(self, request: int, code: int, text: str) -> None:
        """Send an error or a notice; ``request`` is -1 when it is about none."""
        self.send(4, 2, request, code, text, "")

    def hold(self, seconds: float) -> None:
        """Send nothing for so long; what is said meanwhile follows in its order."""
        self._held_until = max(self._held_until, time.monotonic() + seconds)
        asyncio.get_running_loop().call_later(seconds + 0.001, self._let_go)

    def _let_go(self) -> None:
        if time.monotonic() < self._held_until or self._writer.is_closing():
            return
        while self._waiting:
            self._writer.write(self._waiting.popleft())

    def close(self) -> None:
        """Close the connection after what was sent."""
        self._writer.close()

    def abort(self) -> None:
        """Break the connection at once."""
        self.dead = True
        self._writer.transport.abort()
