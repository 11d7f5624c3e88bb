"""Parameters of the FX strategy.

This module is the single authority for the ``STRATEGY_`` keys of the FX surface; ``docs/strategies.md`` lists them.
"""

from dataclasses import dataclass

# A window read from a cold start still remembers where it was seeded; after four times its length an exponential
# average has forgotten all but 0.03 % of that (Wilder's, twice as slow, 2 %).
WARMUP_FACTOR = 4
_DAY_S = 86_400
_WINDOWS = ("donchian", "ema_fast", "ema_slow", "atr", "rsi", "adx", "efficiency", "regime")
_POSITIVE = ("stop_atr", "target_atr", "min_atr_spreads")
_NOT_NEGATIVE = ("breakout_reach_atr", "pullback_reach_atr", "min_trend_atr", "max_tilt", "commission_bp")
# More than a quarter added to a coin's odds is not a prior, it is a typing error.
_MOST_TILT = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class FxParams:
    """How the FX strategy reads the market; windows are in bars, names ending in ``_atr`` are multiples of the ATR.

    Attributes:
        period_s: length of a bar in seconds.
        donchian: window of the channel that a breakout must leave.
        ema_fast: window of the fast average, to which a pullback dips.
        ema_slow: window of the slow average; fast above slow is an uptrend.
        atr: window of the average true range.
        rsi: window of the relative strength index.
        adx: window of the average directional index.
        efficiency: window of the efficiency ratio.
        regime: window over which the ATR itself is averaged to tell calm from wild.
        stop_atr: distance from entry to stop.
        target_atr: distance from entry to target.
        trailing_atr: distance of the trailing stop; empty for none.
        min_trailing_pips: least trailing distance in pips (OANDA refuses a trailing stop nearer than 5).
        min_trend_atr: distance of the two averages below which there is no trend, hence no bias.
        breakout_reach_atr: how far inside the channel a close already counts as a (weak) breakout.
        pullback_reach_atr: how near the fast average a dip must come.
        pullback_rsi: RSI (0–100) at or below which a dip must have been before it turns; mirrored in a downtrend.
        max_tilt: most that trend strength may add to the probability of a driftless walk (0.05 is five points).
        commission_bp: commission of a whole trade in basis points of the entry price.
        min_atr_spreads: ATR in spreads below which confidence fades.
    """

    period_s: int = 900
    donchian: int = 20
    ema_fast: int = 20
    ema_slow: int = 50
    atr: int = 14
    rsi: int = 14
    adx: int = 14
    efficiency: int = 20
    regime: int = 50
    stop_atr: float = 2.0
    target_atr: float = 3.0
    trailing_atr: float | None = None
    min_trailing_pips: float = 5.0
    min_trend_atr: float = 0.1
    breakout_reach_atr: float = 0.25
    pullback_reach_atr: float = 0.25
    pullback_rsi: float = 50.0
    max_tilt: float = 0.05
    commission_bp: float = 0.0
    min_atr_spreads: float = 3.0

    def __post_init__(self) -> None:
        self._check_windows()
        for name in _POSITIVE:
            _require(getattr(self, name) > 0, name, "be above 0", getattr(self, name))
        for name in _NOT_NEGATIVE:
            _require(getattr(self, name) >= 0, name, "not be negative", getattr(self, name))
        trailing = self.trailing_atr
        _require(trailing is None or trailing > 0, "trailing_atr", "be above 0 or empty", trailing)
        _require(self.min_trailing_pips >= 0, "min_trailing_pips", "not be negative", self.min_trailing_pips)
        _require(self.max_tilt <= _MOST_TILT, "max_tilt", f"be at most {_MOST_TILT}", self.max_tilt)
        _require(0 < self.pullback_rsi < 100, "pullback_rsi", "lie between 0 and 100", self.pullback_rsi)

    def _check_windows(self) -> None:
        _require(0 < self.period_s <= _DAY_S, "period_s", f"lie in 1 to {_DAY_S} s", self.period_s)
        for name in _WINDOWS:
            _require(getattr(self, name) >= 2, name, "be at least 2 bars", getattr(self, name))
        _require(self.ema_fast < self.ema_slow, "ema_fast", f"be below ema_slow ({self.ema_slow})", self.ema_fast)

    @property
    def required_bars(self) -> int:
        """Return after how many bars every indicator has a value."""
        return max(
            self.donchian + 1,  # the channel of the bars before the one that leaves it
            self.ema_slow,
            self.atr + self.regime,
            self.rsi + 2,  # its value on the bar before
            self.adx * 2,
            self.efficiency + 1,
        )

    @property
    def warmup_bars(self) -> int:
        """Return how many bars to load before trading, so that a restart sees what the running process saw."""
        return self.required_bars * WARMUP_FACTOR


def _require(fits: bool, name: str, rule: str, found: object) -> None:
    if not fits:
        raise ValueError(f"{name} must {rule}, found {found}")
