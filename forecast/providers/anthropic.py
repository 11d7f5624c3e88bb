"""Claude, through Anthropic's SDK (2.x: it has no ``temperature``, and sends the key as a bearer token)."""

from typing import Any

import anthropic

from domain.settings import Secret
from forecast.answers import SCHEMA, Reason, Reply
from forecast.budget import Usage
from forecast.prompts import Prompt
from forecast.providers.errors import tokens, translated
from forecast.providers.transport import http_client

# Source: platform.claude.com/docs, "Handling stop reasons".
_STOPS = {
    "max_tokens": Reason.TRUNCATED,
    "model_context_window_exceeded": Reason.TRUNCATED,
    "refusal": Reason.REFUSED,
}


class AnthropicClient:
    def __init__(self, url: str, key: Secret, *, timeout_s: float, max_tokens: int) -> None:
        self._key = key
        self._max_tokens = max_tokens
        self._http = http_client(timeout_s)
        self._sdk = anthropic.Anthropic(
            api_key=key.reveal(), base_url=url, timeout=self._http.timeout, max_retries=0, http_client=self._http
        )

    def answer(self, model: str, prompt: Prompt) -> Reply:
        return translated(anthropic, self._key, lambda: _reply(self._ask(model, prompt)))

    def _ask(self, model: str, prompt: Prompt) -> Any:
        return self._sdk.messages.create(
            model=model,
            max_tokens=self._max_tokens,
            system=prompt.system,
            messages=[{"role": "user", "content": prompt.user}],
            output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
        )

    def close(self) -> None:
        self._http.close()


def _reply(found: Any) -> Reply:
    text = "".join(block.text for block in found.content or () if block.type == "text")
    return Reply(
        text=text, version=str(found.model or ""), usage=_usage(found.usage), stop=_STOPS.get(found.stop_reason)
    )


def _usage(usage: Any) -> Usage | None:
    """``input_tokens`` leaves out what went through the vendor's cache, so those are added."""
    tokens_in = tokens(usage, "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    tokens_out = tokens(usage, "output_tokens")
    return Usage(tokens_in=tokens_in, tokens_out=tokens_out) if tokens_in and tokens_out is not None else None
