"""Models each vendor serves: what they cost, how long they think, how they lean; and those it has switched off.

Prices are USD for a million tokens; ``assumed`` marks those for which no published price was at hand.
Lengths, latencies and leanings follow what was measured of real models on 300 Kalshi questions where the line was
among them, and are guesses of the same order elsewhere.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal

PROVIDERS = ("anthropic", "openai", "gemini", "deepseek")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A family of models that err alike.

    ``common`` is how much of its opinion it shares with all other families; ``bias`` and ``spread`` are mean and
    standard deviation of its logits; ``text`` the usual length of its rationale and ``thoughts`` of its reasoning, in
    tokens; ``seconds`` how long that takes; ``characters`` how many its tokenizer puts into one token.
    """

    name: str
    common: float
    bias: float
    spread: float
    text: int
    thoughts: int
    seconds: float
    characters: float
    # how much of the input price is left for tokens read from the cache
    cache_share: Decimal = Decimal("0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One id a client can ask for. ``is_reasoning``: an OpenAI model that refuses ``max_tokens``."""

    id: str
    provider: str
    line: Line
    input_usd: Decimal
    output_usd: Decimal
    assumed: bool = False
    retired: bool = False
    is_reasoning: bool = False


_CLAUDE_4 = Line(
    name="claude-4", common=0.90, bias=-0.73, spread=1.65, text=490, thoughts=900, seconds=13, characters=3.7
)
_CLAUDE_5 = replace(_CLAUDE_4, name="claude-5", bias=-0.85)
_GPT_4 = Line(
    name="gpt-4",
    common=0.86,
    bias=-0.34,
    spread=1.25,
    text=255,
    thoughts=0,
    seconds=6.6,
    characters=4.4,
    cache_share=Decimal("0.5"),
)
_GPT_5 = Line(name="gpt-5", common=0.90, bias=-1.10, spread=1.62, text=200, thoughts=230, seconds=8.5, characters=4.4)
_GPT_6 = replace(_GPT_5, name="gpt-6", thoughts=420)
_GEMINI_3 = Line(
    name="gemini-3", common=0.87, bias=-0.90, spread=1.60, text=220, thoughts=600, seconds=7, characters=4.2
)
_DEEPSEEK_4 = Line(
    name="deepseek-4", common=0.86, bias=-0.59, spread=1.50, text=300, thoughts=450, seconds=6.6, characters=4.0
)
_DEFAULT_LINE = {"anthropic": _CLAUDE_5, "openai": _GPT_5, "gemini": _GEMINI_3, "deepseek": _DEEPSEEK_4}

# id, line, input, output, whether the price is assumed
_SERVED: dict[str, tuple[tuple[str, Line, str, str, bool], ...]] = {
    "anthropic": (
        ("claude-sonnet-4-6", _CLAUDE_4, "3", "15", False),
        ("claude-haiku-4-5", _CLAUDE_4, "1", "5", False),
        ("claude-haiku-4-5-20251001", _CLAUDE_4, "1", "5", False),
        ("claude-sonnet-4-5", _CLAUDE_4, "3", "15", False),
        ("claude-sonnet-4-5-20250929", _CLAUDE_4, "3", "15", False),
        ("claude-opus-4-5", _CLAUDE_4, "5", "25", True),
        ("claude-opus-4-6", _CLAUDE_4, "5", "25", True),
        ("claude-opus-4-7", _CLAUDE_4, "5", "25", True),
        ("claude-opus-4-8", _CLAUDE_4, "5", "25", True),
        ("claude-sonnet-5", _CLAUDE_5, "2", "10", False),
        ("claude-sonnet-5-5", _CLAUDE_5, "2", "10", False),
        ("claude-haiku-5-5", _CLAUDE_5, "1", "5", True),
        ("claude-opus-5", _CLAUDE_5, "5", "25", True),
        ("claude-opus-5-5", _CLAUDE_5, "4", "20", False),
        ("claude-fable-5-2", _CLAUDE_5, "5", "25", True),
    ),
    "openai": (
        ("gpt-5.5", _GPT_5, "5", "30", False),
        ("gpt-5.4", _GPT_5, "2.50", "15", False),
        ("gpt-5.4-mini", _GPT_5, "0.75", "4.50", False),
        ("gpt-5.4-nano", _GPT_5, "0.20", "1.25", False),
        ("gpt-5.2", _GPT_5, "1.75", "14", True),
        ("gpt-5.1", _GPT_5, "1.25", "10", True),
        ("gpt-5-mini", _GPT_5, "0.25", "2", True),
        ("gpt-5.6-sol", _GPT_6, "5", "30", True),
        ("gpt-6-sol", _GPT_6, "5", "30", True),
        ("gpt-6-luna", _GPT_6, "1", "6", True),
        ("gpt-6.1-sol", _GPT_6, "5", "30", True),
        ("gpt-6.1-terra", _GPT_6, "2.50", "15", True),
        ("gpt-4o", _GPT_4, "2.50", "10", False),
        ("gpt-4o-mini", _GPT_4, "0.15", "0.60", True),
        ("gpt-4.1", _GPT_4, "2", "8", True),
    ),
    "gemini": (
        ("gemini-3-flash-preview", _GEMINI_3, "0.50", "3", False),
        ("gemini-3.1-flash-lite", _GEMINI_3, "0.25", "1.50", False),
        ("gemini-3.5-flash", _GEMINI_3, "1.50", "9", False),
        ("gemini-3.1-pro-preview", _GEMINI_3, "2", "12", True),
    ),
    "deepseek": (
        ("deepseek-flash", _DEEPSEEK_4, "0.30", "1.20", False),
        ("deepseek-v4-flash", _DEEPSEEK_4, "0.30", "1.20", False),
        ("deepseek-v4-pro", _DEEPSEEK_4, "1.32", "3.96", False),
    ),
}
_RETIRED: dict[str, tuple[str, ...]] = {
    "anthropic": (
        "claude-3-5-sonnet-20241022",
        "claude-3-5-haiku-20241022",
        "claude-3-7-sonnet-20250219",
        "claude-3-opus-20240229",
        "claude-sonnet-4-0",
        "claude-sonnet-4-20250514",
        "claude-opus-4-0",
        "claude-opus-4-20250514",
        "claude-mythos-preview",
    ),
    "openai": ("gpt-4-turbo", "gpt-4-0314", "gpt-4o-2024-05-13", "gpt-3.5-turbo", "o1", "o1-preview", "o3-mini"),
    "gemini": (
        "gemini-2.0-flash",
        "gemini-2.0-flash-lite",
        "gemini-2.5-flash",
        "gemini-2.5-flash-lite",
        "gemini-2.5-pro",
        "gemini-1.5-flash",
        "gemini-1.5-pro",
    ),
    "deepseek": ("deepseek-chat", "deepseek-reasoner"),
}


@dataclass(slots=True)
class Catalogue:
    """The models that can be asked for: provider -> id -> model."""

    models: dict[str, dict[str, Model]] = field(default_factory=lambda: default_models())

    def find(self, provider: str, name: str) -> Model | None:
        """Return a model, retired or not; None when the vendor never had it."""
        return self.models[provider].get(name)

    def served(self, provider: str) -> list[Model]:
        """List what a vendor answers for."""
        return [model for model in self.models[provider].values() if not model.retired]


def default_models() -> dict[str, dict[str, Model]]:
    """Return every model that is built in."""
    found: dict[str, dict[str, Model]] = {}
    for provider in PROVIDERS:
        served = [_model(provider, *row) for row in _SERVED[provider]]
        retired = [replace(invented(provider, name), retired=True) for name in _RETIRED[provider]]
        found[provider] = {model.id: model for model in (*served, *retired)}
    return found


def invented(provider: str, name: str, input_usd: str = "1", output_usd: str = "5") -> Model:
    """Return a model that is not built in, behaving like its vendor's newest."""
    return _model(provider, name, _DEFAULT_LINE[provider], input_usd, output_usd, True)


def _model(provider: str, name: str, line: Line, input_usd: str, output_usd: str, assumed: bool) -> Model:
    return Model(
        id=name,
        provider=provider,
        line=line,
        input_usd=Decimal(input_usd),
        output_usd=Decimal(output_usd),
        assumed=assumed,
        is_reasoning=line.name in ("gpt-5", "gpt-6"),
    )
