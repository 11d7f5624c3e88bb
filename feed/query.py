"""The query of a poll, checked: which logs, from where, how many, how long to wait."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import parse_qsl

import msgspec

from domain.clock import parse_iso
from domain.vocabulary import Surface
from feed.problems import Problem, parameter

LIMIT_DEFAULT = 100
LIMIT_MAX = 500
_POLL = ("cursor", "start", "wait", "limit", "surface")
_MOMENT = "head, oldest, or an ISO-8601 moment with its offset"
_FIELDS_MAX = 32


class Query(msgspec.Struct, frozen=True):
    """What a poll asks for; exactly one of ``cursor`` and ``start`` is set."""

    surfaces: frozenset[Surface]
    cursor: str | None
    start: str | datetime | None
    wait_s: float
    limit: int


def poll(query_string: bytes, visible: frozenset[Surface], *, default_wait_s: float, max_wait_s: float) -> Query:
    """Read the parameters of ``/api/signals/feed``.

    Raises:
        Problem: 400, naming the parameter.
    """
    given = _given(query_string, _POLL)
    cursor, start = _single(given, "cursor"), _single(given, "start")
    if (cursor is None) == (start is None):
        raise parameter("cursor", "exactly one of cursor and start")
    wait = _single(given, "wait")
    limit = _single(given, "limit")
    return Query(
        surfaces(given, visible),
        cursor,
        None if start is None else _start(start),
        default_wait_s if wait is None else _seconds(wait, max_wait_s),
        LIMIT_DEFAULT if limit is None else _limit(limit),
    )


def stream(query_string: bytes, visible: frozenset[Surface], last_event_id: str | None) -> Query:
    """Read the parameters of ``/api/signals/stream``. What a client saw last goes before what its address says: a
    browser comes back with the address it began with.

    Raises:
        Problem: 400, naming the parameter.
    """
    given = _given(query_string, ("cursor", "start", "limit", "surface"))
    cursor, start, limit = _single(given, "cursor"), _single(given, "start"), _single(given, "limit")
    if last_event_id:
        cursor, start = last_event_id, None
    if (cursor is None) == (start is None):
        raise parameter("cursor", "exactly one of cursor and start, or the header Last-Event-ID")
    return Query(
        surfaces(given, visible),
        cursor,
        None if start is None else _start(start),
        0.0,
        LIMIT_DEFAULT if limit is None else _limit(limit),
    )


def snapshot(query_string: bytes, visible: frozenset[Surface]) -> frozenset[Surface]:
    """Read the parameters of ``/api/signals/open``: only ``surface``."""
    return surfaces(_given(query_string, ("surface",)), visible)


def log_name(query_string: bytes) -> str:
    """Read the parameters of ``/api/checkpoint``: the name of one log."""
    name = _single(_given(query_string, ("log",)), "log")
    if name is None:
        raise parameter("log", "the name of a log, such as fx/signals")
    return name


def nothing(query_string: bytes) -> None:
    """Refuse every parameter."""
    _given(query_string, ())


def surfaces(given: Sequence[tuple[str, str]], visible: frozenset[Surface]) -> frozenset[Surface]:
    """Return the surfaces asked for. One the token does not see is refused in the same words as one that is none."""
    asked = [value for name, value in given if name == "surface"]
    if not set(asked) <= {surface.value for surface in visible}:
        raise parameter("surface", "a surface of this token")
    return frozenset(Surface(value) for value in asked) or visible


def _given(query_string: bytes, known: Sequence[str]) -> list[tuple[str, str]]:
    try:
        text = query_string.decode("ascii")
        given = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise parameter("query", "at most 32 parameters in UTF-8, percent-encoded") from None
    for name, _ in given:
        if name not in known:
            raise Problem(400, "parameter", f"known here: {', '.join(known) or 'no parameters'}", parameter=name[:40])
    return given


def _single(given: Sequence[tuple[str, str]], name: str) -> str | None:
    values = [value for key, value in given if key == name]
    if len(values) > 1:
        raise parameter(name, "to be given once")
    return values[0] if values else None


def _start(text: str) -> str | datetime:
    if text in ("head", "oldest"):
        return text
    try:
        return parse_iso(text.replace(" ", "+"))  # a plus sign that was not percent-encoded arrives as a space
    except (ValueError, OverflowError):
        raise parameter("start", _MOMENT) from None


def _seconds(text: str, most: float) -> float:
    plain = text.replace(".", "", 1)
    value = float(text) if plain.isascii() and plain.isdigit() and len(text) <= 12 else -1.0
    if not 0 <= value <= most:
        raise parameter("wait", f"seconds from 0 to {most:g}")
    return value


def _limit(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0
    if not 1 <= value <= LIMIT_MAX:
        raise parameter("limit", f"a whole number from 1 to {LIMIT_MAX}")
    return value
