"""Gate 9: the estimate is sure enough, enough models stand behind it, and they agree."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import at_least, at_most, number, verdict
from risk.limits import Limits
from risk.state import RiskState


def confidence(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse low confidence, a missed quorum, and models too far apart; a vote without weight is an abstention."""
    votes = len([vote for vote in estimate.votes if vote.weight > 0])
    return verdict(
        Gate.CONFIDENCE,
        (
            at_least(Code.CONFIDENCE, estimate.confidence, limits.min_confidence, "confidence"),
            at_least(Code.CONFIDENCE, number(votes), number(limits.min_quorum), "votes"),
            at_most(Code.CONFIDENCE, estimate.disagreement, limits.max_disagreement, "disagreement"),
        ),
    )
