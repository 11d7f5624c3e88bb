"""What lets a subscriber check the history it is shown: the publishers' keys, and signed checkpoints of the logs."""

import hashlib
import os
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from domain.vocabulary import Surface
from feed import query
from feed.answers import Answer, tag_matches
from feed.problems import not_ready, unknown
from feed.service import Service
from journal.layout import CHECKPOINTS

# A checkpoint of a log of 2^64 records stays below 6 KiB: 64 peaks and the rest.
_LINE_MAX = 16 * 1024


def keys(service: Service, request: Request, visible: frozenset[Surface]) -> Response:
    """Answer ``/api/keys``: the public keys of the surfaces the token sees."""
    query.nothing(request.scope["query_string"])
    service.keys.refresh()
    if service.keys.problem is not None:
        raise not_ready("keys")
    return _tagged(request, msgspec.json.encode({"keys": service.keys.of(visible)}))


def checkpoint(service: Service, request: Request, visible: frozenset[Surface]) -> Response:
    """Answer ``/api/checkpoint``: the newest checkpoint line of a log, as it was written.

    Raises:
        Problem: 404 for a log without a checkpoint, and for one the token does not see.
    """
    name = query.log_name(request.scope["query_string"])
    if name not in service.logs.names(visible):
        raise unknown()
    line = last_line(service.logs.sources[name].directory / CHECKPOINTS)
    if line is None:
        raise unknown()
    return _tagged(request, line)


def last_line(path: Path) -> bytes | None:
    """Return the last line of a file without its newline; what a crash left unfinished at the end is passed over."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - 2 * _LINE_MAX))
            whole = file.read().rpartition(b"\n")[0]
    except FileNotFoundError:
        return None
    return whole.rpartition(b"\n")[2] or None


def _tagged(request: Request, body: bytes) -> Response:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if tag_matches(request.headers.get("if-none-match"), tag):
        return Answer(304, b"", {"etag": tag}).as_response()
    return Answer(200, body, {"etag": tag}).as_response()
