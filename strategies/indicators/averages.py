"""Moving averages: simple, exponential and Wilder's."""

from typing import ClassVar

from strategies.indicators.shape import require_period


class Sma:
    """The mean of the last ``period`` values.

    The running sum is taken anew each time the ring wraps, so rounding errors cannot pile up; spread over the
    ``period`` updates between two wraps that is one addition a bar.
    """

    inputs: ClassVar[tuple[str, ...]] = ("close",)
    __slots__ = ("_place", "_ring", "_sum", "_wrapped", "period", "value")

    def __init__(self, period: int) -> None:
        self.period = require_period(period)
        self.value: float | None = None
        self._ring = [0.0] * period
        self._place = 0
        self._sum = 0.0
        self._wrapped = False

    @property
    def ready(self) -> bool:
        return self.value is not None

    def update(self, value: float) -> float | None:
        ring, place = self._ring, self._place
        self._sum += value - ring[place]
        ring[place] = value
        place += 1
        if place == self.period:
            place, self._wrapped, self._sum = 0, True, sum(ring)
        self._place = place
        if self._wrapped:
            self.value = self._sum / self.period
        return self.value


class _Seeded:
    """A recursive average that starts from the mean of its first ``period`` values."""

    inputs: ClassVar[tuple[str, ...]] = ("close",)
    __slots__ = ("_missing", "_sum", "period", "value")

    def __init__(self, period: int) -> None:
        self.period = require_period(period)
        self.value: float | None = None
        self._missing = period
        self._sum = 0.0

    @property
    def ready(self) -> bool:
        return self.value is not None

    def _seed(self, value: float) -> float | None:
        self._sum += value
        self._missing -= 1
        if self._missing == 0:
            self.value = self._sum / self.period
        return self.value


class Ema(_Seeded):
    """The exponential average with the factor 2 / (period + 1)."""

    __slots__ = ("_factor",)

    def __init__(self, period: int) -> None:
        super().__init__(period)
        self._factor = 2.0 / (period + 1)

    def update(self, value: float) -> float | None:
        before = self.value
        if before is None:
            return self._seed(value)
        self.value = after = (value - before) * self._factor + before
        return after


class Wilder(_Seeded):
    """Wilder's average: each value moves it by 1 / period."""

    __slots__ = ()

    def update(self, value: float) -> float | None:
        before = self.value
        if before is None:
            return self._seed(value)
        self.value = after = (before * (self.period - 1) + value) / self.period
        return after
