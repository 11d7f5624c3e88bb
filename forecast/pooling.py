"""One probability out of many: votes pooled in log odds.

Up to three votes give their median, more of them their weighted mean, of which a tenth of the weight at either end is
left out, so that one wild vote moves little. Chances are clipped to [0.01, 0.99] first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

from domain.candidate import Vote
from forecast.scores import LEAST, MOST

MEDIAN_UP_TO = 3
TRIM = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """What the votes say together.

    ``disagreement`` is the standard deviation of their log odds (of a sample, so 0 for one vote). ``weights`` are
    the shares the models had, model and share, summing to 1; a median gives each the same.
    """

    probability: float
    log_odds: float
    disagreement: float
    models: int
    weights: tuple[tuple[str, float], ...]


def clip(chance: float) -> float:
    """Return ``chance`` inside [0.01, 0.99]."""
    return min(max(chance, LEAST), MOST)


def log_odds(chance: float) -> float:
    """Return the log odds of a clipped chance."""
    clipped = clip(chance)
    return log(clipped / (1.0 - clipped))


def chance_of(odds: float) -> float:
    """Return the chance of log odds."""
    if odds >= 0:
        return 1.0 / (1.0 + exp(-odds))
    return exp(odds) / (1.0 + exp(odds))


def pool(votes: Sequence[Vote], weights: Mapping[str, float] | None = None, *, trim: float = TRIM) -> Pooled:
    """Pool the votes of a panel.

    Args:
        weights: model -> weight, such as those of ``Weights``; a model not in it weighs 1. Without it the votes' own
            weights count.
        trim: share of the weight left out at either end, below 0.5.

    Raises:
        ValueError: there is no vote, or no weight at all.
    """
    if not votes:
        raise ValueError("expected at least one vote to pool, found none")
    shares = [float(vote.weight) if weights is None else weights.get(vote.model, 1.0) for vote in votes]
    if min(shares) < 0 or sum(shares) <= 0:
        raise ValueError(f"expected weights of 0 or more with a sum above 0, found {shares}")
    odds = [log_odds(float(vote.probability)) for vote in votes]
    if len(votes) <= MEDIAN_UP_TO:
        shares = [1.0] * len(votes)
        middle = _median(odds)
    else:
        middle = trimmed_mean(odds, shares, trim)
    total = sum(shares)
    return Pooled(
        probability=chance_of(middle),
        log_odds=middle,
        disagreement=spread(odds),
        models=len(votes),
        weights=tuple((vote.model, share / total) for vote, share in zip(votes, shares, strict=True)),
    )


def trimmed_mean(values: Sequence[float], weights: Sequence[float], trim: float) -> float:
    """Return the weighted mean without the outermost ``trim`` of the weight at either end."""
    if not 0 <= trim < 0.5:
        raise ValueError(f"expected a trim in [0, 0.5), found {trim}")
    total = sum(weights)
    low, high = trim * total, (1 - trim) * total
    passed = summed = 0.0
    for value, weight in sorted(zip(values, weights, strict=True)):
        inside = max(0.0, min(passed + weight, high) - max(passed, low))
        summed += inside * value
        passed += weight
    return summed / (high - low)


def spread(odds: Sequence[float]) -> float:
    """Return the sample standard deviation, 0 for a single value."""
    if len(odds) < 2:
        return 0.0
    mean = sum(odds) / len(odds)
    return sqrt(sum((one - mean) ** 2 for one in odds) / (len(odds) - 1))


def _median(values: Sequence[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2
