"""What a series of periodic returns is worth, in the numbers the field agrees on.

Returns are of one period each (a session), so that nothing is annualised from minutes in which nobody traded. Fewer
values than a number needs, and a spread of zero, give None: an unknown is not 0. A ratio without a denominator is
infinite, and infinity is None as well, with its name in ``unbounded``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt

SESSIONS_A_YEAR = 252


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """Numbers of a series of periodic returns (fractions: 0.01 is one percent).

    ``annual`` is the compound growth of a year (CAGR), ``drawdown_periods`` the most periods in a row below an earlier
    peak, ``underwater_periods`` how many of them the series ends with.
    """

    periods: int
    total: float | None
    annual: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float | None
    calmar: float | None
    drawdown_periods: int
    underwater_periods: int
    best: float | None
    worst: float | None
    unbounded: tuple[str, ...]


def of_returns(returns: Sequence[float], *, per_year: int = SESSIONS_A_YEAR) -> Returns:
    """Work out the numbers of ``returns``, oldest first."""
    count = len(returns)
    curve = _curve(returns)
    annual = float(curve[-1] ** (per_year / count)) - 1.0 if count and curve[-1] > 0 else None
    drawdown = _drawdown(curve) if count else None
    below = _underwater(curve)
    return Returns(
        periods=count,
        total=curve[-1] - 1.0 if count else None,
        annual=annual,
        volatility=_scaled(deviation(returns), per_year),
        sharpe=sharpe(returns, per_year=per_year),
        sortino=sortino(returns, per_year=per_year),
        max_drawdown=drawdown,
        calmar=annual / -drawdown if annual is not None and drawdown else None,
        drawdown_periods=max(below),
        underwater_periods=below[-1],
        best=max(returns, default=None),
        worst=min(returns, default=None),
        unbounded=_unbounded(returns, drawdown),
    )


def sharpe(returns: Sequence[float], *, per_year: int = SESSIONS_A_YEAR) -> float | None:
    """Return mean over standard deviation (n - 1), annualised; without a risk-free rate."""
    spread = deviation(returns)
    return mean(returns) / spread * sqrt(per_year) if spread else None


def sortino(returns: Sequence[float], *, per_year: int = SESSIONS_A_YEAR) -> float | None:
    """Return mean over downside deviation, annualised; every period counts in its denominator."""
    if len(returns) < 2:
        return None
    downside = sqrt(fsum(min(one, 0.0) ** 2 for one in returns) / len(returns))
    return mean(returns) / downside * sqrt(per_year) if downside else None


def mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation, None of fewer than two values."""
    if len(values) < 2:
        return None
    middle = mean(values)
    found = sqrt(fsum((one - middle) ** 2 for one in values) / (len(values) - 1))
    # A constant series leaves the rounding of its own mean behind, which is no spread.
    return found if found > 1e-15 * max(1.0, abs(middle)) else 0.0


def median(values: Sequence[float]) -> float | None:
    if not values:
        return None
    ranked, half = sorted(values), len(values) // 2
    return ranked[half] if len(values) % 2 else (ranked[half - 1] + ranked[half]) / 2


def deepest_fall(steps: Sequence[float]) -> float:
    """Return how far the running sum of ``steps``, which begins at 0, fell from its highest point; at most 0."""
    deepest = peak = now = 0.0
    for step in steps:
        now += step
        peak = max(peak, now)
        deepest = min(deepest, now - peak)
    return deepest


def _curve(returns: Sequence[float]) -> list[float]:
    """Return the worth of 1 after each period, the start included."""
    curve = [1.0]
    for one in returns:
        curve.append(curve[-1] * (1.0 + one))
    return curve


def _drawdown(curve: Sequence[float]) -> float:
    """Return the deepest fall from a peak, at most 0; the starting worth is a peak too."""
    deepest, peak = 0.0, curve[0]
    for worth in curve:
        peak = max(peak, worth)
        deepest = min(deepest, worth / peak - 1.0)
    return deepest


def _underwater(curve: Sequence[float]) -> list[int]:
    """Return for each point of the curve how many periods it has been below its peak."""
    peak, below = curve[0], [0]
    for worth in curve[1:]:
        below.append(below[-1] + 1 if worth < peak else 0)
        peak = max(peak, worth)
    return below


def _unbounded(returns: Sequence[float], drawdown: float | None) -> tuple[str, ...]:
    """Name the ratios that are infinite: something was gained, and nothing ever lost."""
    if len(returns) < 2 or drawdown != 0.0 or mean(returns) <= 0:
        return ()
    return ("sortino", "calmar")


def _scaled(spread: float | None, per_year: int) -> float | None:
    return None if spread is None else spread * sqrt(per_year)
