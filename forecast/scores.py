"""How good probabilities were: Brier score and its three parts, log loss, reliability, calibration error.

Outcomes are 0 or 1. Everything here is a plain function of two lists; nothing is fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

# A forecast of certainty that fails would otherwise cost an infinite log loss; models are clipped here as well.
LEAST, MOST = 0.01, 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The forecasts of one bin: how many, their mean, and how often they came true."""

    count: int
    forecast: float
    observed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Murphy:
    """The parts of a Brier score: ``reliability - resolution + uncertainty`` is the score of the binned forecasts."""

    reliability: float
    resolution: float
    uncertainty: float

    @property
    def brier(self) -> float:
        return self.reliability - self.resolution + self.uncertainty


def brier(chances: Sequence[float], outcomes: Sequence[float]) -> float:
    """Return the mean squared error; 0 is perfect, 0.25 a coin's."""
    _require_pairs(chances, outcomes)
    return sum((p - y) ** 2 for p, y in zip(chances, outcomes, strict=True)) / len(chances)


def log_loss(chances: Sequence[float], outcomes: Sequence[float]) -> float:
    """Return the mean negative log likelihood, chances clipped to [0.01, 0.99]."""
    _require_pairs(chances, outcomes)
    clipped = [min(max(p, LEAST), MOST) for p in chances]
    return -sum(y * log(p) + (1 - y) * log(1 - p) for p, y in zip(clipped, outcomes, strict=True)) / len(chances)


def reliability_curve(chances: Sequence[float], outcomes: Sequence[float], *, bins: int = 10) -> tuple[Bin, ...]:
    """Return bins of equal mass, lowest forecasts first; equal forecasts never fall into two bins."""
    _require_pairs(chances, outcomes)
    pairs = sorted(zip(chances, outcomes, strict=True), key=lambda pair: pair[0])
    found: list[Bin] = []
    start = 0
    for number in range(1, bins + 1):
        end = max(start, round(number * len(pairs) / bins))
        while 0 < end < len(pairs) and pairs[end][0] == pairs[end - 1][0]:
            end += 1
        if end > start:
            found.append(_bin(pairs[start:end]))
        start = end
    return tuple(found)


def _bin(pairs: Sequence[tuple[float, float]]) -> Bin:
    count = len(pairs)
    return Bin(count=count, forecast=sum(p for p, _ in pairs) / count, observed=sum(y for _, y in pairs) / count)


def murphy(chances: Sequence[float], outcomes: Sequence[float], *, bins: int = 10) -> Murphy:
    """Return the score's parts over bins of equal mass.

    Reliability is 0 for a calibrated forecaster, resolution grows with knowing cases apart, uncertainty is the
    questions' own. What varies inside a bin is in none of them.
    """
    curve, count = reliability_curve(chances, outcomes, bins=bins), len(chances)
    base = sum(outcomes) / count
    return Murphy(
        reliability=sum(one.count * (one.forecast - one.observed) ** 2 for one in curve) / count,
        resolution=sum(one.count * (one.observed - base) ** 2 for one in curve) / count,
        uncertainty=base * (1 - base),
    )


def calibration_error(chances: Sequence[float], outcomes: Sequence[float], *, bins: int = 10) -> float:
    """Return the expected calibration error: the mean distance between forecast and frequency over the bins."""
    curve = reliability_curve(chances, outcomes, bins=bins)
    return sum(one.count * abs(one.forecast - one.observed) for one in curve) / len(chances)


def _require_pairs(chances: Sequence[float], outcomes: Sequence[float]) -> None:
    if not chances or len(chances) != len(outcomes):
        raise ValueError(
            f"expected as many outcomes as chances, at least one; found {len(outcomes)} and {len(chances)}"
        )
