"""Corrections of a forecaster that says too much or too little: Platt's line in log odds, and isotonic steps.

Both are folds over (moment, probability, outcome) and change nothing before 50 outcomes are known. Platt's two numbers
are pulled towards "change nothing" as if by ten outcomes, and the slope stays within [0.7, 1.5]: in the recorded sets
a slope of 1.5 helped some panels and hurt others.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from forecast.horizon import Horizon
from forecast.pooling import chance_of, clip, log_odds

LEAST_OUTCOMES = 50
WINDOW = 500
RIDGE = 10.0
SLOPES = (0.7, 1.5)
SHIFTS = (-1.0, 1.0)
_ROUNDS = 25
_CLOSE_ENOUGH = 1e-9


@dataclass(frozen=True, slots=True)
class Line:
    """Corrected log odds are ``slope × log odds + shift``."""

    slope: float = 1.0
    shift: float = 0.0

    def apply(self, chance: float) -> float:
        """Return the corrected chance."""
        return clip(chance_of(self.slope * log_odds(chance) + self.shift))


UNCHANGED = Line()


class Platt:
    """A line in log odds, fitted to what is known."""

    def __init__(self) -> None:
        self._known: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._horizon = Horizon()
        self._line: Line | None = UNCHANGED

    def learn(self, moment: datetime, probability: float, outcome: float) -> None:
        """Add one outcome that became known at ``moment``."""
        self._horizon.pass_to(moment)
        self._known.append((log_odds(probability), outcome))
        self._line = None

    def line(self, at: datetime) -> Line:
        """Return the correction for a question asked at ``at``.

        Raises:
            ValueError: an outcome later than ``at`` was learnt.
        """
        self._horizon.require_past(at)
        if self._line is None:
            self._line = fit_line(self._known) if len(self._known) >= LEAST_OUTCOMES else UNCHANGED
        return self._line

    def apply(self, chance: float, at: datetime) -> float:
        """Return the corrected chance of a question asked at ``at``."""
        return self.line(at).apply(chance)


def fit_line(known: Sequence[tuple[float, float]]) -> Line:
    """Return the line of least log loss plus ``10/2 × ((slope - 1)² + shift²)``, within its bounds.

    Args:
        known: pairs of log odds and outcome.
    """
    slope, shift = _newton(known, None)
    bounded = min(max(slope, SLOPES[0]), SLOPES[1])
    if bounded != slope:
        _, shift = _newton(known, bounded)
    return Line(bounded, min(max(shift, SHIFTS[0]), SHIFTS[1]))


def _newton(known: Sequence[tuple[float, float]], fixed: float | None) -> tuple[float, float]:
    """Return the best slope and shift; with ``fixed`` the slope is that."""
    slope, shift = (1.0 if fixed is None else fixed), 0.0
    for _ in range(_ROUNDS):
        slope_pull, shift_pull = RIDGE * (slope - 1.0), RIDGE * shift
        slope_bend = shift_bend = RIDGE
        both = 0.0
        for odds, outcome in known:
            chance = chance_of(slope * odds + shift)
            error, bend = chance - outcome, chance * (1.0 - chance)
            slope_pull += error * odds
            shift_pull += error
            slope_bend += bend * odds * odds
            shift_bend += bend
            both += bend * odds
        if fixed is not None:
            step = (0.0, shift_pull / shift_bend)
        else:
            spread = slope_bend * shift_bend - both * both
            step = (
                (slope_pull * shift_bend - shift_pull * both) / spread,
                (shift_pull * slope_bend - slope_pull * both) / spread,
            )
        # A step longer than the whole range has overshot; half the range at a time still arrives.
        slope -= min(max(step[0], -0.5), 0.5)
        shift -= min(max(step[1], -0.5), 0.5)
        if max(abs(step[0]), abs(step[1])) < _CLOSE_ENOUGH:
            break
    return slope, shift


class Isotonic:
    """Steps that never fall, fitted by pooling neighbours that are out of order."""

    def __init__(self) -> None:
        self._known: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._horizon = Horizon()
        self._steps: tuple[list[float], list[float]] | None = None

    def learn(self, moment: datetime, probability: float, outcome: float) -> None:
        """Add one outcome that became known at ``moment``."""
        self._horizon.pass_to(moment)
        self._known.append((probability, outcome))
        self._steps = None

    def apply(self, chance: float, at: datetime) -> float:
        """Return the corrected chance of a question asked at ``at``; between two steps it lies on a line.

        Raises:
            ValueError: an outcome later than ``at`` was learnt.
        """
        self._horizon.require_past(at)
        if len(self._known) < LEAST_OUTCOMES:
            return clip(chance)
        if self._steps is None:
            self._steps = pool_neighbours(sorted(self._known))
        return clip(_between(self._steps, chance))


def pool_neighbours(known: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return where the steps lie and how high they are, from pairs in rising order of the forecast."""
    blocks: list[tuple[float, float, int]] = []
    for chance, outcome in known:
        blocks.append((chance, outcome, 1))
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][2] >= blocks[-1][1] / blocks[-1][2]:
            last, before = blocks.pop(), blocks.pop()
            blocks.append((before[0] + last[0], before[1] + last[1], before[2] + last[2]))
    return [place / count for place, _, count in blocks], [height / count for _, height, count in blocks]


def _between(steps: tuple[list[float], list[float]], chance: float) -> float:
    places, heights = steps
    right = bisect_left(places, chance)
    if right == 0:
        return heights[0]
    if right == len(places):
        return heights[-1]
    part = (chance - places[right - 1]) / (places[right] - places[right - 1])
    return heights[right - 1] + part * (heights[right] - heights[right - 1])
