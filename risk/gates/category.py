"""Gate 5: neither category, strategy, sub-strategy nor the market itself is suspended."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import clear, found
from risk.limits import Limits
from risk.state import RiskState

_CLEAR = clear(Gate.CATEGORY, "suspensions")


def market_name(market: str) -> str:
    """Return what a market that must not be bought is suspended as."""
    return f"market {market}"


def category(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse while anything the candidate belongs to is suspended, by hand or by a rule."""
    if not limits.suspended and not state.suspended:
        return _CLEAR
    names = (candidate.category, candidate.strategy, candidate.sub_strategy, market_name(candidate.market))
    by_hand = [f"{name}: by hand" for name in names if name in limits.suspended]
    by_rule = [f"{name}: {state.suspended[name]}" for name in names if name in state.suspended]
    reasons = by_hand + by_rule
    return found(Gate.CATEGORY, Code.SUSPENDED, reasons, "suspensions") if reasons else _CLEAR
