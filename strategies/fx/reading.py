"""What the indicators say of one market after one closed bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import copysign

from domain.quotes import Bar, Ohlc
from strategies.fx.params import FxParams
from strategies.indicators import Adx, Atr, Donchian, EfficiencyRatio, Ema, Rsi, Sma


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One bar at mid prices and the indicators on it.

    ``upper`` and ``lower`` are the channel of the bars before this one, ``rsi_before`` is the bar before's;
    ``drift`` is the efficiency ratio signed by the direction of the move; ``warmth`` in (0, 1] says how much of the
    warm-up was seen.
    """

    high: float
    low: float
    close: float
    upper: float
    lower: float
    fast: float
    slow: float
    atr: float
    usual_atr: float
    rsi: float
    rsi_before: float
    adx: float
    drift: float
    warmth: float


class Gauges:
    """The indicators of one market, updated bar by bar."""

    def __init__(self, params: FxParams) -> None:
        self._warmup = params.warmup_bars
        self._bars = 0
        self._channel = Donchian(params.donchian)
        self._fast, self._slow = Ema(params.ema_fast), Ema(params.ema_slow)
        self._atr, self._usual_atr = Atr(params.atr), Sma(params.regime)
        self._rsi, self._adx = Rsi(params.rsi), Adx(params.adx)
        self._efficiency = EfficiencyRatio(params.efficiency)

    def update(self, bar: Bar) -> Reading | None:
        """Take in one closed bar; return None until every indicator is ready."""
        before = (self._channel.upper, self._channel.lower, self._rsi.value)
        high, low, close = _mid(bar.bid, bar.ask)
        self._bars += 1
        self._channel.update(high, low)
        self._fast.update(close)
        self._slow.update(close)
        self._rsi.update(close)
        self._adx.update(high, low, close)
        self._efficiency.update(close)
        atr = self._atr.update(high, low, close)
        if atr is not None:
            self._usual_atr.update(atr)
        return self._read((high, low, close), before)

    def _read(self, bar: tuple[float, float, float], before: Sequence[float | None]) -> Reading | None:
        gauges = (self._fast, self._slow, self._atr, self._usual_atr, self._rsi, self._adx, self._efficiency)
        values = _complete((*bar, *before, *(gauge.value for gauge in gauges)))
        change = self._efficiency.change
        if values is None:
            return None
        high, low, close, upper, lower, rsi_before, fast, slow, atr, usual_atr, rsi, adx, ratio = values
        return Reading(
            high=high,
            low=low,
            close=close,
            upper=upper,
            lower=lower,
            fast=fast,
            slow=slow,
            atr=atr,
            usual_atr=usual_atr,
            rsi=rsi,
            rsi_before=rsi_before,
            adx=adx,
            drift=copysign(ratio, change) if change else 0.0,
            warmth=min(1.0, self._bars / self._warmup),
        )


def _mid(bid: Ohlc, ask: Ohlc) -> tuple[float, float, float]:
    """Return high, low and close half-way between bid and ask; here prices leave Decimal."""
    high, low = float(bid.high) + float(ask.high), float(bid.low) + float(ask.low)
    return high / 2, low / 2, (float(bid.close) + float(ask.close)) / 2


def _complete(values: Sequence[float | None]) -> list[float] | None:
    found = [value for value in values if value is not None]
    return found if len(found) == len(values) else None
