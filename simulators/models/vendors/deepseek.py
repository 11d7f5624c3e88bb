"""DeepSeek's API: ``POST /chat/completions`` (also under ``/v1``), ``GET /models``; JSON objects but no schemas."""

import re
from dataclasses import replace

from simulators.models.catalogue import Model
from simulators.models.vendors import chat
from simulators.models.vendors.bearer import bearer, masked
from simulators.models.vendors.port import Route, Task
from simulators.models.wire import Answer, Ask, Finish, Json, Kind, Problem, Reply
from simulators.rest.transport import Request

_PREFIX = re.compile(r"\A/v1(?=/)")
_INVALID = "invalid_request_error"
# kind -> (status, type, code, message); {} is the detail
_REFUSALS: dict[Kind, tuple[int, str, str, str]] = {
    Kind.NO_KEY: (401, "authentication_error", _INVALID, "Authentication Fails (governor)"),
    Kind.BAD_KEY: (401, "authentication_error", _INVALID, "Authentication Fails, Your api key: {} is invalid"),
    Kind.DENIED: (403, "permission_error", _INVALID, "You have no access to this resource"),
    Kind.INVALID: (400, _INVALID, _INVALID, "{}"),
    Kind.NO_ROUTE: (404, _INVALID, _INVALID, "Not Found"),
    Kind.UNKNOWN_MODEL: (400, _INVALID, _INVALID, "Model Not Exist"),
    Kind.RETIRED_MODEL: (400, _INVALID, _INVALID, "Model Not Exist"),
    Kind.RATE_LIMITED: (429, "rate_limit_error", "rate_limit_reached", "Rate limit reached"),
    Kind.OUT_OF_CREDIT: (402, "unknown_error", _INVALID, "Insufficient Balance"),
    Kind.OVERLOADED: (503, "service_unavailable_error", "service_unavailable", "Service is too busy, try again later."),
    Kind.BROKEN: (500, "server_error", "internal_error", "Internal server error"),
}
# V4 thinks unless it is told not to
_THINKING = {"disabled": 0.0, "enabled": 1.0}


class DeepSeek:
    """Chat completions in OpenAI's shape, with a cache that is told apart in the usage."""

    name = "deepseek"

    def route(self, method: str, path: str) -> Route | None:
        bare = _PREFIX.sub("", path)
        if (method, bare) == ("POST", "/chat/completions"):
            return Route(Task.GENERATE)
        return Route(Task.MODELS) if (method, bare) == ("GET", "/models") else None

    def key(self, request: Request) -> str | None:
        return bearer(request)

    def ask(self, route: Route, body: Json, request: Request) -> Ask:
        chat.require(body, ("model", "messages"))
        form = (body.get("response_format") or {}).get("type", "text")
        if form not in ("text", "json_object"):
            raise Problem(Kind.INVALID, "This response_format type is unavailable now")
        thinking = (body.get("thinking") or {}).get("type", "enabled")
        ask = chat.ask_of(body, None, form == "json_object", _THINKING.get(thinking, 1.0))
        if ask.is_json and "json" not in ask.said.casefold():
            raise Problem(
                Kind.INVALID,
                "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'.",
            )
        return ask

    def check(self, ask: Ask, body: Json, model: Model) -> None:
        return

    def reply(self, route: Route, ask: Ask, answer: Answer, number: int) -> Reply:
        if answer.finish is Finish.REFUSAL:
            # it has no field for refusals: they come as text
            answer = replace(answer, finish=Finish.STOP, text=chat.REFUSAL, value=None)
        body = chat.completion(ask, answer, number, _usage)
        message = body["choices"][0]["message"]
        del message["refusal"]
        message["content"] = message["content"] or ""
        if answer.tokens.thoughts:
            message["reasoning_content"] = "[synthetic forecast]"
        return Reply(status=200, body=body, headers={"x-ds-trace-id": f"simulated{number:023d}"})

    def refuse(self, problem: Problem, number: int) -> Reply:
        status, kind, code, message = _REFUSALS[problem.kind]
        if problem.kind is Kind.BROKEN:
            status = problem.status
        detail = masked(problem.detail) if problem.kind is Kind.BAD_KEY else problem.detail
        error = {"message": message.format(detail), "type": kind, "param": None, "code": code}
        return Reply(status=status, body={"error": error}, headers={"x-ds-trace-id": f"simulated{number:023d}"})

    def model(self, model: Model) -> Json:
        return {"id": model.id, "object": "model", "owned_by": "deepseek"}

    def models(self, models: list[Model]) -> Json:
        return {"object": "list", "data": [self.model(model) for model in models]}


def _usage(answer: Answer) -> Json:
    tokens = answer.tokens
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.out,
        "total_tokens": tokens.prompt + tokens.out,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
        "completion_tokens_details": {"reasoning_tokens": tokens.thoughts},
        "prompt_cache_hit_tokens": tokens.cached,
        "prompt_cache_miss_tokens": tokens.prompt - tokens.cached,
    }
