"""Pages of a listing behind opaque cursors."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from simulators.kalshi.call import Call
from simulators.kalshi.wire import Json, refusal

T = TypeVar("T")


def page(call: Call, key: str, items: Sequence[T], view: Callable[[T], Json], limit: tuple[int, int]) -> Json:
    """Return one page of a listing and the cursor of the next, empty on the last.

    Args:
        call: the request, which may hold a cursor.
        key: the listing's name in the reply; it also marks whose cursors are meant.
        items: everything that fits the request's filters.
        view: how one of them is written.
        limit: default and greatest number on a page.
    """
    size = call.integer("limit", limit[0], 1, limit[1])
    start = _offset(call, key)
    following = start + size
    cursor = _cursor(key, following) if following < len(items) else ""
    cursor = _disturbed(call, key, start, cursor)
    return {key: [view(item) for item in items[start:following]], "cursor": cursor}


def _disturbed(call: Call, key: str, start: int, cursor: str) -> str:
    fault = call.occasion.take("wrong_cursor")
    if fault is None:
        return cursor
    return _cursor(key, start) if fault.params.get("kind", "repeat") == "repeat" else "bm8gc3VjaCBjdXJzb3I="


def _cursor(key: str, offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([key, offset]).encode()).decode()


def _offset(call: Call, key: str) -> int:
    text = call.query.get("cursor", "")
    if not text:
        return 0
    try:
        found: Any = json.loads(base64.urlsafe_b64decode(text.encode()))
    except (binascii.Error, ValueError):
        found = None
    if not isinstance(found, list) or len(found) != 2 or found[0] != key or not isinstance(found[1], int):
        raise refusal(400, "invalid_parameters", details="cursor is unknown")
    return found[1]
