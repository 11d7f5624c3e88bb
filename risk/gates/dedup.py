"""Gate 2: the same bet is not on, its market is not cooling down, and it was not made a moment ago."""

from datetime import datetime

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.check import Check, at_least, at_most, number, seconds, verdict
from risk.limits import Limits
from risk.state import Exposure, RiskState

_NONE = number(0)


def dedup(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse a bet that is on or was just made, and any bet in a market that rests or holds an unknown order."""
    checks = [_already_on(candidate, state)]
    resting = state.cooldowns.get(candidate.market)
    if resting is not None:
        checks.append(_rested(resting, state))
    decided = state.recent.get(candidate.key)
    if decided is not None:
        since = seconds(state.now - decided)
        window = number(limits.dedup_window_s)
        checks.append(at_least(Code.DUPLICATE, since, window, "s", "since last admitted"))
    return verdict(Gate.DEDUP, checks)


def _already_on(candidate: Candidate, state: RiskState) -> Check:
    mine = [exposure for exposure in state.exposures if exposure.market == candidate.market]
    found = [exposure.status for exposure in mine if _is_in_the_way(exposure, candidate)]
    return at_most(Code.DUPLICATE, number(len(found)), _NONE, "positions", ", ".join(found))


def _is_in_the_way(exposure: Exposure, candidate: Candidate) -> bool:
    """Tell of an exposure in the candidate's market whether it is the same bet, or an order nobody knows more of."""
    return exposure.status == "unknown" or (exposure.side, exposure.thesis) == (candidate.side, candidate.thesis)


def _rested(until: datetime, state: RiskState) -> Check:
    left = seconds(until - state.now) if until > state.now else _NONE
    return at_most(Code.COOLDOWN, left, _NONE, "s", "cooldown left")
