"""Every answer that is not a success: status, code for programs, sentence for people.

This module is the single authority for the feed's error codes. No sentence names a surface or a signal the caller did
not name itself.
"""

import random
from typing import Any


class Problem(Exception):
    """An answer to give instead of what was asked for."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        note: str = "",
        **extra: Any,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.headers = headers or {}
        self.note = note  # for the access journal; the caller is not told
        self.body: dict[str, Any] = {"code": code, "detail": detail, **extra}


def unauthorised(note: str = "") -> Problem:
    """Refuse a token in the same words whatever is wrong with it; ``note`` says what that is."""
    headers = {"www-authenticate": 'Bearer realm="tbot"'}
    return Problem(401, "token", "a valid bearer token is needed", headers=headers, note=note)


def forbidden(scope: str) -> Problem:
    return Problem(403, "scope", f"this token lacks the scope {scope}")


def parameter(name: str, expected: str) -> Problem:
    return Problem(400, "parameter", f"{name}: expected {expected}", parameter=name)


def bad_cursor() -> Problem:
    return Problem(400, "cursor_invalid", "this is no cursor of this feed; begin anew with `start`")


def other_filter() -> Problem:
    return Problem(400, "cursor_filter", "this cursor was made with other surfaces; begin anew with `start`")


def gone(code: str, *, oldest_cursor: str, head_cursor: str, missed_estimate: int) -> Problem:
    """Say that a cursor cannot be served, and give the two places from which to go on."""
    return Problem(
        410,
        code,
        "go on from `oldest_cursor`, or read the snapshot and go on from its cursor",
        oldest_cursor=oldest_cursor,
        head_cursor=head_cursor,
        missed_estimate=missed_estimate,
    )


def unknown() -> Problem:
    return Problem(404, "unknown", "there is nothing here")


def wrong_method(allowed: str) -> Problem:
    return Problem(405, "method", f"allowed here: {allowed}", headers={"allow": allowed})


def too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"a body may have {limit} bytes", headers={"connection": "close"})


def not_json() -> Problem:
    return Problem(415, "media_type", "the body must be application/json", headers={"connection": "close"})


def invalid(errors: list[dict[str, str]]) -> Problem:
    return Problem(422, "invalid", "the report is not as documented", errors=errors)


def too_fast(after_s: float) -> Problem:
    return Problem(429, "rate", "too many requests for this token", headers=_retry_after(after_s))


def too_many_failures(after_s: float, note: str) -> Problem:
    headers = _retry_after(after_s)
    return Problem(429, "failures", "too many wrong tokens from this address", headers=headers, note=note)


def too_busy() -> Problem:
    # Spread out, or everybody who was turned away comes back in the same second.
    return Problem(503, "busy", "as many polls are waiting as this feed holds", headers=_retry_after(_spread(1, 8)))


def replaced() -> Problem:
    return Problem(409, "replaced", "a newer stream of this token took the place of this one")


def restarting() -> Problem:
    return Problem(503, "restart", "this feed is about to restart; come back with the last id")


def not_ready(code: str) -> Problem:
    """Say what is broken on this side (``journal``, ``subscribers``); the same request may be repeated."""
    return Problem(503, code, "this is ours to mend; try again", headers=_retry_after(_spread(1, 5)))


def _retry_after(seconds: float) -> dict[str, str]:
    return {"retry-after": str(max(1, int(seconds + 0.999)))}


def _spread(low: float, high: float) -> float:
    return random.uniform(low, high)  # noqa: S311  spreads load, guards nothing
