"""Gate 8: the edge is worth the trade after fees, spread and the models' disagreement."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import at_least, number, verdict
from risk.limits import Limits
from risk.state import RiskState

_NONE = number(0)


def edge(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse an edge below the minimum plus the premium that disagreement costs."""
    premium = limits.disagreement_premium * max(estimate.disagreement, _NONE)
    note = f"{limits.min_edge_bp} and {premium} for disagreement" if premium else ""
    return verdict(Gate.EDGE, (at_least(Code.EDGE, estimate.edge_bp, limits.min_edge_bp + premium, "bp", note),))
