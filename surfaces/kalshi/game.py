"""Beliefs about games, from bookmakers' odds without their margin."""

from datetime import datetime
from decimal import Decimal

from domain.contract import Contract, RuleKind, SettlementRule
from forecast.sports import OddsSource, estimate_game
from surfaces.kalshi.belief import Belief


class GameEstimator:
    """Asks a source of odds; without one, no game is traded."""

    def __init__(self, source: OddsSource) -> None:
        self._source = source

    def takes(self, rule: SettlementRule) -> bool:
        return rule.kind is RuleKind.GAME

    def costs_usd(self, contract: Contract, rule: SettlementRule) -> Decimal:
        return Decimal(0)

    def believe(self, contract: Contract, rule: SettlementRule, now: datetime) -> Belief:
        found = estimate_game(rule, contract.event, self._source, now)
        return Belief(method=found.method, certainty=found.certainty, probability=found.probability, facts=found.facts)
