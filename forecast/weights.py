"""What each model's word is worth: the inverse of its trailing Brier score, shrunk towards a coin's.

The state is a fold over (moment, model, probability, outcome): a process rebuilds it by reading its own journals from
the start. Nothing is written down anywhere else.
"""

from collections import deque
from collections.abc import Iterable
from datetime import datetime

from forecast.horizon import Horizon

COIN = 0.25
PRIOR = 5
CAP = 2.0
WINDOW = 300


class Weights:
    """Trailing scores of models, and the weights that follow from them.

    A model's score is ``(sum of its Brier scores + 5 × 0.25) / (n + 5)`` over its last 300 outcomes, so a new model
    starts as a coin. Weights are inverse scores with a mean of 1, none above 2 nor below a half.
    """

    def __init__(self) -> None:
        self._scores: dict[str, deque[float]] = {}
        self._horizon = Horizon()

    def learn(self, moment: datetime, model: str, probability: float, outcome: float) -> None:
        """Add one outcome that became known at ``moment``."""
        self._horizon.pass_to(moment)
        self._scores.setdefault(model, deque(maxlen=WINDOW)).append((probability - outcome) ** 2)

    def score(self, model: str) -> float:
        """Return the shrunk trailing Brier score of a model."""
        scores = self._scores.get(model, ())
        return (sum(scores) + PRIOR * COIN) / (len(scores) + PRIOR)

    def count(self, model: str) -> int:
        """Return how many outcomes the model's score stands on."""
        return len(self._scores.get(model, ()))

    def weights(self, models: Iterable[str], at: datetime) -> dict[str, float]:
        """Return model -> weight for a question asked at ``at``.

        Raises:
            ValueError: an outcome later than ``at`` was learnt.
        """
        self._horizon.require_past(at)
        inverse = {model: 1.0 / max(self.score(model), 1e-9) for model in models}
        mean = sum(inverse.values()) / len(inverse) if inverse else 1.0
        return {model: min(max(value / mean, 1 / CAP), CAP) for model, value in inverse.items()}
