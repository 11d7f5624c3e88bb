"""What a series of returns and a list of trades are worth, in the numbers the field agrees on.

Returns are of one period each (a session), so that nothing is annualised from minutes in which nobody traded. Fewer
values than a number needs, and a spread of zero, give None: an unknown is not 0. A ratio without a denominator (no loss
at all) is infinite, and infinity is None as well, with its name in ``unbounded``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

SESSIONS_A_YEAR = 252


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """Numbers of a series of periodic returns (fractions: 0.01 is one percent)."""

    periods: int
    total: float | None
    annual: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float | None
    calmar: float | None
    drawdown_periods: int


def of_returns(returns: Sequence[float], *, per_year: int = SESSIONS_A_YEAR) -> Returns:
    """Work out the numbers of ``returns``, oldest first."""
    count = len(returns)
    curve = _curve(returns)
    total = curve[-1] - 1.0 if count else None
    annual = None
    if count and curve[-1] > 0:
        annual = float(curve[-1] ** (per_year / count)) - 1.0
    drawdown = _drawdown(curve) if count else None
    return Returns(
        periods=count,
        total=total,
        annual=annual,
        volatility=_scaled(deviation(returns), per_year),
        sharpe=sharpe(returns, per_year=per_year),
        sortino=sortino(returns, per_year=per_year),
        max_drawdown=drawdown,
        calmar=annual / -drawdown if annual is not None and drawdown else None,
        drawdown_periods=_longest_drawdown(curve),
    )


def sharpe(returns: Sequence[float], *, per_year: int = SESSIONS_A_YEAR) -> float | None:
    """Return mean over standard deviation (n - 1), annualised; without a risk-free rate."""
    spread = deviation(returns)
    return mean(returns) / spread * sqrt(per_year) if spread else None


def sortino(returns: Sequence[float], *, per_year: int = SESSIONS_A_YEAR) -> float | None:
    """Return mean over downside deviation, annualised; every period counts in its denominator."""
    if len(returns) < 2:
        return None
    downside = sqrt(sum(min(one, 0.0) ** 2 for one in returns) / len(returns))
    return mean(returns) / downside * sqrt(per_year) if downside else None


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation, None of fewer than two values."""
    if len(values) < 2:
        return None
    middle = mean(values)
    found = sqrt(sum((one - middle) ** 2 for one in values) / (len(values) - 1))
    # A constant series leaves the rounding of its own mean behind, which is no spread.
    return found if found > 1e-15 * max(1.0, abs(middle)) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeNumbers:
    """Numbers of closed trades. ``win_rate`` leaves trades that ended at exactly nothing out, as quantstats does."""

    count: int
    wins: int
    losses: int
    net: float
    win_rate: float | None
    average_win: float | None
    average_loss: float | None
    payoff: float | None
    profit_factor: float | None
    expectancy: float | None
    largest_win: float | None
    largest_loss: float | None
    longest_wins: int
    longest_losses: int
    hours_mean: float | None
    hours_median: float | None
    unbounded: tuple[str, ...]


def of_trades(profits: Sequence[float], hours: Sequence[float]) -> TradeNumbers:
    """Work out the numbers of trades in the order in which they ended; ``hours`` is how long each was held."""
    wins, losses = [one for one in profits if one > 0], [one for one in profits if one < 0]
    average_win = mean(wins) if wins else None
    average_loss = mean(losses) if losses else None
    return TradeNumbers(
        count=len(profits),
        wins=len(wins),
        losses=len(losses),
        net=sum(profits),
        win_rate=len(wins) / (len(wins) + len(losses)) if wins or losses else None,
        average_win=average_win,
        average_loss=average_loss,
        payoff=average_win / -average_loss if average_win is not None and average_loss is not None else None,
        profit_factor=sum(wins) / -sum(losses) if losses else None,
        expectancy=mean(profits) if profits else None,
        largest_win=max(wins, default=None),
        largest_loss=min(losses, default=None),
        longest_wins=_longest(profits, 1),
        longest_losses=_longest(profits, -1),
        hours_mean=mean(hours) if hours else None,
        hours_median=_median(hours),
        unbounded=("payoff", "profit_factor") if wins and not losses else (),
    )


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


def _longest_drawdown(curve: Sequence[float]) -> int:
    """Return the most periods in a row below an earlier peak."""
    longest = now = 0
    peak = curve[0]
    for worth in curve[1:]:
        now = now + 1 if worth < peak else 0
        peak, longest = max(peak, worth), max(longest, now)
    return longest


def _longest(profits: Sequence[float], sign: int) -> int:
    longest = now = 0
    for one in profits:
        now = now + 1 if one * sign > 0 else 0
        longest = max(longest, now)
    return longest


def _median(values: Sequence[float]) -> float | None:
    if not values:
        return None
    ranked, half = sorted(values), len(values) // 2
    return ranked[half] if len(values) % 2 else (ranked[half - 1] + ranked[half]) / 2


def _scaled(spread: float | None, per_year: int) -> float | None:
    return None if spread is None else spread * sqrt(per_year)
