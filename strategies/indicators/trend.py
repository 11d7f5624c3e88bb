"""Trend strength, whatever its direction."""

from typing import ClassVar

from strategies.indicators.shape import NEGLIGIBLE, require_period


class Adx:
    """Wilder's average directional index, 0 to 100, first shown on bar 2 × period."""

    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close")
    __slots__ = ("_bar", "_down", "_index_sum", "_previous", "_range", "_up", "period", "value")

    def __init__(self, period: int) -> None:
        self.period = require_period(period, least=2)
        self.value: float | None = None
        self._previous: tuple[float, float, float] | None = None
        self._bar = 0
        self._up = self._down = self._range = self._index_sum = 0.0

    @property
    def ready(self) -> bool:
        return self.value is not None

    def update(self, high: float, low: float, close: float) -> float | None:
        previous, self._previous = self._previous, (high, low, close)
        if previous is None:
            return None
        self._bar += 1
        self._smooth(high, low, previous)
        if self._bar >= self.period:
            self._average(self._index())
        return self.value

    def _smooth(self, high: float, low: float, previous: tuple[float, float, float]) -> None:
        """Add this bar's directional movement and true range to Wilder's running sums."""
        before_high, before_low, before = previous
        rise, fall = high - before_high, before_low - low
        # TA-Lib sums the first period - 1 bars as they are and lets the sums decay only from there on.
        keep = 1.0 - 1.0 / self.period if self._bar >= self.period else 1.0
        self._up = self._up * keep + (rise if rise > 0 and rise > fall else 0.0)
        self._down = self._down * keep + (fall if fall > 0 and fall > rise else 0.0)
        top = high if high > before else before
        bottom = low if low < before else before
        self._range = self._range * keep + (top - bottom)

    def _index(self) -> float | None:
        """Return the directional index of this bar, or None where the market did not move."""
        if self._range <= NEGLIGIBLE:
            return None
        up, down = 100.0 * (self._up / self._range), 100.0 * (self._down / self._range)
        total = up + down
        return 100.0 * (abs(down - up) / total) if total > NEGLIGIBLE else None

    def _average(self, index: float | None) -> None:
        if self.value is not None:
            if index is not None:
                self.value = (self.value * (self.period - 1) + index) / self.period
            return
        self._index_sum += index or 0.0
        if self._bar == 2 * self.period - 1:
            self.value = self._index_sum / self.period
