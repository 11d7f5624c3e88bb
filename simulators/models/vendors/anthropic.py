"""Anthropic's Messages API: ``POST /v1/messages``, ``GET /v1/models``."""

import math
import re
from typing import Any

from simulators.models.catalogue import Model
from simulators.models.vendors.bearer import bearer
from simulators.models.vendors.port import Route, Task
from simulators.models.wire import Answer, Ask, Finish, Json, Kind, Problem, Reply, text_of
from simulators.rest.transport import Request

_MODEL = re.compile(r"/v1/models/([^/]+)")
# kind -> (status, type, message); {} is the detail
_REFUSALS: dict[Kind, tuple[int, str, str]] = {
    Kind.NO_KEY: (401, "authentication_error", "x-api-key header is required"),
    Kind.BAD_KEY: (401, "authentication_error", "invalid x-api-key"),
    Kind.DENIED: (403, "permission_error", "Your API key does not have permission to use the specified resource."),
    Kind.INVALID: (400, "invalid_request_error", "{}"),
    Kind.NO_ROUTE: (404, "not_found_error", "Not found"),
    Kind.UNKNOWN_MODEL: (404, "not_found_error", "model: {}"),
    Kind.RETIRED_MODEL: (404, "not_found_error", "model: {}"),
    Kind.RATE_LIMITED: (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    Kind.OUT_OF_CREDIT: (402, "billing_error", "Your credit balance is too low to access the Anthropic API."),
    Kind.OVERLOADED: (529, "overloaded_error", "Overloaded"),
    Kind.BROKEN: (500, "api_error", "Internal server error"),
}
_OF_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOPS = {Finish.STOP: "end_turn", Finish.LENGTH: "max_tokens", Finish.REFUSAL: "refusal", Finish.FILTER: "refusal"}
_EFFORTS = {"low": 0.4, "medium": 0.7, "high": 1.0, "xhigh": 2.0, "max": 4.0}
_UNSUPPORTED = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"}
)


class Anthropic:
    """Messages in, one message out."""

    name = "anthropic"

    def route(self, method: str, path: str) -> Route | None:
        if (method, path) == ("POST", "/v1/messages"):
            return Route(Task.GENERATE)
        if (method, path) == ("GET", "/v1/models"):
            return Route(Task.MODELS)
        found = _MODEL.fullmatch(path) if method == "GET" else None
        return None if found is None else Route(Task.MODEL, found[1])

    def key(self, request: Request) -> str | None:
        return bearer(request) or request.headers.get("x-api-key")

    def ask(self, route: Route, body: Json, request: Request) -> Ask:
        if "anthropic-version" not in request.headers:
            raise Problem(Kind.INVALID, "anthropic-version: header is required")
        for name in ("model", "max_tokens", "messages"):
            if not body.get(name):
                raise Problem(Kind.INVALID, f"{name}: Field required")
        if body.get("stream"):
            raise Problem(Kind.INVALID, "stream: the simulator answers in one piece only")
        said = "\n".join(text_of(message.get("content")) for message in body["messages"])
        schema, tool = _schema(body)
        return Ask(
            model=body["model"],
            system=text_of(body.get("system")),
            prompt=said,
            maximum_tokens=body["max_tokens"],
            schema=schema,
            tool=tool,
            effort=_effort(body),
            shows_thoughts=_thinks(body),
            marked=_marked(body),
        )

    def check(self, ask: Ask, body: Json, model: Model) -> None:
        if ask.schema is not None and ask.tool is None:
            _check_schema(ask.schema, "output_config.format.schema")

    def reply(self, route: Route, ask: Ask, answer: Answer, number: int) -> Reply:
        content = [] if answer.finish in (Finish.REFUSAL, Finish.FILTER) else _content(ask, answer, number)
        stop = "tool_use" if any(part["type"] == "tool_use" for part in content) else _STOPS[answer.finish]
        details = {"type": "refusal", "category": None, "explanation": None} if stop == "refusal" else None
        body: Json = {
            "id": f"msg_simulated{number:014d}",
            "type": "message",
            "role": "assistant",
            "model": ask.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "stop_details": details,
        }
        if answer.has_usage:
            body["usage"] = _usage(answer)
        return Reply(status=200, body=body, headers=_headers(number))

    def refuse(self, problem: Problem, number: int) -> Reply:
        status, kind, message = _REFUSALS[problem.kind]
        if problem.kind is Kind.BROKEN:
            status, kind = problem.status, _OF_STATUS.get(problem.status, "api_error")
        error = {"type": kind, "message": message.format(problem.detail)}
        headers = _headers(number)
        if problem.retry_after is not None:
            headers["retry-after"] = str(math.ceil(problem.retry_after))
            headers["retry-after-ms"] = str(round(problem.retry_after * 1000))
        return Reply(
            status=status,
            body={"type": "error", "error": error, "request_id": headers["request-id"]},
            headers=headers,
        )

    def model(self, model: Model) -> Json:
        name = model.id.replace("-", " ").title()
        return {
            "type": "model",
            "id": model.id,
            "display_name": name,
            "created_at": "2026-01-01T00:00:00Z",
            "lifecycle": "active",
            "deprecated_at": None,
            "retires_at": None,
            "max_input_tokens": 200_000,
            "max_tokens": 64_000,
            "capabilities": None,
            "line": None,
        }

    def models(self, models: list[Model]) -> Json:
        data = [self.model(model) for model in models]
        first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def _headers(number: int) -> dict[str, str]:
    return {"request-id": f"req_simulated{number:012d}"}


def _usage(answer: Answer) -> Json:
    tokens = answer.tokens
    return {
        # what went through the cache is counted apart, not within
        "input_tokens": tokens.prompt - tokens.cached - tokens.cache_written,
        "cache_creation_input_tokens": tokens.cache_written,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": tokens.cache_written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens.out,
        "output_tokens_details": {"thinking_tokens": tokens.thoughts},
        "service_tier": "standard",
    }


def _content(ask: Ask, answer: Answer, number: int) -> list[Json]:
    content: list[Json] = []
    if ask.shows_thoughts and answer.tokens.thoughts:
        content.append({"type": "thinking", "thinking": "[synthetic forecast]", "signature": f"simulated{number}"})
    if ask.tool is not None and isinstance(answer.value, dict):
        content.append(
            {"type": "tool_use", "id": f"toolu_simulated{number:010d}", "name": ask.tool, "input": answer.value}
        )
    elif answer.text:
        content.append({"type": "text", "text": answer.text, "citations": None})
    return content


def _schema(body: Json) -> tuple[Json | None, str | None]:
    """Return the schema of the output format or of the tool that must be used, and that tool's name."""
    form = (body.get("output_config") or {}).get("format") or body.get("output_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        return form.get("schema") or {}, None
    choice, tools = body.get("tool_choice") or {}, body.get("tools") or []
    if choice.get("type") not in ("tool", "any"):
        return None, None
    for tool in tools:
        if choice["type"] == "any" or tool.get("name") == choice.get("name"):
            return tool.get("input_schema") or {}, str(tool.get("name"))
    raise Problem(Kind.INVALID, f"Tool '{choice.get('name')}' not found in provided tools")


def _thinks(body: Json) -> bool:
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def _effort(body: Json) -> float | None:
    if not _thinks(body):
        return None
    return _EFFORTS.get((body.get("output_config") or {}).get("effort") or "high", 1.0)


def _marked(body: Json) -> int | None:
    """Return how many characters lie before the last mark for the cache."""
    parts = [*_parts(body.get("system")), *(part for m in body["messages"] for part in _parts(m.get("content")))]
    marks = [index for index, part in enumerate(parts) if part.get("cache_control")]
    if body.get("cache_control"):
        marks = [len(parts) - 1]
    return sum(len(str(part.get("text", ""))) + 1 for part in parts[: marks[-1] + 1]) if marks else None


def _parts(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [part for part in content or [] if isinstance(part, dict)]


def _check_schema(node: Any, place: str) -> None:
    """Refuse what Anthropic's structured outputs refuse; its SDK moves these words into the description."""
    if isinstance(node, list):
        for item in node:
            _check_schema(item, place)
    if not isinstance(node, dict):
        return
    if node.get("type") == "object" and node.get("additionalProperties") is not False:
        raise Problem(
            Kind.INVALID,
            f"{place}: For 'object' type, 'additionalProperties' must be explicitly set to false",
        )
    if unsupported := sorted(_UNSUPPORTED & node.keys()):
        raise Problem(
            Kind.INVALID,
            f"{place}: For '{node.get('type')}' type, properties {', '.join(unsupported)} are not supported",
        )
    for key in ("properties", "$defs", "definitions"):
        for name, part in (node.get(key) or {}).items():
            _check_schema(part, f"{place}.{key}.{name}")
    for key in ("items", "anyOf", "allOf", "oneOf"):
        _check_schema(node.get(key), f"{place}.{key}")
