"""Nanoseconds per bar of each incremental indicator, beside talipp and TA-Lib's stream where they are installed.

    python bench/indicators.py [bars]

TA-Lib's stream is no incremental engine: it computes anew over the array it is handed, here the last 256 bars, so its
cost grows with that window and its smoothed values depend on it.
"""

import importlib
import math
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from strategies.indicators import (
    Adx,
    Atr,
    Bollinger,
    Donchian,
    EfficiencyRatio,
    Ema,
    Macd,
    RollingStdev,
    Rsi,
    Sma,
)

Rows = dict[str, list[float]]
Step = Callable[[int], object]
ROUNDS = 5
STREAM_WINDOW = 256
STREAM_BARS = 5_000
OURS: dict[str, Callable[[], Any]] = {
    "SMA 20": lambda: Sma(20),
    "EMA 20": lambda: Ema(20),
    "RSI 14": lambda: Rsi(14),
    "ATR 14": lambda: Atr(14),
    "MACD 12,26,9": Macd,
    "Bollinger 20": Bollinger,
    "ADX 14": lambda: Adx(14),
    "Donchian 20": lambda: Donchian(20),
    "Stdev 20": lambda: RollingStdev(20),
    "Efficiency 20": lambda: EfficiencyRatio(20),
}
# name -> (class, arguments, whether it takes whole candles)
TALIPP: dict[str, tuple[str, tuple[int, ...], bool]] = {
    "SMA 20": ("SMA", (20,), False),
    "EMA 20": ("EMA", (20,), False),
    "RSI 14": ("RSI", (14,), False),
    "ATR 14": ("ATR", (14,), True),
    "MACD 12,26,9": ("MACD", (12, 26, 9), False),
    "Bollinger 20": ("BB", (20, 2), False),
    "ADX 14": ("ADX", (14, 14), True),
    "Donchian 20": ("DonchianChannels", (20,), True),
    "Stdev 20": ("StdDev", (20,), False),
}
# name -> (function, fields, arguments)
STREAM: dict[str, tuple[str, tuple[str, ...], tuple[int, ...]]] = {
    "SMA 20": ("SMA", ("close",), (20,)),
    "EMA 20": ("EMA", ("close",), (20,)),
    "RSI 14": ("RSI", ("close",), (14,)),
    "ATR 14": ("ATR", ("high", "low", "close"), (14,)),
    "MACD 12,26,9": ("MACD", ("close",), (12, 26, 9)),
    "Bollinger 20": ("BBANDS", ("close",), (20, 2, 2)),
    "ADX 14": ("ADX", ("high", "low", "close"), (14,)),
    "Stdev 20": ("STDDEV", ("close",), (20,)),
}


def walk(bars: int) -> Rows:
    """Return a seeded random walk as columns of floats."""
    generator, close = random.Random(7), 1.38
    rows: Rows = {"high": [], "low": [], "close": []}
    for _ in range(bars):
        close *= math.exp(generator.gauss(0, 1e-4))
        rows["high"].append(close + generator.random() * 1e-4)
        rows["low"].append(close - generator.random() * 1e-4)
        rows["close"].append(close)
    return rows


def ns_per_bar(run: Callable[[], int]) -> float:
    """Return the median over some rounds of what ``run`` takes for each bar it reports."""
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter_ns()
        bars = run()
        taken.append((time.perf_counter_ns() - started) / bars)
    return statistics.median(taken)


def ours(name: str, rows: Rows) -> float:
    def run() -> int:
        indicator = OURS[name]()
        update = indicator.update
        for fields in zip(*(rows[field] for field in indicator.inputs), strict=True):
            update(*fields)
        assert indicator.ready
        return len(rows["close"])

    return ns_per_bar(run)


def talipp(name: str, rows: Rows) -> float | None:
    if name not in TALIPP:
        return None
    class_name, arguments, takes_candles = TALIPP[name]
    try:
        make = getattr(importlib.import_module("talipp.indicators"), class_name)
        candle = importlib.import_module("talipp.ohlcv").OHLCV
    except ImportError:
        return None
    columns = zip(rows["high"], rows["low"], rows["close"], strict=True)
    values: Sequence[Any] = [candle(c, h, low, c) for h, low, c in columns] if takes_candles else rows["close"]

    def run() -> int:
        indicator = make(*arguments)
        for value in values:
            indicator.add(value)
        return len(values)

    return ns_per_bar(run)


def talib_stream(name: str, rows: Rows) -> float | None:
    if name not in STREAM:
        return None
    function_name, fields, arguments = STREAM[name]
    try:
        function = getattr(importlib.import_module("talib.stream"), function_name)
        numpy = importlib.import_module("numpy")
    except ImportError:
        return None
    arrays = [numpy.array(rows[field]) for field in fields]
    ends = range(STREAM_WINDOW, min(len(rows["close"]), STREAM_WINDOW + STREAM_BARS))

    def run() -> int:
        for end in ends:
            function(*(array[end - STREAM_WINDOW : end] for array in arrays), *arguments)
        return len(ends)

    return ns_per_bar(run)


def shown(ns: float | None, reference: float) -> str:
    return f"{'–':>9} {'':>6}" if ns is None else f"{ns:>9.0f} {ns / reference:>5.1f}x"


def main() -> None:
    bars = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    rows, total = walk(bars), 0.0
    print(f"ns per bar, median of {ROUNDS} rounds of {bars} bars; Python {platform.python_version()}")
    print(f"{'':<14} {'ours':>7} {'talipp':>9} {'':>6} {'TA-Lib stream':>9}")
    for name in OURS:
        mine = ours(name, rows)
        total += mine
        print(f"{name:<14} {mine:>7.0f} {shown(talipp(name, rows), mine)} {shown(talib_stream(name, rows), mine)}")
    print(f"{'all of them':<14} {total:>7.0f}")


if __name__ == "__main__":
    main()
