"""HTTP/1.1 over asyncio streams, which tells a handler that the client has gone and can cut a body in the middle."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

_MAXIMUM_HEAD = 64 * 1024
_MAXIMUM_BODY = 8 * 1024 * 1024
_GZIP_FROM = 1024
_LOOK_SECONDS = 0.02


class _BadRequest(Exception):
    """Bytes that are no request this server reads."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are lower case. ``is_left`` tells whether the client has closed its side."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    is_left: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Response:
    """One reply with its whole body; with ``cut`` the connection is broken after half of it."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


Handler = Callable[[Request], Awaitable[Response | None]]


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
    """Listens on a loopback port and answers with one handler; no answer (None) breaks the connection."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> int:
        """Open the port and return its number; 0 asks the system for a free one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, limit=_MAXIMUM_HEAD)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        clean = False
        try:
            clean = await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            if clean:
                writer.close()
            else:
                writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        while True:
            try:
                request = await _read_request(reader, writer)
            except _BadRequest as exc:
                body = b'{"error":{"message":"' + str(exc).encode() + b'"}}'
                writer.write(_head(exc.status, {"content-length": str(len(body)), "connection": "close"}) + body)
                await writer.drain()
                return True
            if request is None:
                return True
            answer = await self._handler(request)
            if answer is None or request.is_left():
                return False
            await _send(answer, request, writer)
            if answer.cut:
                return False
            if request.headers.get("connection", "").lower() == "close":
                return True


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
    named = (line.partition(":") for line in lines[1:-2])
    headers = {name.strip().lower(): value.strip() for name, _, value in named}
    url = urlsplit(parts[1])
    body = await _read_body(headers, reader, writer)
    is_left = lambda: reader.at_eof() or writer.transport.is_closing()  # noqa: E731 - one expression, used once
    return Request(parts[0].upper(), unquote(url.path), dict(parse_qsl(url.query, True)), headers, body, is_left)


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
        headers["content-encoding"] = "gzip"
    headers["content-length"] = str(len(body))
    writer.write(_head(answer.status, headers) + (body[: len(body) // 2] if answer.cut else body))
    await writer.drain()


def _head(status: int, headers: dict[str, str]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")
