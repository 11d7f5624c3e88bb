"""What is believed about a contract before its price is looked at, and who works that out."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.candidate import Missing, Vote
from domain.contract import Contract, SettlementRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What is believed of YES without having seen the price: one probability, or the votes of a panel, not pooled yet.

    With neither, nobody who was asked had an opinion. ``method`` names what it comes from and becomes the sub-strategy.
    ``certainty`` in [0, 1] is how far its makers trust it. ``facts`` are the numbers behind it.
    """

    method: str
    certainty: Decimal = Decimal(1)
    probability: Decimal | None = None
    votes: tuple[Vote, ...] = ()
    missing: tuple[Missing, ...] = ()
    cost_usd: Decimal = Decimal(0)
    facts: tuple[tuple[str, str], ...] = ()


class Estimator(Protocol):
    """Works out a belief about contracts of some kinds."""

    def takes(self, rule: SettlementRule) -> bool:
        """Tell whether it can say anything about such a contract."""

    def costs_usd(self, contract: Contract, rule: SettlementRule) -> Decimal:
        """Return the most that a belief about it can cost."""

    def believe(self, contract: Contract, rule: SettlementRule, now: datetime) -> Belief:
        """Work it out, taking what time it takes. Raises Retry or Refuse when there is nothing to work from."""
