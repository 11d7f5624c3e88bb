"""Estimates held against how their contracts ended: scores beside the market's, the anchor any forecaster must beat."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from forecast.scores import Bin, Murphy, brier, calibration_error, log_loss, murphy, reliability_curve

MOST_BINS = 10
# A bin of fewer forecasts has a frequency of YES that is mostly luck.
LEAST_IN_BIN = 5
ALL = "all methods"
# What a probability is judged as -> what it is; the market's comes first because the others must beat it.
VIEWS = {
    "market": "middle of bid and ask when the estimate was made",
    "model": "what was believed before the price was blended in",
    "blended": "what was decided on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """One model's vote in an estimate."""

    model: str
    probability: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """An estimate of an event contract, as far as it is judged; ``chances`` is view -> probability of YES."""

    market: str
    event: str
    method: str
    made_at: datetime
    chances: dict[str, float]
    opinions: tuple[Opinion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A forecast and how its contract ended: ``came`` is 1 for YES and 0 for NO."""

    forecast: Forecast
    came: int
    closed_at: datetime | None

    @property
    def lead_hours(self) -> float | None:
        """Return how long before the close it was made, None when the close is not known."""
        if self.closed_at is None:
            return None
        return (self.closed_at - self.forecast.made_at).total_seconds() / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How good some probabilities were; every number is better when smaller, but for ``parts.resolution``."""

    brier: float
    log_loss: float
    parts: Murphy
    calibration_error: float
    curve: tuple[Bin, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "brier": round(self.brier, 6),
            "log_loss": round(self.log_loss, 6),
            "reliability": round(self.parts.reliability, 6),
            "resolution": round(self.parts.resolution, 6),
            "uncertainty": round(self.parts.uncertainty, 6),
            "calibration_error": round(self.calibration_error, 6),
            "curve": [
                {"n": one.count, "forecast": round(one.forecast, 6), "came_yes": round(one.observed, 6)}
                for one in self.curve
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The scores of one method over the same forecasts, and by how much its blend differs from the market.

    ``difference`` is the Brier score of the blended probability less the market's. Contracts of one event stand or
    fall together, so its standard error is taken over events; None when there is only one.
    """

    method: str
    n: int
    events: int
    yes: int
    lead_hours: float | None
    scores: dict[str, Score]
    difference: float
    standard_error: float | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "n": self.n,
            "events": self.events,
            "yes": self.yes,
            "lead_hours_median": None if self.lead_hours is None else round(self.lead_hours, 4),
            "scores": {view: score.as_dict() for view, score in self.scores.items()},
            "blended_less_market": {
                "brier": round(self.difference, 6),
                "standard_error": None if self.standard_error is None else round(self.standard_error, 6),
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScore:
    """One model's votes in the judged estimates, and the market's score at the same moments."""

    model: str
    n: int
    score: Score
    market_brier: float
    weight: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "n": self.n,
            **self.score.as_dict(),
            "market_brier": round(self.market_brier, 6),
            "weight_mean": round(self.weight, 6),
        }


@dataclass(slots=True)
class Attendance:
    """How often a model was asked, answered, answered from the cache, and was missing, by reason."""

    voted: int = 0
    cached: int = 0
    missing: Counter[str] = field(default_factory=Counter)

    @property
    def asked(self) -> int:
        return self.voted + self.missing.total()

    def as_dict(self) -> dict[str, Any]:
        missing = dict(self.missing.most_common())
        return {"asked": self.asked, "voted": self.voted, "cached": self.cached, "missing": missing}


def score(chances: Sequence[float], came: Sequence[int]) -> Score:
    """Return how good ``chances`` were; bins hold at least five forecasts each, and there are at most ten."""
    bins = max(1, min(MOST_BINS, len(chances) // LEAST_IN_BIN))
    return Score(
        brier=brier(chances, came),
        log_loss=log_loss(chances, came),
        parts=murphy(chances, came, bins=bins),
        calibration_error=calibration_error(chances, came, bins=bins),
        curve=reliability_curve(chances, came, bins=bins),
    )


def tables(judged: Sequence[Judged]) -> list[Table]:
    """Return a table for each method, by name; of several, one of them all before, over the newest of each market."""
    by_method: dict[str, list[Judged]] = defaultdict(list)
    newest: dict[str, Judged] = {}
    for one in sorted(judged, key=lambda one: one.forecast.made_at):
        by_method[one.forecast.method].append(one)
        newest[one.forecast.market] = one
    found = [_table(method, group) for method, group in sorted(by_method.items())]
    return found if len(found) < 2 else [_table(ALL, list(newest.values())), *found]


def model_scores(judged: Sequence[Judged]) -> list[ModelScore]:
    """Return the score of every model that voted, by name."""
    votes: dict[str, list[tuple[Opinion, Judged]]] = defaultdict(list)
    for one in judged:
        for opinion in one.forecast.opinions:
            votes[opinion.model].append((opinion, one))
    return [_model_score(model, found) for model, found in sorted(votes.items())]


def _table(method: str, judged: Sequence[Judged]) -> Table:
    came = [one.came for one in judged]
    leads = [one.lead_hours for one in judged if one.lead_hours is not None]
    gaps = [_gap(one) for one in judged]
    return Table(
        method=method,
        n=len(judged),
        events=len({one.forecast.event for one in judged}),
        yes=sum(came),
        lead_hours=statistics.median(leads) if leads else None,
        scores={view: score([one.forecast.chances[view] for one in judged], came) for view in VIEWS},
        difference=sum(gaps) / len(gaps),
        standard_error=_standard_error([one.forecast.event for one in judged], gaps),
    )


def _gap(one: Judged) -> float:
    chances = one.forecast.chances
    return brier([chances["blended"]], [one.came]) - brier([chances["market"]], [one.came])


def _standard_error(events: Sequence[str], gaps: Sequence[float]) -> float | None:
    """Return the standard error of the mean of ``gaps`` when those of one event are not independent."""
    mean = sum(gaps) / len(gaps)
    sums: dict[str, float] = defaultdict(float)
    for event, gap in zip(events, gaps, strict=True):
        sums[event] += gap - mean
    if len(sums) < 2:
        return None
    spread = sum(total**2 for total in sums.values()) * len(sums) / (len(sums) - 1)
    return math.sqrt(spread) / len(gaps)


def _model_score(model: str, votes: Sequence[tuple[Opinion, Judged]]) -> ModelScore:
    chances, came = [opinion.probability for opinion, _ in votes], [one.came for _, one in votes]
    return ModelScore(
        model=model,
        n=len(votes),
        score=score(chances, came),
        market_brier=brier([one.forecast.chances["market"] for _, one in votes], came),
        weight=statistics.fmean(opinion.weight for opinion, _ in votes),
    )
