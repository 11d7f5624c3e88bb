"""Synthetic forecasts: opinions of models that err together as real ones were measured to.

No model here knows anything. A forecast is drawn from the text of the question, a price or base rate where one is at
hand (in the prompt, or in the anchors file), and seeded chance; never from an outcome, which no input holds.

On a standard scale one opinion is ``common * factor + family + own``. The factor is shared by all models, the family
part by the models of one line, the own part by nobody; the three squares add up to 1. Measured on 12 real models and
300 Kalshi questions: log-odds correlate by 0.65 to 0.84 between families, 0.92 to 0.94 within one; the standard
deviation of the probability across models is 0.105 in the mean.
"""

import math
from dataclasses import dataclass

from simulators.models.catalogue import Line, Model
from simulators.models.question import Asked
from simulators.recordings.seeded import normal

LOWEST, HIGHEST = 0.01, 0.99
# variance that models of one family share
_FAMILY = 0.925
# share of a model's own part that is drawn anew each day
_DAILY = 0.3
# Correlation of the shared factor with the crowd's log-odds. With 0.8 a model alone scores Brier 0.15 to 0.17 on
# resolved market questions where the crowd's price scores 0.09, as real models without the price do.
_INSIGHT = 0.8
# mean and standard deviation of the log-odds of 1,958 market prices, kept within 1 % and 99 %
_CROWD_MEAN, _CROWD_SPREAD = -1.44, 2.39
# how far a model goes towards a price it is shown
_HEED = 0.5


@dataclass(frozen=True, slots=True)
class Forecast:
    """A probability, and which facts it was drawn from."""

    probability: float
    sources: tuple[str, ...]


def forecast(asked: Asked, model: Model, day: str) -> Forecast:
    """Return what a model says to a question on a day; the same whenever it is asked."""
    line = model.line
    known = asked.shown if asked.anchor is None else asked.anchor
    opinion = line.bias + line.spread * _standard(asked.text, known, model.id, line, day)
    sources = ["text"]
    if asked.anchor is not None:
        sources.append("anchor")
    if asked.shown is not None:
        opinion += _HEED * (logit(asked.shown) - opinion)
        sources.append("price in the prompt")
    return Forecast(round(min(max(logistic(opinion), LOWEST), HIGHEST), 2), tuple(sources))


def _standard(question: str, known: float | None, model: str, line: Line, day: str) -> float:
    factor = normal("factor", question)
    if known is not None:
        crowd = (logit(known) - _CROWD_MEAN) / _CROWD_SPREAD
        factor = _INSIGHT * crowd + math.sqrt(1 - _INSIGHT**2) * factor
    family = math.sqrt(_FAMILY - line.common**2) * normal("family", question, line.name)
    lasting, daily = normal("own", question, model), normal("day", question, model, day)
    own = math.sqrt(1 - _DAILY) * lasting + math.sqrt(_DAILY) * daily
    return line.common * factor + family + math.sqrt(1 - _FAMILY) * own


def logit(probability: float) -> float:
    """Return log-odds, kept finite."""
    kept = min(max(probability, LOWEST), HIGHEST)
    return math.log(kept / (1 - kept))


def logistic(value: float) -> float:
    """Return the probability of log-odds."""
    return 1 / (1 + math.exp(-value))
