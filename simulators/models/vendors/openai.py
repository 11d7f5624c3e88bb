"""OpenAI's API: ``POST /v1/chat/completions``, ``POST /v1/responses``, ``GET /v1/models``."""

import math
import re
from typing import Any

from simulators.models.catalogue import Model
from simulators.models.vendors import chat
from simulators.models.vendors.bearer import bearer, masked
from simulators.models.vendors.port import Route, Task
from simulators.models.wire import Answer, Ask, Finish, Json, Kind, Problem, Reply, text_of
from simulators.rest.transport import Request

_MODEL = re.compile(r"/v1/models/([^/]+)")
_INVALID = "invalid_request_error"
# kind -> (status, type, code, message); {} is the detail
_REFUSALS: dict[Kind, tuple[int, str, str | None, str]] = {
    Kind.NO_KEY: (401, _INVALID, None, "You didn't provide an API key. Send it as Authorization: Bearer YOUR_KEY."),
    Kind.BAD_KEY: (401, _INVALID, "invalid_api_key", "Incorrect API key provided: {}."),
    Kind.DENIED: (403, _INVALID, "model_access_denied", "Your project does not have access to this resource."),
    Kind.INVALID: (400, _INVALID, None, "{}"),
    Kind.NO_ROUTE: (404, _INVALID, None, "Invalid URL ({})"),
    Kind.UNKNOWN_MODEL: (
        404,
        _INVALID,
        "model_not_found",
        "The model `{}` does not exist or you do not have access to it.",
    ),
    Kind.RETIRED_MODEL: (404, _INVALID, "model_not_found", "The model `{}` has been deprecated."),
    Kind.RATE_LIMITED: (429, "requests", "rate_limit_exceeded", "Rate limit reached on requests per min (RPM)."),
    Kind.OUT_OF_CREDIT: (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    Kind.OVERLOADED: (503, "service_unavailable_error", None, "That model is currently overloaded."),
    Kind.BROKEN: (500, "server_error", None, "The server had an error while processing your request."),
}
_EFFORTS = {"none": 0.0, "minimal": 0.1, "low": 0.4, "medium": 1.0, "high": 4.0, "xhigh": 8.0}


class OpenAi:
    """Chat completions and responses."""

    name = "openai"

    def route(self, method: str, path: str) -> Route | None:
        if (method, path) == ("POST", "/v1/chat/completions"):
            return Route(Task.GENERATE)
        if (method, path) == ("POST", "/v1/responses"):
            return Route(Task.RESPOND)
        if (method, path) == ("GET", "/v1/models"):
            return Route(Task.MODELS)
        found = _MODEL.fullmatch(path) if method == "GET" else None
        return None if found is None else Route(Task.MODEL, found[1])

    def key(self, request: Request) -> str | None:
        return bearer(request)

    def ask(self, route: Route, body: Json, request: Request) -> Ask:
        return _response_ask(body) if route.task is Task.RESPOND else _chat_ask(body)

    def check(self, ask: Ask, body: Json, model: Model) -> None:
        if not model.is_reasoning:
            return
        if "max_tokens" in body:
            raise Problem(
                Kind.INVALID,
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                code="unsupported_parameter",
                param="max_tokens",
            )
        if body.get("temperature", 1) != 1 and ask.effort != 0:
            raise Problem(
                Kind.INVALID,
                f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. "
                "Only the default (1) value is supported.",
                code="unsupported_value",
                param="temperature",
            )

    def reply(self, route: Route, ask: Ask, answer: Answer, number: int) -> Reply:
        if route.task is Task.RESPOND:
            body = _response(ask, answer, number)
        else:
            body = chat.completion(ask, answer, number, _chat_usage)
            body["service_tier"] = "default"
            body["choices"][0]["message"]["annotations"] = []
        headers = _headers(number) | {"openai-processing-ms": str(round(answer.seconds * 1000))}
        return Reply(status=200, body=body, headers=headers)

    def refuse(self, problem: Problem, number: int) -> Reply:
        status, kind, code, message = _REFUSALS[problem.kind]
        if problem.kind is Kind.BROKEN:
            status = problem.status
        detail = masked(problem.detail) if problem.kind is Kind.BAD_KEY else problem.detail
        error = {"message": message.format(detail), "type": kind, "param": problem.param, "code": problem.code or code}
        headers = _headers(number)
        if problem.retry_after is not None:
            headers["retry-after"] = str(math.ceil(problem.retry_after))
            headers["retry-after-ms"] = str(round(problem.retry_after * 1000))
        return Reply(status=status, body={"error": error}, headers=headers)

    def model(self, model: Model) -> Json:
        return {"id": model.id, "object": "model", "created": chat.CREATED, "owned_by": "system"}

    def models(self, models: list[Model]) -> Json:
        return {"object": "list", "data": [self.model(model) for model in models]}


def _headers(number: int) -> dict[str, str]:
    return {"x-request-id": f"req_simulated{number:012d}", "openai-version": "2020-10-01"}


def _chat_ask(body: Json) -> Ask:
    chat.require(body, ("model", "messages"))
    form = body.get("response_format") or {"type": "text"}
    schema = None
    if form.get("type") == "json_schema":
        outer = form.get("json_schema") or {}
        schema = outer.get("schema") or {}
        if outer.get("strict"):
            _check_strict(schema, str(outer.get("name")), "response_format")
    ask = chat.ask_of(body, schema, form.get("type") == "json_object", _EFFORTS.get(body.get("reasoning_effort") or ""))
    if ask.is_json and "json" not in ask.said.casefold():
        raise Problem(
            Kind.INVALID,
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )
    return ask


def _response_ask(body: Json) -> Ask:
    chat.require(body, ("model", "input"))
    said: Any = body["input"]
    items = [{"role": "user", "content": said}] if isinstance(said, str) else said
    form = (body.get("text") or {}).get("format") or {"type": "text"}
    schema = None
    if form.get("type") == "json_schema":
        schema = form.get("schema") or {}
        if form.get("strict"):
            _check_strict(schema, str(form.get("name")), "text.format.schema")
    system = [text_of(item.get("content")) for item in items if item.get("role") in ("system", "developer")]
    return Ask(
        model=str(body["model"]),
        system="\n".join([*filter(None, [body.get("instructions")]), *system]),
        prompt="\n".join(text_of(i.get("content")) for i in items if i.get("role") not in ("system", "developer")),
        maximum_tokens=body.get("max_output_tokens"),
        schema=schema,
        is_json=form.get("type") == "json_object",
        effort=_EFFORTS.get((body.get("reasoning") or {}).get("effort") or ""),
    )


def _chat_usage(answer: Answer) -> Json:
    tokens = answer.tokens
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.out,
        "total_tokens": tokens.prompt + tokens.out,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": tokens.thoughts,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _response(ask: Ask, answer: Answer, number: int) -> Json:
    tokens, whole = answer.tokens, answer.finish in (Finish.STOP, Finish.REFUSAL)
    reason = {Finish.LENGTH: "max_output_tokens", Finish.FILTER: "content_filter"}.get(answer.finish)
    status = "completed" if whole else "incomplete"
    output: list[Json] = []
    if tokens.thoughts:
        output.append({"id": f"rs_simulated{number}", "type": "reasoning", "summary": []})
    if answer.text or answer.finish is Finish.REFUSAL:
        output.append(_response_message(answer, number, status))
    usage = {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
        "output_tokens": tokens.out,
        "output_tokens_details": {"reasoning_tokens": tokens.thoughts},
        "total_tokens": tokens.prompt + tokens.out,
    }
    return {
        "id": f"resp_simulated{number:012d}",
        "object": "response",
        "created_at": chat.CREATED + number,
        "status": status,
        "error": None,
        "incomplete_details": None if reason is None else {"reason": reason},
        "instructions": None,
        "model": ask.model,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
        "usage": usage if answer.has_usage else None,
    }


def _response_message(answer: Answer, number: int, status: str) -> Json:
    part: Json = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
    if answer.finish is Finish.REFUSAL:
        part = {"type": "refusal", "refusal": chat.REFUSAL}
    return {
        "id": f"msg_simulated{number:012d}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [part],
    }


def _check_strict(node: Any, name: str, param: str, context: tuple[str, ...] = ()) -> None:
    """Refuse a schema that OpenAI's strict mode refuses."""
    if not isinstance(node, dict):
        return
    where = f"Invalid schema for response_format '{name}': In context={context!r}, "
    if node.get("type") == "object":
        if node.get("additionalProperties") is not False:
            raise _bad_schema(where + "'additionalProperties' is required to be supplied and to be false.", param)
        missing = [key for key in node.get("properties", {}) if key not in node.get("required", [])]
        if missing:
            raise _bad_schema(
                where + "'required' is required to be supplied and to be an array including every key in "
                f"properties. Missing '{missing[0]}'.",
                param,
            )
    for group in ("properties", "$defs"):
        for key, part in (node.get(group) or {}).items():
            _check_strict(part, name, param, (*context, group, key))
    _check_strict(node.get("items"), name, param, (*context, "items"))
    for index, part in enumerate(node.get("anyOf") or []):
        _check_strict(part, name, param, (*context, "anyOf", str(index)))


def _bad_schema(message: str, param: str) -> Problem:
    return Problem(Kind.INVALID, message, param=param)
