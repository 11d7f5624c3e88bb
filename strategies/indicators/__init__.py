"""Incremental indicators: one closed bar in, one number out, at a cost that does not depend on the window.

Values and warm-up are TA-Lib's (``tests/strategies/test_indicators_equal_talib.py``). Inputs must be finite.
"""

from strategies.indicators.averages import Ema, Sma, Wilder
from strategies.indicators.dispersion import Bollinger, RollingStdev
from strategies.indicators.momentum import EfficiencyRatio, Macd, Rsi
from strategies.indicators.ranges import Atr, Donchian
from strategies.indicators.shape import Indicator
from strategies.indicators.trend import Adx

__all__ = [
    "Adx",
    "Atr",
    "Bollinger",
    "Donchian",
    "EfficiencyRatio",
    "Ema",
    "Indicator",
    "Macd",
    "RollingStdev",
    "Rsi",
    "Sma",
    "Wilder",
]
