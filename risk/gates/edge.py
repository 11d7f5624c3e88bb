"""Gate 8: the edge is worth the trade after fees, spread and the models' disagreement."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict, make_verdict
from domain.vocabulary import Code, Gate
from risk.check import number
from risk.limits import Limits
from risk.state import RiskState

_GATE, _CODE = Gate.EDGE, Code.EDGE
_NONE = number(0)


def edge(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse an edge below the minimum plus the premium that disagreement costs."""
    minimum, value, disagreement = limits.min_edge_bp, estimate.edge_bp, estimate.disagreement
    premium = limits.disagreement_premium * (disagreement if disagreement > 0 else _NONE)
    # Decimal's own __format__ takes 0.1 us longer than str does.
    note = f"{minimum!s} and {premium!s} for disagreement" if premium else ""
    asked = minimum + premium
    passed = value >= asked
    return make_verdict(_GATE, passed, None if passed else _CODE, value, asked, "bp", note)
