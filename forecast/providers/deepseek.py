"""DeepSeek, through OpenAI's SDK: no schema, only a JSON object, and the word JSON must stand in the prompt."""

from domain.settings import Secret
from forecast.providers.openai import ChatClient


class DeepSeekClient(ChatClient):
    def __init__(self, url: str, key: Secret, *, timeout_s: float, max_tokens: int) -> None:
        super().__init__(url, key, timeout_s, {"response_format": {"type": "json_object"}, "max_tokens": max_tokens})
