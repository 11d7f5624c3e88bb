"""Gate 9: the estimate is sure enough, enough models stand behind it, and they agree."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import number, verdict
from risk.limits import Limits
from risk.state import RiskState

_GATE, _CODE = Gate.CONFIDENCE, Code.CONFIDENCE
_NONE = number(0)


def confidence(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse low confidence, a missed quorum, and models too far apart; a vote without weight is an abstention."""
    sure, least = estimate.confidence, limits.min_confidence
    votes = number(len([vote for vote in estimate.votes if vote.weight > 0])) if estimate.votes else _NONE
    quorum, apart, most = limits.quorum, estimate.disagreement, limits.max_disagreement
    return verdict(
        _GATE,
        (
            (sure >= least, _CODE, sure, least, "confidence", ""),
            (votes >= quorum, _CODE, votes, quorum, "votes", ""),
            (apart <= most, _CODE, apart, most, "disagreement", ""),
        ),
    )
