"""Ranges: how far a market moves in a bar, and between which prices it has moved."""

from collections import deque
from typing import ClassVar

from strategies.indicators.averages import Wilder
from strategies.indicators.shape import require_period


class Atr:
    """Wilder's average of the true range; the first bar, having no close before it, only sets that close."""

    inputs: ClassVar[tuple[str, ...]] = ("high", "low", "close")
    __slots__ = ("_average", "_close", "period", "value")

    def __init__(self, period: int) -> None:
        self.period = require_period(period)
        self.value: float | None = None
        self._average = Wilder(period)
        self._close: float | None = None

    @property
    def ready(self) -> bool:
        return self.value is not None

    def update(self, high: float, low: float, close: float) -> float | None:
        before, self._close = self._close, close
        if before is not None:
            top = high if high > before else before
            bottom = low if low < before else before
            self.value = self._average.update(top - bottom)
        return self.value


class Donchian:
    """The highest high and the lowest low of the last ``period`` bars; ``value`` is their middle.

    Each deque holds only the bars that can still become the extreme, best first. A bar enters and leaves once, so
    the cost of an update is constant on average whatever the period.
    """

    inputs: ClassVar[tuple[str, ...]] = ("high", "low")
    __slots__ = ("_bar", "_highs", "_lows", "lower", "period", "upper", "value")

    def __init__(self, period: int) -> None:
        self.period = require_period(period)
        self.value: float | None = None
        self.upper: float | None = None
        self.lower: float | None = None
        self._bar = -1
        self._highs: deque[tuple[int, float]] = deque()
        self._lows: deque[tuple[int, float]] = deque()

    @property
    def ready(self) -> bool:
        return self.value is not None

    def update(self, high: float, low: float) -> float | None:
        self._bar += 1
        highs, lows = self._highs, self._lows
        while highs and highs[-1][1] <= high:
            highs.pop()
        while lows and lows[-1][1] >= low:
            lows.pop()
        highs.append((self._bar, high))
        lows.append((self._bar, low))
        self._drop(self._bar - self.period)
        if self._bar >= self.period - 1:
            self.upper, self.lower = highs[0][1], lows[0][1]
            self.value = (self.upper + self.lower) / 2
        return self.value

    def _drop(self, expired: int) -> None:
        if self._highs[0][0] <= expired:
            self._highs.popleft()
        if self._lows[0][0] <= expired:
            self._lows.popleft()
