"""The two averages and the range of one market, and the side on which the fast average stands."""

from domain.quotes import Bar
from domain.vocabulary import Side
from strategies.crossover.params import Average, CrossParams
from strategies.indicators import Atr, Ema, Sma


class Averages:
    """Updated bar by bar at mid prices. ``side`` is where the fast average stands of the slow one, None until known.

    A fast average that comes nearer than the least gap keeps the side it had, so that a crossing counts once it is one.
    """

    def __init__(self, params: CrossParams) -> None:
        average = Sma if params.average is Average.SMA else Ema
        self._fast, self._slow, self._atr = average(params.fast), average(params.slow), Atr(params.atr)
        self._least = params.min_gap_atr
        self.side: Side | None = None

    @property
    def atr(self) -> float | None:
        return self._atr.value

    def update(self, bar: Bar) -> Side | None:
        """Take in a closed bar and return the side that the fast average has just crossed to, None if it did not."""
        prices = bar.mid
        close = float(prices.close)
        atr = self._atr.update(float(prices.high), float(prices.low), close)
        fast, slow = self._fast.update(close), self._slow.update(close)
        if fast is None or slow is None or atr is None:
            return None
        gap, before = fast - slow, self.side
        if gap != 0 and abs(gap) >= self._least * atr:
            self.side = Side.BUY if gap > 0 else Side.SELL
        return None if before is None or self.side is before else self.side
