"""Gate 3: exposure in this market, and in its event or underlying, stays under its cap."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Gate
from risk.caps import market_caps
from risk.check import verdict, within
from risk.limits import Limits
from risk.sizing import smallest
from risk.state import RiskState

_GATE = Gate.MARKET_CAP


def market_cap(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse when the size, or the smallest one there is if it came out as zero, does not fit."""
    asked = size if size.quantity else smallest(candidate, state, limits)
    return verdict(_GATE, within(market_caps(candidate, state, limits), asked))
