"""Dispersion: the standard deviation of a window, and bands around its mean."""

from math import sqrt
from typing import ClassVar

from strategies.indicators.shape import require_period

# Of the 16 digits of a float, 6 may be lost to a leap before the window is measured again.
LEAP_LEFT = 1e-6


class RollingStdev:
    """The population standard deviation of the last ``period`` values; ``mean`` is their mean.

    Mean and squared deviations slide (Welford's update with the oldest value leaving). They are taken anew each time
    the ring wraps, and when a leap has left the window: what remains of its rounding would drown the rest. A leap
    leaves once, so the cost of an update stays constant on average. Running sums of squares would be cheaper, but
    lose every digit where moves of 1e-5 sit on a price of 1.
    """

    inputs: ClassVar[tuple[str, ...]] = ("close",)
    __slots__ = ("_peak", "_place", "_ring", "_squares", "mean", "period", "value")

    def __init__(self, period: int) -> None:
        self.period = require_period(period, least=2)
        self.value: float | None = None
        self.mean: float | None = None
        self._ring = [0.0] * period
        self._place = 0
        self._squares = 0.0
        self._peak = 0.0

    @property
    def ready(self) -> bool:
        return self.value is not None

    def update(self, value: float) -> float | None:
        oldest = self._ring[self._place]
        self._ring[self._place] = value
        self._place += 1
        if self._place == self.period:
            self._place = 0
            self._measure()
        elif self.mean is not None:
            self._slide(value, value - oldest, oldest, self.mean)
        if self.mean is not None:
            self.value = sqrt(self._squares / self.period) if self._squares > 0 else 0.0
        return self.value

    def _slide(self, value: float, change: float, oldest: float, before: float) -> None:
        self.mean = mean = before + change / self.period
        self._squares += change * (value - mean + oldest - before)
        if self._squares > self._peak:
            self._peak = self._squares
        elif self._squares < self._peak * LEAP_LEFT:
            self._measure()

    def _measure(self) -> None:
        self.mean = mean = sum(self._ring) / self.period
        self._squares = self._peak = sum([(value - mean) ** 2 for value in self._ring])


class Bollinger:
    """Bands ``deviations`` standard deviations above and below the mean; ``value`` is the mean."""

    inputs: ClassVar[tuple[str, ...]] = ("close",)
    __slots__ = ("_stdev", "deviations", "lower", "period", "upper", "value")

    def __init__(self, period: int = 20, deviations: float = 2.0) -> None:
        self.period, self.deviations = period, deviations
        self.value: float | None = None
        self.upper: float | None = None
        self.lower: float | None = None
        self._stdev = RollingStdev(period)

    @property
    def ready(self) -> bool:
        return self.value is not None

    def update(self, close: float) -> float | None:
        width = self._stdev.update(close)
        mean = self._stdev.mean
        if width is not None and mean is not None:
            width *= self.deviations
            self.value, self.upper, self.lower = mean, mean + width, mean - width
        return self.value
