"""Settings of the model panel, read from keys that start with ``MODELS_``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from domain import settings
from domain.errors import did_you_mean
from domain.settings import Secret
from forecast import prices, prompts
from forecast.prices import Price

PREFIX = "MODELS_"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# What env/lt.env.example shows.
PLACEHOLDER = "put-your-key-here"
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,119}")


class Provider(StrEnum):
    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    GEMINI = "gemini"
    DEEPSEEK = "deepseek"


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelModel:
    """One seat of the panel."""

    provider: Provider
    id: str
    price: Price


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsConfig:
    """Who sits on the panel and how it is asked.

    ``panel`` lists ``provider:model``, ``prices`` lists ``model:in/out`` in $ per million tokens. Times are real
    seconds, whatever clock the process runs on; ``cache_ttl_s`` alone is measured on the process's clock, because it
    is about how fast the world changes.

    Attributes:
        samples: answers asked of each model; its opinion is their middle.
        deadline_s: for a question; whoever has not answered by then is missing.
        call_timeout_s: for one call; it may outlast the deadline, so that a late answer is still known and kept.
        attempts: calls made to one model at most.
        max_output_tokens: longest answer, thinking included; what is reserved before a call is reckoned from it.
        rest_after, rest_s: after so many failures of a provider, or of one of its models, one after the other it is
            left alone so long.
    """

    panel: tuple[str, ...]
    prices: tuple[str, ...] = ()
    prompt: str = "binary-v1"
    samples: int = 1
    deadline_s: float = 120.0
    call_timeout_s: float = 90.0
    attempts: int = 2
    max_output_tokens: int = 8192
    cache_ttl_s: float = 21600.0
    rest_after: int = 3
    rest_s: float = 300.0
    anthropic_key: Secret | None = None
    anthropic_url: str = "https://api.anthropic.com"
    openai_key: Secret | None = None
    openai_url: str = "https://api.openai.com/v1"
    gemini_key: Secret | None = None
    gemini_url: str = "https://generativelanguage.googleapis.com"
    deepseek_key: Secret | None = None
    deepseek_url: str = "https://api.deepseek.com"

    def __post_init__(self) -> None:
        models = self.models
        if not models:
            raise ValueError(f"{PREFIX}PANEL must name a model, for example anthropic:claude-sonnet-4-6")
        ids = [model.id for model in models]
        for name in sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"{PREFIX}PANEL names {name} twice; {PREFIX}SAMPLES asks each model more than once")
        for provider in sorted({model.provider for model in models}):
            self._require_reach(provider)
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{PREFIX}{name.upper()} must be above 0, found {getattr(self, name)}")
        prompts.load(self.prompt)

    @property
    def models(self) -> tuple[PanelModel, ...]:
        """Return the panel in its order. Raises ValueError for an entry that cannot be read or has no price."""
        given = dict(_priced(text) for text in self.prices)
        models = tuple(_seat(text, given) for text in self.panel)
        for name in given.keys() - {model.id for model in models} - prices.KNOWN.keys():
            hint = did_you_mean(name, [model.id for model in models])
            raise ValueError(f"{PREFIX}PRICES names {name}, which is not in {PREFIX}PANEL {hint}".rstrip())
        return models

    def key(self, provider: Provider) -> Secret:
        """Return the key of a provider that sits on the panel."""
        found: Secret | None = getattr(self, f"{provider}_key")
        if found is None:
            raise ValueError(f"{PREFIX}{provider.upper()}_KEY is needed: {PREFIX}PANEL names a model of {provider}")
        return found

    def url(self, provider: Provider) -> str:
        return str(getattr(self, f"{provider}_url")).rstrip("/")

    def _require_reach(self, provider: Provider) -> None:
        key = self.key(provider).reveal()
        # An HTTP client puts a header it refuses into the text of its error, so such a key must not reach it.
        if not key or not all("!" <= character <= "~" for character in key):
            raise ValueError(f"{PREFIX}{provider.upper()}_KEY must be printable ASCII without spaces")
        if key == PLACEHOLDER:
            raise ValueError(f"{PREFIX}{provider.upper()}_KEY is still the example's; put your own there")
        _require_host(f"{PREFIX}{provider.upper()}_URL", self.url(provider))


_POSITIVE = (
    "samples",
    "deadline_s",
    "call_timeout_s",
    "attempts",
    "max_output_tokens",
    "cache_ttl_s",
    "rest_after",
    "rest_s",
)


def load(environ: Mapping[str, str], *, source: str) -> ModelsConfig:
    """Build the settings from ``MODELS_…`` keys; raises Misconfigured naming the key and ``source``."""
    return settings.load(ModelsConfig, environ, prefix=PREFIX, source=source)


def _seat(text: str, given: Mapping[str, Price]) -> PanelModel:
    name, _, model = text.partition(":")
    if name not in set(Provider) or not _MODEL.fullmatch(model):
        known = ", ".join(Provider)
        raise ValueError(f"{PREFIX}PANEL must list provider:model with a provider of {known}, found {text!r}")
    price = given.get(model) or prices.KNOWN.get(model)
    if price is None:
        raise ValueError(f"{model} has no price; add {model}:<in>/<out> ($ per million tokens) to {PREFIX}PRICES")
    return PanelModel(provider=Provider(name), id=model, price=price)


def _priced(text: str) -> tuple[str, Price]:
    model, _, price = text.rpartition(":")
    if not _MODEL.fullmatch(model):
        raise ValueError(f"{PREFIX}PRICES must list model:in/out, for example claude-sonnet-4-6:3/15, found {text!r}")
    try:
        return model, prices.parse(price)
    except ValueError as error:
        raise ValueError(f"{PREFIX}PRICES for {model}: {error}") from error


def _require_host(key: str, url: str) -> None:
    """Refuse plain HTTP to anywhere but this machine: the key goes wherever this points."""
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ValueError(f"{key} must be a plain scheme://host[:port][/path]")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError(f"{key} must be an https address or a loopback one, found {url!r}")
