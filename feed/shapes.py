"""What the answers hold, as JSON Schema, and the links by which one answer leads to the next request."""

from typing import Any

Shape = dict[str, Any]

TEXT: Shape = {"type": "string"}
FLAG: Shape = {"type": "boolean"}
COUNT: Shape = {"type": "integer", "minimum": 0}
MAYBE_TEXT: Shape = {"type": ["string", "null"]}
MAYBE_COUNT: Shape = {"type": ["integer", "null"], "minimum": 0}
HASH: Shape = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
CURSOR: Shape = {"type": "string", "pattern": "^[A-Za-z0-9_-]{20,2048}$"}
# A moment is shown with an offset, and `head` and `oldest` are words; what a moment may hold is not for a pattern.
START: Shape = {"type": "string", "pattern": r"^(head|oldest|20\d\d-0[1-9]-[12]\dT[01]\d:[0-5]\d:[0-5]\dZ)$"}
SIGNAL_ID: Shape = {"type": "string", "pattern": "^sig_[0-7][0-9A-HJKMNP-TV-Z]{25}$"}


def holding(**properties: Shape) -> Shape:
    """Return the shape of an object that has these properties, and maybe more in time."""
    return {"type": "object", "required": list(properties), "properties": properties}


def each(values: Shape) -> Shape:
    """Return the shape of an object whose keys are names and whose values are all alike."""
    return {"type": "object", "additionalProperties": values}


def listing(items: Shape) -> Shape:
    return {"type": "array", "items": items}


HEADS = each(holding(seq=COUNT, h=HASH))
ITEMS = listing(holding(ts=TEXT, seq=COUNT, kind={"enum": ["signal", "resolution"]}, h=HASH))
PAGE = holding(
    items=ITEMS,
    expired=listing(TEXT),
    next_cursor=CURSOR,
    has_more=FLAG,
    logs=HEADS,
    server_time=TEXT,
    poll_after_ms=COUNT,
)
SNAPSHOT = holding(items=ITEMS, expired=listing(TEXT), cursor=CURSOR, logs=HEADS, server_time=TEXT)
HEAD = holding(logs=each(holding(seq=COUNT, h=HASH, ts=MAYBE_TEXT)), server_time=TEXT)
KEYS = holding(keys=listing(holding(key=TEXT, surface=TEXT, public=TEXT)))
CHECKPOINT = holding(ts=TEXT, log=TEXT, seq=COUNT, h=HASH, root=HASH, peaks=listing(HASH))
HEALTH = holding(status={"enum": ["ok", "degraded"]})
STORED = holding(
    id=TEXT, signal_id=SIGNAL_ID, stage={"enum": ["ack", "executed", "resolved"]}, rev=COUNT, fill_id=MAYBE_TEXT,
    body_sha256=HASH, received_at=TEXT, late=FLAG, parked=FLAG, implied=listing(TEXT), duplicate=FLAG,
)  # fmt: skip
AGGREGATE = holding(
    cohort_min=COUNT,
    surfaces=listing(holding(surface=TEXT, mode=TEXT, received=MAYBE_COUNT, accepted=MAYBE_COUNT, executed=MAYBE_COUNT,
                             resolved=MAYBE_COUNT, late=MAYBE_COUNT, skipped=each(COUNT), realised=each(TEXT),
                             slippage_bp=MAYBE_TEXT)),
)  # fmt: skip
PROBLEM = holding(code=TEXT, detail=TEXT)
GONE = holding(code=TEXT, detail=TEXT, oldest_cursor=CURSOR, head_cursor=CURSOR, missed_estimate=COUNT)

_STAGES = ("ack", "executed", "resolved")


def _goes_on(source: str) -> Shape:
    return {"operationId": "poll", "parameters": {"cursor": f"$response.body#/{source}"}}


def _report(stage: str) -> Shape:
    return {"operationId": f"report_{stage}", "parameters": {"signal_id": "$response.body#/items/0/signal_id"}}


REPORTS = {stage: _report(stage) for stage in _STAGES}
AFTER_PAGE = {"next": _goes_on("next_cursor"), **REPORTS}
AFTER_SNAPSHOT = {"next": _goes_on("cursor"), **REPORTS}
AFTER_GONE = {"oldest": _goes_on("oldest_cursor"), "head": _goes_on("head_cursor")}
