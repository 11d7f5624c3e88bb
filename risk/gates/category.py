"""Gate 5: neither category, strategy nor sub-strategy is suspended."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import at_most, verdict
from risk.limits import Limits
from risk.state import RiskState


def category(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse while anything the candidate belongs to is suspended, by hand or by a rule."""
    names = (candidate.category, candidate.strategy, candidate.sub_strategy)
    by_hand = [f"{name}: by hand" for name in names if name in limits.suspended]
    by_rule = [f"{name}: {state.suspended[name]}" for name in names if name in state.suspended]
    found = by_hand + by_rule
    return verdict(Gate.CATEGORY, at_most(Code.SUSPENDED, len(found), 0, "suspensions", ", ".join(found)))
