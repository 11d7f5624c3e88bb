"""Gate 4: this side of this market may be opened, its rules were understood, and the market is open."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import clear, found
from risk.limits import Limits
from risk.state import RiskState

_CLEAR = clear(Gate.DIRECTION, "blocks")


def direction(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse a blocked side, a contract whose text was not understood, and a market that calendar or venue closed."""
    if limits.blocked or candidate.side not in limits.sides:
        blocks = _blocks(candidate, limits)
        if blocks:
            return found(Gate.DIRECTION, Code.DIRECTION, blocks, "blocks")
    if candidate.unread:
        return found(Gate.DIRECTION, Code.RULE_UNPARSED, [candidate.unread], "rules unread")
    closures = _closures(candidate, state)
    return found(Gate.DIRECTION, Code.MARKET_CLOSED, closures, "closures") if closures else _CLEAR


def _blocks(candidate: Candidate, limits: Limits) -> list[str]:
    entries = (candidate.market, f"{candidate.market}:{candidate.side}")
    blocks = [entry for entry in entries if entry in limits.blocked]
    return blocks if candidate.side in limits.sides else [f"no {candidate.side}", *blocks]


def _closures(candidate: Candidate, state: RiskState) -> list[str]:
    closures = [] if state.market_open else ["calendar"]
    quote = state.quote_of(candidate.market)
    return closures if quote is None or quote.tradeable else [*closures, "venue"]
