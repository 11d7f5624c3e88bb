"""A driftless walk between a stop and a target: the odds of a market about which nothing is known."""

from dataclasses import dataclass
from math import exp


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """``probability`` of reaching the target first, and the mean ``loss`` when it is not reached (a distance)."""

    probability: float
    loss: float


def driftless(stop: float, target: float, trailing: float | None) -> Odds:
    """Return the odds of a driftless continuous walk that starts between its barriers.

    Without a trailing stop this is the gambler's ruin: stop / (stop + target). A trailing stop at distance d acts
    from the moment the walk has gained d - stop; from there on, reaching a further x before falling d below the best
    has probability exp(-x / d). Whatever the barriers, the expected result is 0, which gives the mean loss.

    Args:
        stop: distance to the stop, above 0.
        target: distance to the target, above 0.
        trailing: distance of the trailing stop, None for none.
    """
    probability = _reaches(stop, target, trailing)
    return Odds(probability=probability, loss=probability * target / (1.0 - probability))


def _reaches(stop: float, target: float, trailing: float | None) -> float:
    if trailing is None or trailing - stop >= target:
        return stop / (stop + target)
    takes_over = max(trailing - stop, 0.0)
    return min(stop / trailing, 1.0) * exp(-(target - takes_over) / trailing)
