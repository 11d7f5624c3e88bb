"""Every indicator against TA-Lib, on recorded bars and on generated ones: the same warm-up, the same values."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import talib
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.quotes import Bar
from strategies.indicators import (
    Adx,
    Atr,
    Bollinger,
    Donchian,
    EfficiencyRatio,
    Ema,
    Indicator,
    Macd,
    RollingStdev,
    Rsi,
    Sma,
    Wilder,
)

Columns = dict[str, np.ndarray]
# Per indicator: how to make it for a window, its lines, and TA-Lib's answer in the order of those lines.
CASES: dict[str, tuple[Callable[[int], Indicator], tuple[str, ...], Callable[[Columns, int], Sequence[np.ndarray]]]] = {
    "sma": (Sma, ("value",), lambda c, n: [talib.SMA(c["close"], n)]),
    "ema": (Ema, ("value",), lambda c, n: [talib.EMA(c["close"], n)]),
    "rsi": (Rsi, ("value",), lambda c, n: [talib.RSI(c["close"], n)]),
    "atr": (Atr, ("value",), lambda c, n: [talib.ATR(c["high"], c["low"], c["close"], n)]),
    "adx": (Adx, ("value",), lambda c, n: [talib.ADX(c["high"], c["low"], c["close"], n)]),
    "donchian": (
        Donchian,
        ("upper", "lower", "value"),
        lambda c, n: [talib.MAX(c["high"], n), talib.MIN(c["low"], n), talib.MIDPRICE(c["high"], c["low"], n)],
    ),
    "stdev": (RollingStdev, ("value", "mean"), lambda c, n: [talib.STDDEV(c["close"], n), talib.SMA(c["close"], n)]),
    "bollinger": (
        lambda n: Bollinger(n, 2.5),
        ("upper", "value", "lower"),
        lambda c, n: talib.BBANDS(c["close"], n, 2.5, 2.5),
    ),
    "macd": (
        lambda n: Macd(n, n * 2, max(n // 2, 2)),
        ("value", "signal", "histogram"),
        lambda c, n: talib.MACD(c["close"], n, n * 2, max(n // 2, 2)),
    ),
}
LEAP = 20_000
STEPS = st.lists(
    st.tuples(st.integers(-60, 60) | st.sampled_from((0, LEAP, -LEAP)), st.integers(0, 40), st.integers(0, 40)),
    min_size=1,
    max_size=220,
)


def columns(bars: Sequence[Bar]) -> Columns:
    mids = [bar.mid for bar in bars]
    return {name: np.array([float(getattr(mid, name)) for mid in mids]) for name in ("high", "low", "close")}


def lines(indicator: Any, names: Sequence[str], table: Columns) -> list[np.ndarray]:
    """Feed the indicator and return each of its lines, NaN where it is not ready."""
    rows = []
    for fields in zip(*(table[name].tolist() for name in indicator.inputs), strict=True):
        returned = indicator.update(*fields)
        assert returned == indicator.value
        assert indicator.ready is (indicator.value is not None)
        rows.append([np.nan if getattr(indicator, name) is None else getattr(indicator, name) for name in names])
    return list(np.array(rows, dtype=float).T)


def assert_equal(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> None:
    # The absolute part is for lines that cross zero, where a difference of prices near 1 has 16 digits of the price.
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("period", [2, 5, 14, 50])
@pytest.mark.parametrize("name", CASES)
def test_an_indicator_equals_talib_on_recorded_bars(name: str, period: int, recorded: list[Bar]) -> None:
    make, names, reference = CASES[name]
    table = columns(recorded)

    assert_equal(lines(make(period), names, table), reference(table, period))


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=60, deadline=None)
@given(steps=STEPS, period=st.integers(2, 30))
@example(steps=[(0, 0, 0)] * 90, period=14)
@example(steps=[(LEAP, 0, 0)] + [(1, 1, 0), (-1, 0, 1)] * 40, period=15)
def test_an_indicator_equals_talib_on_any_bars(
    name: str, steps: list[tuple[int, int, int]], period: int, walk_bars: Callable[..., list[Bar]]
) -> None:
    make, names, reference = CASES[name]
    table = columns(walk_bars(steps, 10))

    assert_equal(lines(make(period), names, table), reference(table, period))


@pytest.mark.parametrize("period", [2, 14, 50])
def test_wilders_average_of_true_ranges_is_talibs_atr(period: int, recorded: list[Bar]) -> None:
    table = columns(recorded)
    true_ranges = talib.TRANGE(table["high"], table["low"], table["close"])

    (ours,) = lines(Wilder(period), ("value",), {"close": true_ranges[1:]})

    assert_equal([ours], [talib.ATR(table["high"], table["low"], table["close"], period)[1:]])


@pytest.mark.parametrize("period", [2, 10, 50])
def test_talibs_adaptive_average_can_be_rebuilt_from_the_efficiency_ratio(period: int, recorded: list[Bar]) -> None:
    table = columns(recorded)
    (ratios,) = lines(EfficiencyRatio(period), ("value",), table)
    close, average, ours = table["close"], table["close"][period - 1], np.full(len(ratios), np.nan)
    for bar in range(period, len(close)):
        average += (ratios[bar] * (2 / 3 - 2 / 31) + 2 / 31) ** 2 * (close[bar] - average)
        ours[bar] = average

    assert_equal([ours], [talib.KAMA(close, period)])


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, period=st.integers(1, 30))
def test_the_efficiency_ratio_is_the_net_change_over_the_way_walked(
    steps: list[tuple[int, int, int]], period: int, walk_bars: Callable[..., list[Bar]]
) -> None:
    close = columns(walk_bars(steps, 10))["close"]
    (ratios, changes) = lines(EfficiencyRatio(period), ("value", "change"), {"close": close})

    for bar in range(period, len(close)):
        way = np.abs(np.diff(close[bar - period : bar + 1])).sum()
        change = close[bar] - close[bar - period]
        assert changes[bar] == pytest.approx(change, rel=1e-9, abs=1e-12)
        assert ratios[bar] == pytest.approx(abs(change) / way if way > 0 else 1.0, rel=1e-9)
    assert np.isnan(ratios[:period]).all()


def test_the_deviation_keeps_its_digits_after_a_leap_has_left_the_window() -> None:
    quiet = [1.0 + 1e-5 * (number % 3) for number in range(40)]
    stdev = RollingStdev(15)
    for value in [quiet[0], 1001.0, *quiet]:
        stdev.update(value)

    assert stdev.value == pytest.approx(np.std(quiet[-15:]), rel=1e-9)


@pytest.mark.parametrize("make", [Sma, Ema, Wilder, Atr, Donchian, EfficiencyRatio])
def test_a_window_of_no_bars_is_refused(make: Callable[[int], Indicator]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        make(0)


def test_the_fast_average_of_a_macd_must_be_the_shorter_one() -> None:
    with pytest.raises(ValueError, match="below the slow one"):
        Macd(26, 12, 9)
