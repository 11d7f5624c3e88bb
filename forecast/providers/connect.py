"""The one place that chooses a vendor's client, and imports its SDK when it is first needed.

An SDK takes tens of MiB and up to seconds, so a process that never asks a model never pays for one.
"""

import threading

from domain.errors import Misconfigured
from forecast.config import ModelsConfig, Provider
from forecast.providers.port import Client

# One import at a time: two threads inside the same tangle of circular imports can see half-made modules.
_LOADING = threading.Lock()


def connect(config: ModelsConfig, provider: Provider) -> Client:
    """Return a client of ``provider``; nothing is sent.

    Raises:
        Misconfigured: the vendor's SDK is not installed.
    """
    with _LOADING:
        try:
            return _client(config, provider)
        except ImportError as error:
            raise Misconfigured(
                f"the SDK of {provider}", str(error), f"install it, or take {provider} out of MODELS_PANEL"
            ) from error


def _client(config: ModelsConfig, provider: Provider) -> Client:
    url, key = config.url(provider), config.key(provider)
    timeout_s, max_tokens = config.call_timeout_s, config.max_output_tokens
    if provider is Provider.ANTHROPIC:
        from forecast.providers.anthropic import AnthropicClient  # noqa: PLC0415 - loads an SDK

        return AnthropicClient(url, key, timeout_s=timeout_s, max_tokens=max_tokens)
    if provider is Provider.GEMINI:
        from forecast.providers.gemini import GeminiClient  # noqa: PLC0415 - loads an SDK

        return GeminiClient(url, key, timeout_s=timeout_s, max_tokens=max_tokens)
    if provider is Provider.DEEPSEEK:
        from forecast.providers.deepseek import DeepSeekClient  # noqa: PLC0415 - loads an SDK

        return DeepSeekClient(url, key, timeout_s=timeout_s, max_tokens=max_tokens)
    from forecast.providers.openai import OpenAiClient  # noqa: PLC0415 - loads an SDK

    return OpenAiClient(url, key, timeout_s=timeout_s, max_tokens=max_tokens)
