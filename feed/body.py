"""The body of a request, read with a limit that also holds for bodies of unknown length."""

from email.message import Message
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from feed.problems import not_json, too_large


async def read(request: Request, limit: int) -> bytes:
    """Return the body of a JSON request.

    Raises:
        Problem: 415 when it does not call itself JSON in UTF-8, or is packed; 413 as soon as it is known to be too
            large.
    """
    if not _is_plain_json(request.headers):
        raise not_json()
    announced = request.headers.get("content-length", "0")
    if not (announced.isascii() and announced.isdigit()) or len(announced) > 12 or int(announced) > limit:
        raise too_large(limit)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise too_large(limit)
    except ClientDisconnect:  # there is nobody left to answer; what was read is no report
        return b""
    return bytes(body)


def _is_plain_json(headers: Headers) -> bool:
    """Tell whether a body is what it seems: a packed one may be a thousand times larger than it arrives."""
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        return False
    given = headers.getlist("content-type")
    return len(given) == 1 and _is_json(given[0])


@lru_cache(maxsize=64)
def _is_json(content_type: str) -> bool:
    declared = Message()
    declared["content-type"] = content_type
    charset = str(declared.get_param("charset") or "utf-8").lower()
    return declared.get_content_type() == "application/json" and charset in ("utf-8", "utf8", "us-ascii")
