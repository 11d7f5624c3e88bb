"""What the OpenAPI schema says beyond what FastAPI can see: bodies read by hand, answers and their codes."""

from typing import Any

from domain.vocabulary import Stage
from feed import shapes
from feed.config import FeedConfig
from feed.query import LIMIT_DEFAULT, LIMIT_MAX
from feed.reports import MODELS

POLL_PATH = "/api/signals/feed"
STREAM_PATH = "/api/signals/stream"

SIGNAL_ID = {
    "name": "signal_id",
    "in": "path",
    "required": True,
    "schema": shapes.SIGNAL_ID,
}

LOG = {
    "name": "log",
    "in": "query",
    "required": True,
    "schema": {"type": "string", "pattern": "^(st|lt|fx|stk)/(signals|resolutions)$"},
}

_WORDS = {
    200: "done",
    201: "stored",
    202: "stored, and parked until its fills are reported",
    304: "unchanged",
    400: "a parameter or cursor is wrong",
    401: "no valid token",
    403: "the token lacks the scope",
    404: "there is nothing here for this token",
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

READ = (401, 403, 429, 503)
REPORT = (200, 201, 202, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503)


def responses(*codes: int, shape: shapes.Shape, links: shapes.Shape | None = None) -> dict[int | str, dict[str, Any]]:
    """Describe the answers with these status codes: ``shape`` and ``links`` are of those that are no problem."""
    found: dict[int | str, dict[str, Any]] = {
        code: {"description": _WORDS[code], **_content(code, shape)} for code in sorted(codes)
    }
    if links is not None:
        found[200]["links"] = links
    if 410 in found:
        found[410]["links"] = shapes.AFTER_GONE
    return found


def stream_responses() -> dict[int | str, dict[str, Any]]:
    """Describe the answers of the stream: events that do not end, or a problem."""
    found = responses(400, 410, *READ, shape=shapes.PROBLEM)
    events = {"text/event-stream": {"schema": {"type": "string"}}}
    return {200: {"description": "events, until one of the two sides ends them", "content": events}, **found}


def health_responses() -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": shapes.HEALTH}}
    return {
        200: {"description": "all is well", "content": content},
        503: {"description": "see problems", "content": content},
    }


def _content(code: int, shape: shapes.Shape) -> dict[str, Any]:
    if code == 304:
        return {}
    shown = shape if code < 300 else shapes.GONE if code == 410 else shapes.PROBLEM
    return {"content": {"application/json": {"schema": shown}}}


def poll_parameters(config: FeedConfig) -> list[dict[str, Any]]:
    """Describe the query of the poll. OpenAPI has no words for exactly one of ``cursor`` and ``start``."""
    wait = {"type": "number", "minimum": 0, "maximum": config.max_wait_s, "default": config.default_wait_s}
    return [*stream_parameters(config), _query("wait", wait)]


def stream_parameters(config: FeedConfig) -> list[dict[str, Any]]:
    limit = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}
    return [
        _query("cursor", shapes.CURSOR), _query("start", shapes.START, example="oldest"), _query("limit", limit),
        *surface_parameter(config),
    ]  # fmt: skip


def surface_parameter(config: FeedConfig) -> list[dict[str, Any]]:
    """Describe ``surface``, which may be repeated."""
    values = {"type": "string", "enum": [surface.value for surface in config.surfaces]}
    return [_query("surface", {"type": "array", "items": values, "maxItems": 32})]


def _query(name: str, shape: shapes.Shape, **extra: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": shape, **extra}


def body(stage: Stage) -> dict[str, Any]:
    """Describe the body of a report."""
    schema = MODELS[stage].model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
