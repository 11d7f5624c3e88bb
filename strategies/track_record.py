"""An estimate made of a rule's own track record: what it earned on this market so far, shrunk towards a prior.

The prior is a belief, not a measurement; ``docs/strategies.md`` says what it means to change it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from math import erf, exp, sqrt
from statistics import fmean, stdev

from domain.candidate import Estimate

_BP = Decimal(10_000)
_PLACES = Decimal("0.0001")
_ONE, _HUNDRED = Decimal(1), Decimal(100)
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Trade:
    """``return_bp`` is the return before costs in basis points of the entry, ``hours`` how long it was held."""

    return_bp: float
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What a broker takes for an order: ``share`` for each share, at least ``least``, at most a part of its value."""

    share: Decimal
    least: Decimal
    most_pct: Decimal

    def of(self, shares: Decimal, value: Decimal) -> Decimal:
        """Return the fee of one order; the most goes before the least, as in IBKR's fixed pricing."""
        return min(max(shares * self.share, self.least), value * self.most_pct / _HUNDRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is believed before anything was seen, and the trades that this counts as.

    ``edge_bp`` is before costs, ``odds`` the probability of a gain after them, ``deviation_bp`` how far results spread,
    ``hours`` how long a trade takes.
    """

    weight: float
    edge_bp: float
    odds: float
    deviation_bp: float
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a round trip costs, in basis points of the entry."""

    spread_bp: Decimal
    commission_bp: Decimal

    @property
    def total_bp(self) -> Decimal:
        return self.spread_bp + self.commission_bp


def cost(price: Decimal, spread: Decimal, budget: Decimal | None, fees: Fees) -> Cost:
    """Return the cost of buying whole shares for ``budget`` and selling them; None counts a single share."""
    shares = _ONE if budget is None else max((budget / price).quantize(_ONE, ROUND_FLOOR), _ONE)
    value = shares * price
    paid = 2 * fees.of(shares, value)
    return Cost(spread_bp=_rounded(spread / price * _BP), commission_bp=_rounded(paid / value * _BP))


def estimate(trades: Sequence[Trade], prior: Prior, costs: Cost) -> Estimate:
    """Return odds, edge, confidence and ETA.

    Edge and odds are means of what was seen and of the prior. Confidence is the share of what was seen in them, times
    the chance that the edge net of costs is above nothing, were the mean normally distributed. Without a trade it is 0.
    """
    seen, cost_bp = len(trades), float(costs.total_bp)
    total = prior.weight + seen
    returns = [trade.return_bp for trade in trades]
    wins = sum(1 for value in returns if value > cost_bp)
    gross = _shrunk(sum(returns), prior.edge_bp, prior.weight, seen)
    deviation = stdev(returns) if seen > 1 else prior.deviation_bp
    confidence = seen / total * _above_zero(gross - cost_bp, deviation / sqrt(total)) if seen else 0.0
    gross_bp = _decimal(gross)
    return Estimate(
        probability=_decimal(_shrunk(float(wins), prior.odds, prior.weight, seen)),
        gross_edge_bp=gross_bp,
        cost_bp=costs.total_bp,
        edge_bp=gross_bp - costs.total_bp,
        confidence=_decimal(confidence),
        eta_hours=max(_decimal(fmean(trade.hours for trade in trades) if trades else prior.hours), _PLACES),
        method="track_record",
        facts=_facts(returns, wins, prior, costs),
    )


def odds_of_trailing(distance_bp: float, cost_bp: float) -> float:
    """Return the probability that a walk without drift gains more than it costs before a trailing stop ends it.

    The most it gains above the entry is exponential with the distance as its mean; it must exceed distance and cost.
    """
    return exp(-(distance_bp + cost_bp) / distance_bp)


def odds_of_bracket(stop_bp: float, target_bp: float) -> float:
    """Return the probability that a walk without drift meets the target before the stop (the gambler's ruin)."""
    return stop_bp / (stop_bp + target_bp)


def hours_to(distance: float, atr: float, period_s: int) -> float:
    """Return distance / ATR per hour; a bar's range grows with the square root of its length."""
    return distance / (atr * sqrt(_HOUR_S / period_s)) if atr > 0 else period_s / _HOUR_S


def _facts(returns: Sequence[float], wins: int, prior: Prior, costs: Cost) -> tuple[tuple[str, str], ...]:
    mean = fmean(returns) if returns else 0.0
    return (
        ("trades", str(len(returns))),
        ("wins", str(wins)),
        ("mean_return_bp", str(_decimal(mean))),
        ("prior_edge_bp", str(_decimal(prior.edge_bp))),
        ("prior_weight", str(_decimal(prior.weight))),
        ("spread_bp", str(costs.spread_bp)),
        ("commission_bp", str(costs.commission_bp)),
    )


def _shrunk(total: float, prior: float, weight: float, seen: int) -> float:
    return (total + weight * prior) / (weight + seen) if weight + seen else prior


def _above_zero(mean: float, error: float) -> float:
    """Return the chance that a normal variable with this mean and deviation is above zero."""
    if error <= 0:
        return 1.0 if mean > 0 else 0.0
    return (1.0 + erf(mean / error / sqrt(2.0))) / 2.0


def _decimal(value: float) -> Decimal:
    return _rounded(Decimal(str(value)))


def _rounded(value: Decimal) -> Decimal:
    # Adding 0 turns the -0.0000 of a rounding error into 0.0000.
    return value.quantize(_PLACES) + 0
