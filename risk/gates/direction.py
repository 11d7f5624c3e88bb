"""Gate 4: this side of this market may be opened, and the market is open."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import at_most, verdict
from risk.limits import Limits
from risk.state import RiskState


def direction(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse a side that the surface or the market's entry blocks, and a market that calendar or venue calls closed."""
    blocks = _blocks(candidate, limits)
    closures = _closures(candidate, state)
    return verdict(
        Gate.DIRECTION,
        at_most(Code.DIRECTION, len(blocks), 0, "blocks", ", ".join(blocks)),
        at_most(Code.MARKET_CLOSED, len(closures), 0, "closures", ", ".join(closures)),
    )


def _blocks(candidate: Candidate, limits: Limits) -> list[str]:
    blocks = [entry for entry in (candidate.market, f"{candidate.market}:{candidate.side}") if entry in limits.blocked]
    return blocks if candidate.side in limits.sides else [f"no {candidate.side}", *blocks]


def _closures(candidate: Candidate, state: RiskState) -> list[str]:
    closures = [] if state.market_open else ["calendar"]
    quote = state.quote_of(candidate.market)
    return closures if quote is None or quote.tradeable else [*closures, "venue"]
