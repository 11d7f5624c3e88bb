"""Numbers of returns, beside those of the libraries that others take them from."""

import csv
import gzip
import random
from itertools import pairwise
from math import sqrt
from pathlib import Path

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.metrics import deepest_fall, of_returns

DATA = Path(__file__).parents[2] / "simulators" / "ibkr" / "data"
CLOSE = 1e-9


def daily_returns(symbol):
    """Return the daily returns of recorded closes; each row holds differences to the one before (see NOTICE.md)."""
    closes, close = [], 0
    with gzip.open(DATA / f"{symbol}_daily.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            close += int(row["open"]) + int(row["close"])
            closes.append(close)
    return [after / before - 1 for before, after in pairwise(closes)]


def seeded(count=500):
    draw = random.Random(20140506)
    return [round(draw.gauss(0.0006, 0.011), 6) for _ in range(count)]


def longest_below_a_peak(returns):
    worth = np.concatenate([[1.0], np.cumprod(1 + np.array(returns))])
    below = worth < np.maximum.accumulate(worth)
    runs = "".join("x" if one else " " for one in below).split()
    return max(map(len, runs), default=0)


@pytest.mark.parametrize("per_year", [252, 365])
@pytest.mark.parametrize("symbol", ["SPY", "AAPL", "AIG"])
def test_numbers_of_recorded_stocks_are_those_of_empyrical(symbol, per_year):
    returns = daily_returns(symbol)
    theirs = np.array(returns)
    ours = of_returns(returns, per_year=per_year)

    assert len(returns) == 758
    assert ours.total == pytest.approx(empyrical.cum_returns_final(theirs), rel=CLOSE)
    assert ours.annual == pytest.approx(empyrical.annual_return(theirs, annualization=per_year), rel=CLOSE)
    assert ours.volatility == pytest.approx(empyrical.annual_volatility(theirs, annualization=per_year), rel=CLOSE)
    assert ours.sharpe == pytest.approx(empyrical.sharpe_ratio(theirs, annualization=per_year), rel=CLOSE)
    assert ours.sortino == pytest.approx(empyrical.sortino_ratio(theirs, annualization=per_year), rel=CLOSE)
    assert ours.max_drawdown == pytest.approx(empyrical.max_drawdown(theirs), rel=CLOSE)
    assert ours.calmar == pytest.approx(empyrical.calmar_ratio(theirs, annualization=per_year), rel=CLOSE)
    assert ours.drawdown_periods == longest_below_a_peak(returns)
    assert (ours.best, ours.worst) == (max(returns), min(returns))


def test_numbers_of_a_seeded_series_are_those_of_quantstats():
    # quantstats 0.0.86 (comp, cagr, volatility, sharpe, sortino, max_drawdown, calmar), worked out once on this series;
    # ffn 1.4.1 has the same Sharpe and Sortino.
    ours = of_returns(seeded())

    assert ours.total == pytest.approx(0.14167234732005474, rel=CLOSE)
    assert ours.annual == pytest.approx(0.06905711176711549, rel=CLOSE)
    assert ours.volatility == pytest.approx(0.1727550422131075, rel=CLOSE)
    assert ours.sharpe == pytest.approx(0.47273382561683436, rel=CLOSE)
    assert ours.sortino == pytest.approx(0.691404425403028, rel=CLOSE)
    assert ours.max_drawdown == pytest.approx(-0.23468607917213435, rel=CLOSE)
    assert ours.calmar == pytest.approx(0.29425312319638874, rel=CLOSE)


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60))
def test_numbers_of_any_series_are_those_of_empyrical_or_unknown(returns):
    ours, theirs = of_returns(returns), np.array(returns)

    assert ours.max_drawdown == pytest.approx(float(empyrical.max_drawdown(theirs)), rel=1e-6, abs=1e-12)
    assert ours.total == pytest.approx(float(empyrical.cum_returns_final(theirs)), rel=1e-6, abs=1e-12)
    if ours.volatility and ours.volatility > 1e-6:
        assert ours.sharpe == pytest.approx(float(empyrical.sharpe_ratio(theirs)), rel=1e-6, abs=1e-9)
    downside = sqrt(sum(min(one, 0) ** 2 for one in returns) / len(returns))
    if downside > 1e-6:
        assert ours.sortino == pytest.approx(float(empyrical.sortino_ratio(theirs)), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("returns", [[], [0.01]])
def test_too_few_returns_leave_their_numbers_unknown(returns):
    found = of_returns(returns)

    assert (found.volatility, found.sharpe, found.sortino) == (None, None, None)
    assert found.total == (pytest.approx(0.01) if returns else None)
    assert found.unbounded == ()


def test_a_series_that_never_moves_has_no_ratio():
    found = of_returns([0.001] * 30)

    assert (found.volatility, found.sharpe) == (0.0, None)


def test_ratios_of_a_series_that_never_lost_are_named_unbounded():
    found = of_returns([0.01, 0.0, 0.02])

    assert (found.sortino, found.calmar, found.max_drawdown) == (None, None, 0.0)
    assert found.unbounded == ("sortino", "calmar")
    assert of_returns([0.0, 0.0]).unbounded == ()


def test_a_series_that_lost_everything_has_no_growth_to_annualise():
    found = of_returns([-1.0, 0.5])

    assert (found.total, found.annual, found.max_drawdown) == (-1.0, None, -1.0)


def test_a_drawdown_that_has_not_ended_is_told_apart():
    found = of_returns([0.1, -0.1, 0.2, -0.1, -0.1, 0.01])

    assert (found.drawdown_periods, found.underwater_periods) == (3, 3)


@given(st.lists(st.integers(-100, 100), max_size=40))
def test_the_deepest_fall_of_a_sum_is_the_most_lost_between_two_moments(steps):
    sums = [sum(steps[:n]) for n in range(len(steps) + 1)]
    falls = [sums[b] - sums[a] for a in range(len(sums)) for b in range(a, len(sums))]

    assert deepest_fall(steps) == min(falls)
