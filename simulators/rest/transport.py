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
_MAXIMUM_BODY = 8 * 1024 * 1024
_GZIP_FROM = 1024
# how often somebody who waits looks whether the client still does (wall-clock seconds)
_LOOK_SECONDS = 0.02


class Dropped(Exception):
    """The connection is to be broken without another byte."""


class _BadRequest(Exception):
    """Bytes that are no request this server reads."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are lower case, ``query`` keeps the last value of a key, ``repeated`` all of them.

    ``is_left`` tells whether nobody waits for the reply any more: the client has gone, or the simulator ends.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    repeated: dict[str, list[str]] = field(default_factory=dict)
    head: bytes = b""
    is_left: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Response:
    """One reply with its whole body; with ``cut`` the connection is broken after half of it."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


class Takeover(Protocol):
    """What goes on with a connection after its first request."""

    async def serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Converse until either side ends.

        Raises:
            Dropped: a fault breaks the connection.
        """


Handler = Callable[[Request], Awaitable[Response | Takeover]]


async def pause(request: Request, seconds: float | None) -> bool:
    """Wait so long, or for ever, but no longer than the client does; tell whether the client is still there."""
    clock = asyncio.get_running_loop().time
    end = None if seconds is None else clock() + seconds
    while not request.is_left():
        rest = _LOOK_SECONDS if end is None else end - clock()
        if rest <= 0:
            return True
        await asyncio.sleep(min(rest, _LOOK_SECONDS))
    return False


class Server:
    """Listens on loopback ports and answers with one handler.

    Args:
        refusal: the body of the reply to what is no request, with the reason in the place of ``%s``.
    """

    def __init__(self, handler: Handler, refusal: str = '{"error":"%s"}') -> None:
        self._handler = handler
        self._refusal = refusal
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
                request = await self._read(reader, writer)
            except _BadRequest as exc:
                body = (self._refusal % exc).encode()
                writer.write(head_of(exc.status, {"Content-Length": str(len(body)), "Connection": "close"}) + body)
                await writer.drain()
                return
            if request is None:
                return
            answer = await self._handler(request)
            if not isinstance(answer, Response):
                await answer.serve(request, reader, writer)
                return
            await _send(answer, request, writer)
            if answer.cut:
                raise Dropped
            if request.headers.get("connection", "").lower() == "close":
                return

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as exc:
            if exc.partial:
                raise
            return None
        except asyncio.LimitOverrunError as exc:
            raise _BadRequest(431, "Request header too large") from exc
        method, target, headers = _head_of_request(head)
        url = urlsplit(target)
        repeated = _query_of(url.query)
        return Request(
            method,
            unquote(url.path),
            {name: values[-1] for name, values in repeated.items()},
            headers,
            await _read_body(headers, reader, writer),
            repeated,
            head,
            lambda: self._closing.is_set() or reader.at_eof() or writer.transport.is_closing(),
        )


def _head_of_request(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Return method, target and headers."""
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _BadRequest(400, "Malformed request line")
    named = (line.partition(":") for line in lines[1:-2])
    return parts[0].upper(), parts[1], {name.strip().lower(): value.strip() for name, _, value in named}


def _query_of(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, True):
        found.setdefault(name, []).append(value)
    return found


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
    if not answer.cut and len(body) >= _GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, compresslevel=1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(body))
    writer.write(head_of(answer.status, headers) + (body[: len(body) // 2] if answer.cut else body))
    await writer.drain()


def head_of(status: int, headers: dict[str, str]) -> bytes:
    """Return the first bytes of a reply, up to its body."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")
