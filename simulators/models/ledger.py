"""What was billed: calls that produced tokens, whether or not the client waited for them."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from simulators.models.catalogue import PROVIDERS, Model
from simulators.models.wire import Json, Tokens

_MILLION = Decimal(1_000_000)
# Anthropic charges a quarter more for what it writes to its cache
_WRITING = Decimal("1.25")


def cost_usd(tokens: Tokens, model: Model) -> Decimal:
    """Return what the vendor charges; thinking is output."""
    plain = tokens.prompt - tokens.cached - tokens.cache_written
    weighted = plain + tokens.cached * model.line.cache_share + tokens.cache_written * _WRITING
    return (weighted * model.input_usd + tokens.out * model.output_usd) / _MILLION


@dataclass(slots=True)
class Account:
    """Counters of one provider or of one model."""

    paid_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost_usd: Decimal = Decimal(0)

    def book(self, tokens: Tokens, cost: Decimal) -> None:
        """Add one call."""
        self.paid_calls += 1
        self.tokens_in += tokens.prompt
        self.tokens_out += tokens.out
        self.tokens_cached += tokens.cached
        self.cost_usd += cost

    def state(self) -> Json:
        """Return the counters; money is a text."""
        return {
            "paid_calls": self.paid_calls,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "tokens_cached": self.tokens_cached,
            "cost_usd": f"{self.cost_usd:f}",
        }


@dataclass(slots=True)
class ProviderBook:
    """One provider: everything it was asked, and what it billed."""

    total: Account = field(default_factory=Account)
    models: dict[str, Account] = field(default_factory=lambda: defaultdict(Account))
    requests: int = 0
    in_flight: int = 0
    # answers that nobody waited for any more
    abandoned: int = 0
    by_status: Counter[str] = field(default_factory=Counter)

    def state(self) -> Json:
        """Return the counters."""
        return {
            "requests": self.requests,
            "in_flight": self.in_flight,
            "abandoned": self.abandoned,
            "by_status": dict(self.by_status),
            **self.total.state(),
            "models": {name: account.state() for name, account in self.models.items()},
        }


class Ledger:
    """The books of all providers."""

    def __init__(self) -> None:
        self.providers = {provider: ProviderBook() for provider in PROVIDERS}
        self.total = Account()

    def book(self, tokens: Tokens, model: Model) -> Decimal:
        """Add a call that produced tokens and return what it cost."""
        cost, provider = cost_usd(tokens, model), self.providers[model.provider]
        for account in (self.total, provider.total, provider.models[model.id]):
            account.book(tokens, cost)
        return cost

    @property
    def in_flight(self) -> int:
        return sum(book.in_flight for book in self.providers.values())
