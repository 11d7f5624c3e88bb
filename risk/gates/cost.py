"""Gate 10: the budget for paid estimates is not used up."""

from decimal import Decimal

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import Check, verdict
from risk.limits import Limits
from risk.state import RiskState


def cost(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse once the budget of the day or of the month is spent."""
    return verdict(
        Gate.COST,
        (
            _unspent(state.spent_day_usd, limits.cost_day_usd, "day"),
            _unspent(state.spent_month_usd, limits.cost_month_usd, "month"),
        ),
    )


def _unspent(spent: Decimal, budget: Decimal, period: str) -> Check:
    # A surface that buys no estimates has a budget of zero and spends nothing: that is no refusal.
    return spent < budget or spent == 0, Code.COST, spent, budget, "USD", period
