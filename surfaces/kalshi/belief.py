"""What is believed about a contract before its price is looked at, and who works that out."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.candidate import Missing, Vote
from domain.contract import Contract, SettlementRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """A probability of YES that has not seen the price; None when nobody who was asked gave one.

    ``method`` names what it comes from and becomes the sub-strategy. ``certainty`` in [0, 1] is how far its makers
    trust it; ``disagreement`` is the standard deviation of the votes' log-odds. ``facts`` are the numbers behind it.
    """

    probability: Decimal | None
    method: str
    certainty: Decimal
    disagreement: Decimal = Decimal(0)
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
