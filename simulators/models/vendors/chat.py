"""The chat-completions shape, which OpenAI and DeepSeek share."""

from collections.abc import Callable
from typing import Any

from simulators.models.wire import Answer, Ask, Finish, Json, Kind, Problem, text_of

_FINISHES = {
    Finish.STOP: "stop",
    Finish.LENGTH: "length",
    Finish.REFUSAL: "stop",
    Finish.FILTER: "content_filter",
}
REFUSAL = "I'm sorry, but I can't help with that."
CREATED = 1_767_225_600


def ask_of(body: Json, schema: Json | None, is_json: bool, effort: float | None) -> Ask:
    """Read what both vendors name alike."""
    messages = body["messages"]
    system = [m for m in messages if m.get("role") in ("system", "developer")]
    tool, tool_schema = _tool(body)
    return Ask(
        model=str(body["model"]),
        system="\n".join(text_of(m.get("content")) for m in system),
        prompt="\n".join(text_of(m.get("content")) for m in messages if m not in system),
        maximum_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        schema=schema if tool_schema is None else tool_schema,
        is_json=is_json,
        tool=tool,
        effort=effort,
    )


def require(body: Json, names: tuple[str, ...]) -> None:
    """Refuse a body that lacks a field, or asks for a stream."""
    for name in names:
        if not body.get(name):
            raise Problem(
                Kind.INVALID, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name
            )
    if body.get("stream"):
        raise Problem(Kind.INVALID, "The simulator answers in one piece only; leave out 'stream'.", param="stream")


def completion(ask: Ask, answer: Answer, number: int, usage: Callable[[Answer], Json]) -> Json:
    """Write one completion."""
    called = ask.tool is not None and isinstance(answer.value, dict) and answer.finish is Finish.STOP
    choice = {
        "index": 0,
        "message": _message(ask, answer, number, called),
        "logprobs": None,
        "finish_reason": "tool_calls" if called else _FINISHES[answer.finish],
    }
    body: Json = {
        "id": f"chatcmpl-simulated{number:010d}",
        "object": "chat.completion",
        "created": CREATED + number,
        "model": ask.model,
        "choices": [choice],
        "system_fingerprint": "fp_simulated",
    }
    if answer.has_usage:
        body["usage"] = usage(answer)
    return body


def _message(ask: Ask, answer: Answer, number: int, called: bool) -> Json:
    refused = answer.finish is Finish.REFUSAL
    blank = called or refused or answer.finish is Finish.FILTER
    message: Json = {"role": "assistant", "content": None if blank else answer.text}
    message["refusal"] = REFUSAL if refused else None
    if called:
        function = {"name": ask.tool, "arguments": answer.text}
        message["tool_calls"] = [{"id": f"call_simulated{number:08d}", "type": "function", "function": function}]
    return message


def _tool(body: Json) -> tuple[str | None, Json | None]:
    choice, tools = body.get("tool_choice"), body.get("tools") or []
    if not isinstance(choice, dict) and choice != "required":
        return None, None
    wanted = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    for tool in tools:
        function: Any = tool.get("function", {})
        if wanted in (None, function.get("name")):
            return str(function.get("name")), function.get("parameters") or {}
    raise Problem(Kind.INVALID, f"Tool choice '{wanted}' not found in 'tools'.", param="tool_choice")
