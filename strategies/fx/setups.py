"""The two sub-strategies: which side a bar speaks for, and whether their condition is met."""

from collections.abc import Callable
from dataclasses import dataclass

from domain.vocabulary import Side
from strategies.fx.params import FxParams
from strategies.fx.reading import Reading

# A close half an ATR beyond the channel, or an RSI that turned by ten points, is as clear as it gets.
CLEAR_BREAK_ATR = 0.5
CLEAR_TURN = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A directional bias.

    ``triggered`` says that the rule's whole condition is met; without it the bias is only near, and its estimate
    will be that of a coin. ``clarity`` in [0, 1] says how plainly it is met.
    """

    sub_strategy: str
    side: Side
    triggered: bool
    clarity: float

    @property
    def thesis(self) -> str:
        return f"{self.sub_strategy}:{'up' if self.side is Side.BUY else 'down'}"


def unit(value: float) -> float:
    """Return ``value`` kept within [0, 1]."""
    return 0.0 if value < 0 else min(value, 1.0)


def trend(reading: Reading, params: FxParams) -> Side | None:
    """Return the side of the trend: fast against slow average, None while they are too close."""
    gap = reading.fast - reading.slow
    if reading.atr <= 0 or abs(gap) < params.min_trend_atr * reading.atr:
        return None
    return Side.BUY if gap > 0 else Side.SELL


def breakout(reading: Reading, params: FxParams) -> Setup | None:
    """A close beyond the channel of the bars before it, in the direction of the trend."""
    side = trend(reading, params)
    if side is None:
        return None
    beyond = (reading.close - reading.upper) if side is Side.BUY else (reading.lower - reading.close)
    beyond /= reading.atr
    if beyond < -params.breakout_reach_atr:
        return None
    return Setup(sub_strategy="breakout", side=side, triggered=beyond > 0, clarity=unit(beyond / CLEAR_BREAK_ATR))


def pullback(reading: Reading, params: FxParams) -> Setup | None:
    """A dip to the fast average that leaves the slow one alone, with the RSI turning back into the trend."""
    side = trend(reading, params)
    if side is None or (reading.close - reading.slow) * side.sign <= 0:
        return None
    dip = reading.low if side is Side.BUY else reading.high
    if (dip - reading.fast) * side.sign > params.pullback_reach_atr * reading.atr:
        return None
    turn = (reading.rsi - reading.rsi_before) * side.sign
    was_low = (reading.rsi_before - 50.0) * side.sign <= params.pullback_rsi - 50.0
    return Setup(sub_strategy="pullback", side=side, triggered=was_low and turn > 0, clarity=unit(turn / CLEAR_TURN))


SETUPS: tuple[Callable[[Reading, FxParams], Setup | None], ...] = (breakout, pullback)
