"""The vendors' SDKs asking the simulated models, one way for all four."""

import anthropic
import httpx2
import openai
import pydantic
from google import genai
from google.genai import errors, types

MODELS = {
    "anthropic": "claude-sonnet-4-6",
    "openai": "gpt-5.5",
    "gemini": "gemini-3.5-flash",
    "deepseek": "deepseek-v4-flash",
}


PROMPT = 'Question: Will it snow in Oslo in May?\nAnswer as JSON: {"probability": 0.5}'


USER = [{"role": "user", "content": PROMPT}]


class Forecast(pydantic.BaseModel):
    probability: float = pydantic.Field(ge=0, le=1)


SCHEMA = {
    "type": "object",
    "properties": {"probability": {"type": "number"}},
    "required": ["probability"],
    "additionalProperties": False,
}


STRICT = {"type": "json_schema", "json_schema": {"name": "forecast", "strict": True, "schema": SCHEMA}}


class Caller:
    """One way to ask all four vendors for a probability, each through its own SDK."""

    def __init__(self, sim, timeout=5.0, retries=0):
        url, key, options = sim.urls, sim.keys, {"timeout": timeout, "max_retries": retries}
        self.claude = anthropic.Anthropic(api_key=key["anthropic"], base_url=url["anthropic"], **options)
        self.gpt = openai.OpenAI(api_key=key["openai"], base_url=url["openai"], **options)
        self.deepseek = openai.OpenAI(api_key=key["deepseek"], base_url=url["deepseek"], **options)
        http = types.HttpOptions(base_url=url["gemini"], timeout=int(timeout * 1000))
        if retries:
            http.retry_options = types.HttpRetryOptions(attempts=retries + 1, initial_delay=0.01, jitter=0)
        self.gemini = genai.Client(api_key=key["gemini"], vertexai=False, http_options=http)

    def ask(self, provider, model=None, prompt=PROMPT):
        model, user = model or MODELS[provider], [{"role": "user", "content": prompt}]
        if provider == "anthropic":
            form = {"format": {"type": "json_schema", "schema": SCHEMA}}
            return self.claude.messages.create(model=model, max_tokens=900, messages=user, output_config=form)
        if provider == "openai":
            return self.gpt.chat.completions.create(model=model, messages=user, response_format=STRICT)
        if provider == "deepseek":
            form = {"type": "json_object"}
            return self.deepseek.chat.completions.create(model=model, messages=user, response_format=form)
        config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=SCHEMA)
        return self.gemini.models.generate_content(model=model, contents=prompt, config=config)

    def text(self, provider, **fields):
        return text_of(provider, self.ask(provider, **fields))

    def close(self):
        for client in (self.claude, self.gpt, self.deepseek, self.gemini):
            client.close()


def text_of(provider, found):
    if provider == "anthropic":
        return found.content[0].text
    return found.text if provider == "gemini" else found.choices[0].message.content


def status_of(exc):
    return exc.code if isinstance(exc, errors.APIError) else exc.status_code


STATUS_ERRORS = (anthropic.APIStatusError, openai.APIStatusError, errors.APIError)


# google-genai lets the errors of its HTTP library through
NETWORK_ERRORS = (anthropic.APIConnectionError, openai.APIConnectionError, httpx2.TransportError)
