"""The server's side of one WebSocket, from the handshake to the close."""

import asyncio
import time
from collections.abc import Callable

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Opening
from websockets.server import ServerProtocol

from simulators.rest.transport import Dropped, Request

POLL_SECONDS = 0.05
# a client's watchdog runs on the wall clock, so pings do too
PING_SECONDS = 10.0
_READ = 65536


class WebSocket:
    """Texts in and out over a connection that an HTTP server gave away."""

    def __init__(self) -> None:
        self._protocol = ServerProtocol()

    def send(self, text: bytes) -> None:
        """Put a message in line; it leaves with the next beat."""
        self._protocol.send_text(text)

    def end(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye; the conversation ends when the other side answers."""
        self._protocol.send_close(code, reason)

    async def converse(
        self,
        request: Request,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        take: Callable[[bytes], None],
        beat: Callable[[], None],
    ) -> None:
        """Hand every text to ``take`` and call ``beat`` some twenty times a second, until either side ends.

        Raises:
            Dropped: the handshake is none, or ``take`` or ``beat`` breaks the connection.
        """
        self._protocol.receive_data(request.head)
        opening = next(iter(self._protocol.events_received()), None)
        if not isinstance(opening, Opening):
            raise Dropped
        self._protocol.send_response(self._protocol.accept(opening))
        await self._flush(writer)
        reading, pinged = asyncio.create_task(reader.read(_READ)), time.monotonic()
        try:
            while True:
                done, _ = await asyncio.wait({reading}, timeout=POLL_SECONDS)
                if done:
                    data = reading.result()
                    if not data or not self._receive(data, take):
                        break
                    reading = asyncio.create_task(reader.read(_READ))
                if time.monotonic() - pinged >= PING_SECONDS:
                    pinged = time.monotonic()
                    self._protocol.send_ping(b"heartbeat")
                beat()
                await self._flush(writer)
            await self._flush(writer)
        finally:
            reading.cancel()

    async def _flush(self, writer: asyncio.StreamWriter) -> None:
        for data in self._protocol.data_to_send():
            if data:
                writer.write(data)
        await writer.drain()

    def _receive(self, data: bytes, take: Callable[[bytes], None]) -> bool:
        """Take in bytes; tell whether the connection goes on."""
        try:
            self._protocol.receive_data(data)
        except ProtocolError:
            return False
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                take(bytes(event.data))
            elif isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
                return False
        return True
