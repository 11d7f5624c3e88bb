"""GPT, through OpenAI's SDK; DeepSeek speaks the same protocol and shares what is here."""

from typing import Any

import openai

from domain.settings import Secret
from forecast.answers import SCHEMA, CallFailed, Reason, Reply
from forecast.budget import Usage
from forecast.prompts import Prompt
from forecast.providers.errors import tokens, translated
from forecast.providers.transport import http_client

_STOPS = {"length": Reason.TRUNCATED, "content_filter": Reason.REFUSED}
_STRICT = {"type": "json_schema", "json_schema": {"name": "forecast", "strict": True, "schema": SCHEMA}}
# DeepSeek ends an answer with this word when it ran out of machines; nothing usable was produced.
_OUT_OF_RESOURCES = "insufficient_system_resource"


class ChatClient:
    """One vendor of chat completions; ``settings`` are the parameters in which vendors differ."""

    def __init__(self, url: str, key: Secret, timeout_s: float, settings: dict[str, Any]) -> None:
        self._key = key
        self._settings = settings
        self._http = http_client(timeout_s)
        self._sdk = openai.OpenAI(
            api_key=key.reveal(), base_url=url, timeout=self._http.timeout, max_retries=0, http_client=self._http
        )

    def answer(self, model: str, prompt: Prompt) -> Reply:
        return translated(openai, self._key, lambda: _reply(self._ask(model, prompt)))

    def _ask(self, model: str, prompt: Prompt) -> Any:
        return self._sdk.chat.completions.create(
            model=model,
            messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            **self._settings,
        )

    def close(self) -> None:
        self._http.close()


class OpenAiClient(ChatClient):
    """GPT keeps to a schema; its reasoning models refuse the older ``max_tokens``."""

    def __init__(self, url: str, key: Secret, *, timeout_s: float, max_tokens: int) -> None:
        super().__init__(url, key, timeout_s, {"response_format": _STRICT, "max_completion_tokens": max_tokens})


def _reply(found: Any) -> Reply:
    choice = found.choices[0]
    if choice.finish_reason == _OUT_OF_RESOURCES:
        raise CallFailed(Reason.OVERLOADED, is_billed=True, is_repeatable=True)
    stop = Reason.REFUSED if getattr(choice.message, "refusal", None) else _STOPS.get(choice.finish_reason)
    text = choice.message.content or ""
    return Reply(text=text, version=str(found.model or ""), usage=_usage(found.usage), stop=stop)


def _usage(usage: Any) -> Usage | None:
    """``completion_tokens`` includes thinking, ``prompt_tokens`` what came from the vendor's cache."""
    tokens_in, tokens_out = tokens(usage, "prompt_tokens"), tokens(usage, "completion_tokens")
    return Usage(tokens_in=tokens_in, tokens_out=tokens_out) if tokens_in and tokens_out is not None else None
