"""Momentum: relative strength, convergence of averages, and how straight the way was."""

from typing import ClassVar

from strategies.indicators.averages import Ema, Wilder
from strategies.indicators.shape import NEGLIGIBLE, require_period


class Rsi:
    """Wilder's relative strength index, 0 to 100; 0 where nothing moved at all, as in TA-Lib."""

    inputs: ClassVar[tuple[str, ...]] = ("close",)
    __slots__ = ("_close", "_gain", "_loss", "period", "value")

    def __init__(self, period: int) -> None:
        self.period = require_period(period, least=2)
        self.value: float | None = None
        self._gain = Wilder(period)
        self._loss = Wilder(period)
        self._close: float | None = None

    @property
    def ready(self) -> bool:
        return self.value is not None

    def update(self, close: float) -> float | None:
        before, self._close = self._close, close
        if before is None:
            return None
        change = close - before
        gain = self._gain.update(change if change > 0 else 0.0)
        loss = self._loss.update(-change if change < 0 else 0.0)
        if gain is not None and loss is not None:
            total = gain + loss
            self.value = 100.0 * (gain / total) if total > NEGLIGIBLE else 0.0
        return self.value


class Macd:
    """The distance of two exponential averages (``value``), its own average (``signal``) and their ``histogram``.

    The fast average is seeded from the last ``fast`` of the first ``slow`` values, so that both begin on the same
    bar; nothing is shown before the signal is there. Both are TA-Lib's habits.
    """

    inputs: ClassVar[tuple[str, ...]] = ("close",)
    __slots__ = ("_average", "_fast", "_skip", "_slow", "histogram", "signal", "value")

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        if require_period(fast, least=2) >= slow:
            raise ValueError(f"the fast period must be below the slow one, found {fast} and {slow}")
        self.value: float | None = None
        self.signal: float | None = None
        self.histogram: float | None = None
        self._fast, self._slow, self._average = Ema(fast), Ema(slow), Ema(signal)
        self._skip = slow - fast

    @property
    def ready(self) -> bool:
        return self.value is not None

    def update(self, close: float) -> float | None:
        slow = self._slow.update(close)
        if self._skip > 0:
            self._skip -= 1
            return None
        fast = self._fast.update(close)
        if fast is None or slow is None:
            return None
        line = fast - slow
        signal = self._average.update(line)
        if signal is not None:
            self.value, self.signal, self.histogram = line, signal, line - signal
        return self.value


class EfficiencyRatio:
    """Kaufman's ratio of the net change over ``period`` bars (``change``, signed) to the way walked: 0 to 1.

    1 where nothing moved, as in TA-Lib's KAMA: a market that stands still wastes no step.
    """

    inputs: ClassVar[tuple[str, ...]] = ("close",)
    __slots__ = ("_close", "_closes", "_place", "_steps", "_way", "_wrapped", "change", "period", "value")

    def __init__(self, period: int) -> None:
        self.period = require_period(period)
        self.value: float | None = None
        self.change: float | None = None
        self._close: float | None = None
        self._closes = [0.0] * period
        self._steps = [0.0] * period
        self._place = 0
        self._way = 0.0
        self._wrapped = False

    @property
    def ready(self) -> bool:
        return self.value is not None

    def update(self, close: float) -> float | None:
        before, self._close = self._close, close
        if before is None:
            return None
        oldest = self._walk(before, abs(close - before))
        if self._wrapped:
            self.change = close - oldest
            straight = abs(self.change)
            self.value = straight / self._way if self._way > straight else 1.0
        return self.value

    def _walk(self, before: float, step: float) -> float:
        """Take one step into the rings and return the oldest close still in the window."""
        place = self._place
        self._way += step - self._steps[place]
        self._steps[place], self._closes[place] = step, before
        place += 1
        if place == self.period:
            place, self._wrapped, self._way = 0, True, sum(self._steps)
        self._place = place
        return self._closes[place]
