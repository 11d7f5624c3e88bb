"""What the OpenAPI schema says beyond what FastAPI can see: bodies read by hand, answers and their codes."""

from typing import Any

from domain.vocabulary import Stage
from feed.reports import MODELS

POLL_PATH = "/api/signals/feed"

SIGNAL_ID = {
    "name": "signal_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^sig_[0-7][0-9A-HJKMNP-TV-Z]{25}$"},
}

_ERROR = {
    "type": "object",
    "required": ["code", "detail"],
    "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
}
_WORDS = {
    200: "done",
    201: "stored",
    202: "stored, and parked until its fills are reported",
    304: "unchanged",
    400: "a parameter or cursor is wrong",
    401: "no valid token",
    403: "the token lacks the scope",
    404: "unknown signal",
    405: "method not allowed here",
    408: "the request took too long to arrive",
    409: "contradicts what is stored",
    410: "the cursor cannot be served any more",
    413: "body too large",
    415: "body is not JSON",
    422: "malformed id or body",
    429: "too many requests; see Retry-After",
    503: "try again; see Retry-After",
}
_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_PROBLEM = {"application/json": {"schema": _ERROR}}

READ = (401, 403, 429, 503)
REPORT = (200, 201, 202, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)


def responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Describe the answers with these status codes."""
    return {code: {"description": _WORDS[code], **_content(code)} for code in sorted(codes)}


def _content(code: int) -> dict[str, Any]:
    if code == 304:
        return {}
    return {"content": _OBJECT if code < 300 else _PROBLEM}


def body(stage: Stage) -> dict[str, Any]:
    """Describe the body of a report."""
    schema = MODELS[stage].model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
