"""The model's probability and the market's price, mixed in log odds.

On record a panel without the price loses to the price, and a blend of the two beats both. How much the price counts is
learnt from outcomes, starting from 0.67 where the spread is at most four cents and 0.5 where it is wider.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from forecast.horizon import Horizon
from forecast.pooling import chance_of, clip, log_odds

TIGHT_SPREAD = Decimal("0.04")
TIGHT_WEIGHT, WIDE_WEIGHT = 0.67, 0.5
# The price may count for more from the first outcomes on, for less only once the model has so many behind it.
PROVEN = 150
WINDOW = 300
# The pull towards the default: its squared distance, in Brier points. Outcomes scatter about a good price with a
# variance of 0.09; where weights are thought to lie 0.25 about the default, that is 0.09 / 0.25².
PULL = 1.44
_GRID = tuple(step / 50 for step in range(51))
_PLACES = Decimal("0.0001")
_FULL_PANEL = 4
_APART = 1.3
_WIDEST = Decimal("0.20")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blended:
    """What is believed once the price has been seen, and how much the price counted."""

    probability: Decimal
    market_weight: Decimal


class MarketWeight:
    """How much the price counts, learnt from what both said and what came of it.

    The weight is the one of least trailing Brier score over the last 300 outcomes plus a pull towards the default, so
    that one outcome neither silences a model nor crowns it. Below 150 outcomes it is at least the default: six
    contracts of one day are one day, and luck with a few of them is no proof.
    """

    def __init__(self) -> None:
        self._known: deque[tuple[float, float, float]] = deque(maxlen=WINDOW)
        self._horizon = Horizon()
        self._fitted: dict[float, float] = {}

    def learn(self, moment: datetime, model: float, market: float, outcome: float) -> None:
        """Add one outcome that became known at ``moment``, with both opinions as they stood when it was asked."""
        self._horizon.pass_to(moment)
        self._known.append((log_odds(model), log_odds(market), outcome))
        self._fitted.clear()

    def weight(self, spread: Decimal, at: datetime) -> float:
        """Return the weight of the price for a question asked at ``at``.

        Raises:
            ValueError: an outcome later than ``at`` was learnt.
        """
        self._horizon.require_past(at)
        default = default_weight(spread)
        if not self._known:
            return default
        if default not in self._fitted:
            self._fitted[default] = self._fit(default)
        return self._fitted[default]

    def _fit(self, default: float) -> float:
        least = 0.0 if len(self._known) >= PROVEN else default
        allowed = [least, *(weight for weight in _GRID if weight > least)]
        return min(allowed, key=lambda weight: self._loss(weight) + PULL * (weight - default) ** 2)

    def _loss(self, weight: float) -> float:
        return sum((chance_of(weight * price + (1 - weight) * own) - y) ** 2 for own, price, y in self._known)


def default_weight(spread: Decimal) -> float:
    """Return how much the price counts while nothing is known: more where many trade, which a tight spread shows."""
    return TIGHT_WEIGHT if spread <= TIGHT_SPREAD else WIDE_WEIGHT


def blend(model: Decimal, market: Decimal, weight: float) -> Blended:
    """Mix a model's probability with the market's at ``weight`` for the market, in log odds.

    Args:
        market: the middle of the quote, in [0, 1].
    """
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"expected a market weight in [0, 1], found {weight}")
    mixed = blend_chances(float(model), float(market), weight)
    return Blended(
        probability=Decimal(str(mixed)).quantize(_PLACES), market_weight=Decimal(str(weight)).quantize(_PLACES)
    )


def blend_chances(model: float, market: float, weight: float) -> float:
    """Return the mixed chance of two chances."""
    return clip(chance_of(weight * log_odds(market) + (1.0 - weight) * log_odds(model)))


def confidence(*, disagreement: Decimal, models: int, spread: Decimal, certainty: Decimal = Decimal(1)) -> Decimal:
    """Return in [0, 1] how far a probability can be trusted.

    The product of four parts: ``certainty``, the estimator's own; agreement, ``1 / (1 + (disagreement / 1.3)²)``, which
    is a half where the gate refuses; breadth, the square root of models / 4, at most 1 and 1 where no model was asked;
    liquidity, 1 at no spread and a half at 20 cents or more.

    Args:
        disagreement: standard deviation of the models' log odds.
        models: how many models answered; 0 where the estimate is not a panel's.
    """
    agreement = 1.0 / (1.0 + (float(disagreement) / _APART) ** 2)
    breadth = min(1.0, (models / _FULL_PANEL) ** 0.5) if models else 1.0
    liquidity = 1.0 - 0.5 * float(min(max(spread, Decimal(0)) / _WIDEST, Decimal(1)))
    value = min(max(float(certainty), 0.0), 1.0) * agreement * breadth * liquidity
    return Decimal(str(value)).quantize(_PLACES)
