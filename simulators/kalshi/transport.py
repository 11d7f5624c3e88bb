"""HTTP/1.1 over asyncio streams, with hold of the socket so that a fault can break it at any point.

A handler may take the connection over, which is how a WebSocket begins.
"""

import asyncio
import gzip
import ssl
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

_MAXIMUM_HEAD = 64 * 1024
_MAXIMUM_BODY = 1024 * 1024
_GZIP_FROM = 1024


class Dropped(Exception):
    """The connection is to be broken without another byte."""


class _BadRequest(Exception):
    """Bytes that are no request this server reads."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are lower case, ``query`` keeps the last value of a key, ``repeated`` all of them."""

    method: str
    path: str
    query: dict[str, str]
    repeated: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    head: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One reply with its whole body."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Takeover(Protocol):
    """What goes on with a connection after its first request."""

    async def serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Converse until either side ends.

        Raises:
            Dropped: a fault breaks the connection.
        """


Handler = Callable[[Request], Awaitable[Response | Takeover]]


class Server:
    """Listens on loopback ports and answers with one handler."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._closing = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, port: int, context: ssl.SSLContext | None = None) -> int:
        """Open a port, with TLS where a context is given, and return its number; 0 asks the system for a free one."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", port, limit=_MAXIMUM_HEAD, ssl=context)
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def close(self, grace_seconds: float = 1.0) -> None:
        """Stop listening, let replies go out, then cut what is left."""
        self._closing.set()
        for server in self._servers:
            server.close()
        if self._connections:
            await asyncio.wait(self._connections, timeout=grace_seconds / 4)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            await self._converse(reader, writer)
        except (Dropped, ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
        except Exception:  # noqa: BLE001 -- a defect of the simulator must not look like a venue that hangs
            traceback.print_exc()
            writer.transport.abort()
        else:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self._closing.is_set():
            try:
                request = await _read_request(reader, writer)
            except _BadRequest as exc:
                body = b'{"code":"bad_request","message":"' + str(exc).encode() + b'"}'
                writer.write(_head(exc.status, {"Content-Length": str(len(body)), "Connection": "close"}) + body)
                await writer.drain()
                return
            if request is None:
                return
            answer = await self._handler(request)
            if not isinstance(answer, Response):
                await answer.serve(request, reader, writer)
                return
            await _send(answer, request, writer)
            if request.headers.get("connection", "").lower() == "close":
                return


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as exc:
        if exc.partial:
            raise
        return None
    except asyncio.LimitOverrunError as exc:
        raise _BadRequest(431, "Request header too large") from exc
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _BadRequest(400, "Malformed request line")
    headers = {}
    for line in lines[1:-2]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    url = urlsplit(parts[1])
    body = await _read_body(headers, reader, writer)
    repeated: dict[str, list[str]] = {}
    for name, value in parse_qsl(url.query, True):
        repeated.setdefault(name, []).append(value)
    query = {name: values[-1] for name, values in repeated.items()}
    return Request(parts[0].upper(), unquote(url.path), query, repeated, headers, body, head)


async def _read_body(headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    if "transfer-encoding" in headers:
        raise _BadRequest(411, "Content-Length required")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit():
        raise _BadRequest(400, "Malformed Content-Length")
    if int(length) > _MAXIMUM_BODY:
        raise _BadRequest(413, "Request body too large")
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await reader.readexactly(int(length))


async def _send(answer: Response, request: Request, writer: asyncio.StreamWriter) -> None:
    headers, body = dict(answer.headers), answer.body
    if len(body) >= _GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, compresslevel=1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(body))
    writer.write(_head(answer.status, headers) + body)
    await writer.drain()


def _head(status: int, headers: dict[str, str]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")
