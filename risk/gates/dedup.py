"""Gate 2: the same bet is not on, its market is not cooling down, and it was not made a moment ago."""

from datetime import datetime

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import Check, number, seconds, verdict
from risk.limits import Limits
from risk.state import Exposure, RiskState

_GATE, _DUPLICATE, _COOLDOWN = Gate.DEDUP, Code.DUPLICATE, Code.COOLDOWN
_NONE = number(0)
_NOT_ON: Check = (True, _DUPLICATE, _NONE, _NONE, "positions", "")
_RESTED: Check = (True, _COOLDOWN, _NONE, _NONE, "s", "cooldown left")


def dedup(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse a bet that is on or was just made, and any bet in a market that rests or holds an unknown order."""
    checks = [_already_on(candidate, state, limits)]
    resting = state.cooldowns.get(candidate.market)
    if resting is not None:
        checks.append(_rested(resting, state))
    decided = state.recent.get(candidate.key)
    if decided is not None:
        since, window = seconds(state.now - decided), limits.dedup_window
        checks.append((since >= window, _DUPLICATE, since, window, "s", "since last admitted"))
    return verdict(_GATE, checks)


def _already_on(candidate: Candidate, state: RiskState, limits: Limits) -> Check:
    market, found = candidate.market, []
    for exposure in state.exposures:
        if exposure.market == market and (limits.one_per_market or _is_in_the_way(exposure, candidate)):
            found.append(exposure.status)  # noqa: PERF401  # a comprehension's own frame costs more than three exposures
    return (False, _DUPLICATE, number(len(found)), _NONE, "positions", ", ".join(found)) if found else _NOT_ON


def _is_in_the_way(exposure: Exposure, candidate: Candidate) -> bool:
    """Tell of an exposure in the candidate's market whether it is the same bet, or an order nobody knows more of."""
    return exposure.status == "unknown" or (exposure.side, exposure.thesis) == (candidate.side, candidate.thesis)


def _rested(until: datetime, state: RiskState) -> Check:
    if until <= state.now:
        return _RESTED
    return False, _COOLDOWN, seconds(until - state.now), _NONE, "s", "cooldown left"
