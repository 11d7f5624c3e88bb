"""Gate 10: the budget for paid estimates is not used up."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import verdict
from risk.limits import Limits
from risk.state import RiskState

_GATE, _CODE = Gate.COST, Code.COST


def cost(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse once the budget of the day or of the month is spent."""
    day, day_budget = state.spent_day_usd, limits.cost_day_usd
    month, month_budget = state.spent_month_usd, limits.cost_month_usd
    # A surface that buys no estimates has a budget of zero and spends nothing: that is no refusal.
    return verdict(
        _GATE,
        (
            (day < day_budget or not day, _CODE, day, day_budget, "USD", "day"),
            (month < month_budget or not month, _CODE, month, month_budget, "USD", "month"),
        ),
    )
