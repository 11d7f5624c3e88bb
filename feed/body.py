"""The body of a request, read with a limit that also holds for bodies of unknown length."""

from starlette.requests import ClientDisconnect, Request

from feed.problems import not_json, too_large


async def read(request: Request, limit: int) -> bytes:
    """Return the body of a JSON request.

    Raises:
        Problem: 415 when it does not call itself JSON, 413 as soon as it is known to be too large.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise not_json()
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced[:12]) > limit:
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
