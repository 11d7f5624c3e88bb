"""The snapshot of open signals: where a subscriber starts, or finds its feet again."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from domain.vocabulary import Surface
from feed import query
from feed.answers import Answer, accepts_gzip, tag_matches
from feed.problems import not_ready
from feed.service import Service


def answer(service: Service, request: Request, visible: frozenset[Surface]) -> Response:
    """Answer ``/api/signals/open``, or say that nothing has changed since the answer with this ETag."""
    pages = service.pages
    names = service.logs.names(query.snapshot(request.scope["query_string"], visible))
    if service.logs.is_broken():
        raise not_ready("journal")
    lines = service.logs.board.open_lines(frozenset(names))
    items = b",".join([line.raw for line in lines])
    now = service.clock.now()
    expired = pages.expired([line.facts.signal_id for line in lines if line.is_open], now)
    cursor = service.cursors.seal(pages.start(names, "head")).encode()
    # The time is left out of the tag, or no two answers would ever be the same.
    tag = f'W/"{hashlib.sha256(b"|".join((items, expired, cursor))).hexdigest()[:32]}"'
    if tag_matches(request.headers.get("if-none-match"), tag):
        return Answer(304, b"", {"etag": tag}).as_response()
    body = b'{"items":[%b],"expired":%b,"cursor":"%b","logs":%b,"server_time":"%b"}' % (
        items,
        expired,
        cursor,
        pages.heads_json(visible),
        pages.server_time().encode(),
    )
    packed = accepts_gzip(request.headers.get("accept-encoding"))
    return Answer(200, body, {"etag": tag}, packed=packed).as_response()
