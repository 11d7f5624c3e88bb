"""Gemini, through Google's SDK (3.x: no retries of its own, timeouts in milliseconds, network errors unwrapped)."""

from typing import Any

from google import genai
from google.genai import errors, types

from domain.settings import Secret
from forecast.answers import SCHEMA, Reason, Reply
from forecast.budget import Usage
from forecast.prompts import Prompt
from forecast.providers.errors import tokens, translated
from forecast.providers.transport import http_client

# Anything else that is no STOP is a filter's or the model's refusal to go on.
_WHOLE = frozenset({"STOP", "FINISH_REASON_UNSPECIFIED"})


class GeminiClient:
    def __init__(self, url: str, key: Secret, *, timeout_s: float, max_tokens: int) -> None:
        self._key = key
        self._max_tokens = max_tokens
        self._http = http_client(timeout_s)
        options = types.HttpOptions(base_url=url, timeout=int(timeout_s * 1000), httpx_client=self._http)
        # Kept for as long as this object: a client that is garbage-collected closes its connections under a call.
        self._sdk = genai.Client(api_key=key.reveal(), vertexai=False, http_options=options)

    def answer(self, model: str, prompt: Prompt) -> Reply:
        return translated(errors, self._key, lambda: _reply(self._ask(model, prompt)))

    def _ask(self, model: str, prompt: Prompt) -> Any:
        config = types.GenerateContentConfig(
            system_instruction=prompt.system,
            max_output_tokens=self._max_tokens,
            response_mime_type="application/json",
            response_json_schema=SCHEMA,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )
        return self._sdk.models.generate_content(model=model, contents=prompt.user, config=config)

    def close(self) -> None:
        self._http.close()


def _reply(found: Any) -> Reply:
    version, usage = str(found.model_version or ""), _usage(found.usage_metadata)
    if not found.candidates:
        is_blocked = found.prompt_feedback is not None and found.prompt_feedback.block_reason
        return Reply(text="", version=version, usage=usage, stop=Reason.REFUSED if is_blocked else None)
    candidate = found.candidates[0]
    parts = (candidate.content.parts or ()) if candidate.content is not None else ()
    text = "".join(part.text for part in parts if part.text and not part.thought)
    return Reply(text=text, version=version, usage=usage, stop=_stop(candidate.finish_reason))


def _stop(finish: Any) -> Reason | None:
    word = str(getattr(finish, "value", finish) or "STOP")
    if word in _WHOLE:
        return None
    return Reason.TRUNCATED if word == "MAX_TOKENS" else Reason.REFUSED


def _usage(usage: Any) -> Usage | None:
    """``candidates_token_count`` leaves the thinking out, though it is billed as output."""
    tokens_in = tokens(usage, "prompt_token_count", "tool_use_prompt_token_count")
    tokens_out = tokens(usage, "candidates_token_count", "thoughts_token_count")
    return Usage(tokens_in=tokens_in, tokens_out=tokens_out) if tokens_in and tokens_out is not None else None
