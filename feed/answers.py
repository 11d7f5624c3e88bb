"""Answers as ASGI messages, with the headers every one of them carries."""

import gzip
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from feed.asgi import Message, Send
from feed.problems import Problem

# The feed's answers belong to one token and to this moment: no cache may keep one, and nginx must not hold one back.
HYGIENE: tuple[tuple[bytes, bytes], ...] = (
    (b"cache-control", b"no-store"),
    (b"vary", b"Authorization, Accept-Encoding"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)
_JSON = (b"content-type", b"application/json")
_GZIP = (b"content-encoding", b"gzip")
_WORTH_PACKING = 1024
# In a scope: writes an answer in one piece, if the protocol can do that.
WHOLE = "tbot.whole"


class Answer:
    """One whole answer. It is made once and may be sent to any number of connections.

    ``closes`` says that the connection ends with it.
    """

    __slots__ = ("_wire", "body", "closes", "start", "status")

    def __init__(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, *, packed: bool = False
    ) -> None:
        lines = [_JSON, *HYGIENE] if body else [*HYGIENE]
        if packed and len(body) > _WORTH_PACKING:
            body = gzip.compress(body, compresslevel=5, mtime=0)
            lines.append(_GZIP)
        lines.extend((name.encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items())
        if status != 304:
            lines.append((b"content-length", b"%d" % len(body)))
        self.status = status
        self.start: Message = {"type": "http.response.start", "status": status, "headers": lines}
        self.body: Message = {"type": "http.response.body", "body": body}
        self.closes = (headers or {}).get("connection") == "close"
        self._wire = b""

    def wire(self, beside: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Return the answer as it goes over an HTTP/1.1 connection; ``beside`` are the server's own headers.

        Made once, for whoever is answered first: an answer lives shorter than a date header.
        """
        if not self._wire:
            lines = [b"%b: %b\r\n" % line for line in (*beside, *self.start["headers"])]
            self._wire = b"".join((STATUS_LINE[self.status], *lines, b"\r\n", self.body["body"]))
        return self._wire

    def as_response(self) -> Response:
        """Return the same answer for a FastAPI route."""
        response = Response(self.body["body"], self.status)
        response.raw_headers = self.start["headers"]
        return response

    async def send(self, send: Send) -> None:
        await send(self.start)
        await send(self.body)


def as_json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, msgspec.json.encode(value), headers)


def of_problem(problem: Problem) -> Answer:
    return as_json(problem.status, problem.body, problem.headers)


def accepts_gzip(header: str | None) -> bool:
    """Tell whether an Accept-Encoding header asks for gzip."""
    for part in (header or "").lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def tag_matches(header: str | None, tag: str) -> bool:
    """Tell whether an If-None-Match header names this ETag."""
    given = [one.strip().removeprefix("W/") for one in (header or "").split(",")]
    return "*" in given or tag.removeprefix("W/") in given
