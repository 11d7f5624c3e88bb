"""What a million tokens cost, for the models whose price was looked up.

A model that is not here needs its price in ``MODELS_PRICES``, and that setting wins over this table. Vendors change
their prices: whoever runs a panel for money checks these against the vendor's page and sets their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from forecast.budget import Usage

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars for a million tokens in and out; thinking is billed as output by all four vendors."""

    usd_in: Decimal
    usd_out: Decimal

    def __post_init__(self) -> None:
        if not all(price.is_finite() and price >= 0 for price in (self.usd_in, self.usd_out)):
            raise ValueError(f"a price must be a number from 0 on, found {self.usd_in}/{self.usd_out}")

    def of(self, usage: Usage) -> Decimal:
        """Return what so many tokens cost in US dollars. Input from the vendor's cache is counted at the full price."""
        return (self.usd_in * usage.tokens_in + self.usd_out * usage.tokens_out) / _MILLION


def parse(text: str) -> Price:
    """Read ``3/15``: dollars per million tokens in and out."""
    dollars_in, slash, dollars_out = text.partition("/")
    try:
        if slash:
            return Price(usd_in=Decimal(dollars_in.strip()), usd_out=Decimal(dollars_out.strip()))
    except ArithmeticError:
        pass
    raise ValueError(f"a price must be written like 3/15 ($ per million tokens in/out), found {text!r}")


# Standard tier, prompts under 100,000 tokens, as the vendors' pages showed them on the day named.
KNOWN: Mapping[str, Price] = {
    # platform.claude.com/docs, "Models", November 2026
    "claude-sonnet-4-6": parse("3/15"),
    "claude-sonnet-5": parse("2/10"),
    "claude-sonnet-5-5": parse("2/10"),
    "claude-opus-5-5": parse("4/20"),
    "claude-haiku-4-5": parse("1/5"),
    # developers.openai.com/api/docs/pricing, June 2026
    "gpt-5.5": parse("5/30"),
    "gpt-5.4": parse("2.50/15"),
    "gpt-5.4-mini": parse("0.75/4.50"),
    "gpt-5.4-nano": parse("0.20/1.25"),
    # ai.google.dev/gemini-api/docs/pricing, July 2026
    "gemini-3.5-flash": parse("1.50/9"),
    "gemini-3.1-flash-lite": parse("0.25/1.50"),
    # api-docs.deepseek.com/quick_start/pricing, 15 November 2026, peak hours (the others cost half).
    # deepseek-v4-flash is served by the newer flash model and billed like it.
    "deepseek-flash": parse("0.30/1.20"),
    "deepseek-v4-flash": parse("0.30/1.20"),
    "deepseek-v4-pro": parse("1.32/3.96"),
}
