"""Beliefs of the model panel about announced outcomes."""

from datetime import datetime
from decimal import Decimal

from domain.contract import Contract, RuleKind, SettlementRule
from forecast.panel import Panel
from forecast.question import Question
from surfaces.kalshi.belief import Belief

METHOD = "panel"


class PanelEstimator:
    """Puts a contract's text to every model of the panel; their votes are pooled by whoever prices the belief."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def takes(self, rule: SettlementRule) -> bool:
        return rule.kind is RuleKind.STATEMENT

    def costs_usd(self, contract: Contract, rule: SettlementRule) -> Decimal:
        return self._panel.worst_usd(question_of(contract))

    def believe(self, contract: Contract, rule: SettlementRule, now: datetime) -> Belief:
        answer = self._panel.ask(question_of(contract))
        return Belief(
            method=METHOD,
            votes=answer.votes,
            missing=answer.missing,
            cost_usd=answer.cost_usd,
            facts=(("prompt", answer.prompt), ("elapsed_s", f"{answer.elapsed_s:.2f}")),
        )


def question_of(contract: Contract) -> Question:
    """Return the contract's own words as a question; its price stays out of it."""
    rules = "\n\n".join(part for part in (contract.rules_primary, contract.rules_secondary) if part)
    return Question(
        id=contract.ticker,
        # A listing without a title must not end the surface: whatever else names the question does then.
        text=next(text for text in (contract.title, contract.event_title, contract.ticker) if text.strip()),
        rules=rules,
        closes_at=contract.expected_expiration_at or contract.close_at,
        yes=contract.yes_sub_title,
    )
