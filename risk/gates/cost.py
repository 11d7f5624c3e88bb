"""Gate 10: the budget for paid estimates, the surface's own and the fleet's, is not used up."""

from decimal import Decimal

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import Check, verdict
from risk.limits import Limits
from risk.state import RiskState

_GATE, _CODE = Gate.COST, Code.COST


def cost(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse once a budget of the day or the month is spent, or what is asked for next would not fit into it."""
    checks = [
        _fits(state.spent_day_usd, limits.cost_day_usd, state.next_usd, "day"),
        _fits(state.spent_month_usd, limits.cost_month_usd, state.next_usd, "month"),
    ]
    if state.fleet_month_usd or state.next_usd:
        checks += [
            _fits(state.fleet_day_usd, limits.fleet_cost_day_usd, state.next_usd, "day of the fleet"),
            _fits(state.fleet_month_usd, limits.fleet_cost_month_usd, state.next_usd, "month of the fleet"),
        ]
    return verdict(_GATE, checks)


def _fits(spent: Decimal, budget: Decimal, more: Decimal, note: str) -> Check:
    # A surface that buys no estimates has a budget of zero and spends nothing: that is no refusal.
    if not more:
        return spent < budget or not spent, _CODE, spent, budget, "USD", note
    total = spent + more
    return total <= budget, _CODE, total, budget, "USD", f"{note}, with the next estimate"
