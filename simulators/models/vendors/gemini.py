"""Google's Gemini API: ``POST /v1/models/{model}:generateContent`` (also ``/v1beta``), ``GET /v1/models``."""

import re
from typing import Any

from simulators.models.catalogue import Model
from simulators.models.vendors.port import Route, Task
from simulators.models.wire import Answer, Ask, Finish, Json, Kind, Problem, Reply, text_of
from simulators.rest.transport import Request

_PATH = re.compile(r"/v1(?:alpha|beta)?/models(?:/(?P<model>[^/:]+)(?::(?P<verb>\w+))?)?")
# kind -> (code, status, message); {} is the detail
_REFUSALS: dict[Kind, tuple[int, str, str]] = {
    Kind.NO_KEY: (
        403,
        "PERMISSION_DENIED",
        "Method doesn't allow unregistered callers (callers without established identity).",
    ),
    Kind.BAD_KEY: (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    Kind.DENIED: (403, "PERMISSION_DENIED", "The caller does not have permission"),
    Kind.INVALID: (400, "INVALID_ARGUMENT", "{}"),
    Kind.NO_ROUTE: (404, "NOT_FOUND", "Requested entity was not found."),
    Kind.UNKNOWN_MODEL: (404, "NOT_FOUND", "models/{} is not found or is not supported for generateContent."),
    Kind.RETIRED_MODEL: (404, "NOT_FOUND", "This model models/{} is no longer available."),
    Kind.RATE_LIMITED: (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota."),
    Kind.OUT_OF_CREDIT: (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
    Kind.OVERLOADED: (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    Kind.BROKEN: (500, "INTERNAL", "An internal error has occurred."),
}
_OF_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE = "type.googleapis.com/google.rpc."
_FINISHES = {Finish.STOP: "STOP", Finish.LENGTH: "MAX_TOKENS", Finish.REFUSAL: "SAFETY"}
_LEVELS = {"MINIMAL": 0.1, "LOW": 0.4, "MEDIUM": 0.7, "HIGH": 1.0}


class Gemini:
    """Contents in, candidates out."""

    name = "gemini"

    def route(self, method: str, path: str) -> Route | None:
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        if method == "GET" and found["verb"] is None:
            return Route(Task.MODELS) if found["model"] is None else Route(Task.MODEL, found["model"])
        if method == "POST" and found["verb"] == "generateContent":
            return Route(Task.GENERATE, found["model"])
        return None

    def key(self, request: Request) -> str | None:
        return request.headers.get("x-goog-api-key") or request.query.get("key")

    def ask(self, route: Route, body: Json, request: Request) -> Ask:
        contents = body.get("contents")
        if not contents:
            raise Problem(Kind.INVALID, "* GenerateContentRequest.contents: contents is not specified")
        config = _spelled(body, "generationConfig") or {}
        schema = _schema(config)
        system = (_spelled(body, "systemInstruction") or {}).get("parts")
        thinking = _spelled(config, "thinkingConfig") or {}
        return Ask(
            model=route.model,
            system=text_of(system),
            prompt="\n".join(text_of(content.get("parts")) for content in contents),
            maximum_tokens=_spelled(config, "maxOutputTokens"),
            schema=schema,
            is_json=_spelled(config, "responseMimeType") == "application/json" and schema is None,
            effort=_effort(thinking),
            shows_thoughts=bool(_spelled(thinking, "includeThoughts")),
        )

    def check(self, ask: Ask, body: Json, model: Model) -> None:
        return

    def reply(self, route: Route, ask: Ask, answer: Answer, number: int) -> Reply:
        body: Json = {"modelVersion": ask.model, "responseId": f"simulated{number:012d}"}
        if answer.finish is Finish.FILTER:
            body["promptFeedback"] = {"blockReason": "PROHIBITED_CONTENT"}
        else:
            body["candidates"] = [_candidate(ask, answer)]
        if answer.has_usage:
            body["usageMetadata"] = _usage(answer)
        return Reply(status=200, body=body, headers={"server-timing": f"gfet4t7; dur={answer.seconds * 1000:.0f}"})

    def refuse(self, problem: Problem, number: int) -> Reply:
        code, status, message = _REFUSALS[problem.kind]
        if problem.kind is Kind.BROKEN:
            code, status = problem.status, _OF_STATUS.get(problem.status, "INTERNAL")
        error: Json = {"code": code, "message": message.format(problem.detail), "status": status}
        if details := _details(problem):
            error["details"] = details
        return Reply(status=code, body={"error": error})

    def model(self, model: Model) -> Json:
        return {
            "name": f"models/{model.id}",
            "version": "simulated",
            "displayName": model.id,
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent"],
        }

    def models(self, models: list[Model]) -> Json:
        return {"models": [self.model(model) for model in models]}


def _spelled(source: Json, name: str) -> Any:
    """Return a field by either of the spellings that Google's JSON takes."""
    return source.get(name, source.get(re.sub(r"([A-Z])", r"_\1", name).lower()))


def _schema(config: Json) -> Json | None:
    plain, schema = _spelled(config, "responseSchema"), _spelled(config, "responseJsonSchema")
    if plain is not None and schema is not None:
        raise Problem(Kind.INVALID, "Only one of response_schema and response_json_schema may be set.")
    found: Json | None = schema if plain is None else plain
    if found is not None and _spelled(config, "responseMimeType") != "application/json":
        raise Problem(
            Kind.INVALID,
            "* GenerateContentRequest.generation_config.response_schema: only allowed with response_mime_type "
            "application/json",
        )
    return found


def _effort(thinking: Json) -> float | None:
    if _spelled(thinking, "thinkingBudget") == 0:
        return 0.0
    return _LEVELS.get(str(_spelled(thinking, "thinkingLevel")).upper())


def _candidate(ask: Ask, answer: Answer) -> Json:
    candidate: Json = {"index": 0, "finishReason": _FINISHES[answer.finish]}
    if answer.finish is Finish.REFUSAL:
        candidate["safetyRatings"] = [
            {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
        ]
        return candidate
    parts: list[Json] = []
    if ask.shows_thoughts and answer.tokens.thoughts:
        parts.append({"text": "[synthetic forecast]", "thought": True})
    if answer.text:
        parts.append({"text": answer.text})
    # an answer cut inside its thinking has a content without parts
    candidate["content"] = {"role": "model", "parts": parts} if parts else {"role": "model"}
    return candidate


def _usage(answer: Answer) -> Json:
    tokens = answer.tokens
    usage: Json = {
        "promptTokenCount": tokens.prompt,
        "totalTokenCount": tokens.prompt + tokens.out,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.prompt}],
    }
    # zeros are left out, as in every JSON Google writes from a protocol buffer
    if tokens.text:
        usage["candidatesTokenCount"] = tokens.text
    if tokens.thoughts:
        usage["thoughtsTokenCount"] = tokens.thoughts
    if tokens.cached:
        usage["cachedContentTokenCount"] = tokens.cached
    return usage


def _details(problem: Problem) -> list[Json]:
    details: list[Json] = []
    if problem.kind is Kind.BAD_KEY:
        info = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        details.append(
            {"@type": _TYPE + "ErrorInfo", **info, "metadata": {"service": "generativelanguage.googleapis.com"}}
        )
    if problem.kind is Kind.RATE_LIMITED:
        violation = {"quotaMetric": "generate_content_requests", "quotaId": "GenerateRequestsPerMinutePerProject"}
        details.append({"@type": _TYPE + "QuotaFailure", "violations": [violation]})
    if problem.retry_after is not None:
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{problem.retry_after:g}s"})
    return details
