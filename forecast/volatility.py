"""The chance of a price at a moment: how much it moves, and how far the strike is.

Volatility is the greater of two estimates over the last six hours, weighted with a half-life of an hour: Garman and
Klass's from the range of each minute, and the one from close to close. The price is expected to stay where it is (no
drift: an hour's trend in bitcoin says nothing about the next), and moves have Student's tails with four degrees of
freedom, because a normal's would make far strikes look safe. Where the contract takes the average of the last
minute, two thirds of that minute's variance do not count.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import exp, log, sqrt
from typing import NamedTuple

from domain.contract import RuleKind, SettlementRule
from domain.quotes import Bar

METHOD = "volatility"
HALF_LIFE_MINUTES = 60.0
WINDOW_MINUTES = 360
LEAST_BARS = 30
# No market that trades every minute moved less than this in one; a recording of unchanged prices is no calm.
FLOOR = 1e-5
_MINUTE = timedelta(minutes=1)
_PLACES = Decimal("0.0001")
_LN2 = log(2.0)


class Candle(NamedTuple):
    """One minute of a price, stamped with its beginning."""

    start: datetime
    open: float
    high: float
    low: float
    close: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceEstimate:
    """The chance of YES, how far to trust it, and the numbers behind it."""

    probability: Decimal
    certainty: Decimal
    facts: tuple[tuple[str, str], ...]
    method: str = METHOD


def candles_of(bars: Sequence[Bar]) -> tuple[Candle, ...]:
    """Return the middle prices of bars as candles."""
    return tuple(
        Candle(bar.start, float(mid.open), float(mid.high), float(mid.low), float(mid.close))
        for bar, mid in ((bar, bar.mid) for bar in bars)
    )


def close_to_close(candle: Candle, before: Candle | None) -> float:
    """Return the squared return of a minute; over a gap it is spread over the minutes missed."""
    if before is None:
        return log(candle.close / candle.open) ** 2
    return log(candle.close / before.close) ** 2 / max(1.0, (candle.start - before.start) / _MINUTE)


def parkinson(candle: Candle, before: Candle | None) -> float:
    """Return a minute's variance by its range alone."""
    return log(candle.high / candle.low) ** 2 / (4.0 * _LN2)


def garman_klass(candle: Candle, before: Candle | None) -> float:
    """Return a minute's variance by its range and its open and close."""
    return 0.5 * log(candle.high / candle.low) ** 2 - (2.0 * _LN2 - 1.0) * log(candle.close / candle.open) ** 2


Measure = Callable[[Candle, Candle | None], float]


def per_minute(candles: Sequence[Candle], now: datetime, *, by_range: Measure = garman_klass) -> float:
    """Return the volatility of one minute's return, from the closed minutes of the last six hours.

    Ranges see nothing between minutes and shrink where few trades print; returns from close to close are noisier and
    see both. The greater of the two is taken: to believe in too calm a market costs more than the reverse.

    Raises:
        ValueError: there are fewer than 30 closed minutes.
    """
    closed = [one for one in candles if one.start + _MINUTE <= now and one.start >= now - WINDOW_MINUTES * _MINUTE]
    if len(closed) < LEAST_BARS:
        raise ValueError(f"expected at least {LEAST_BARS} closed minutes of the last six hours, found {len(closed)}")
    total = ranges = returns = 0.0
    before: Candle | None = None
    for candle in closed:
        weight = 0.5 ** (((now - candle.start) / _MINUTE) / HALF_LIFE_MINUTES)
        total += weight
        ranges += weight * by_range(candle, before)
        returns += weight * close_to_close(candle, before)
        before = candle
    return max(sqrt(max(ranges, returns) / total), FLOOR)


def estimate_price_above(rule: SettlementRule, candles: Sequence[Candle], now: datetime) -> PriceEstimate:
    """Return the chance that a price at a moment settles YES; a rule with two bounds gives that of the range.

    Args:
        candles: closed minutes of the pair the rule names (``rule.station``), oldest first.

    Raises:
        ValueError: the rule is of another kind, or there are too few minutes.
    """
    if rule.kind is not RuleKind.PRICE_AT or rule.begins_at is None:
        raise ValueError(f"expected a rule about a price at a moment, found {rule.kind}")
    closed = [one for one in candles if one.start + _MINUTE <= now]
    sigma = per_minute(closed, now)
    spot, last = closed[-1].close, closed[-1].start + _MINUTE
    averaged = (rule.ends_at - rule.begins_at) / _MINUTE
    minutes = max((rule.ends_at - last) / _MINUTE - averaged * 2.0 / 3.0, 0.25)
    width = sigma * sqrt(minutes)
    below_high = 1.0 if rule.high is None else chance_below(spot, float(rule.high), width)
    below_low = 0.0 if rule.low is None else chance_below(spot, float(rule.low), width)
    return PriceEstimate(
        probability=Decimal(str(max(0.0, below_high - below_low))).quantize(_PLACES),
        certainty=certainty(len(closed), now - last),
        facts=(
            ("spot", f"{spot:.2f}"),
            ("volatility_per_minute", f"{sigma:.6f}"),
            ("volatility_a_year", f"{sigma * sqrt(525_600):.3f}"),
            ("minutes_left", f"{minutes:.1f}"),
            ("minutes_seen", str(len(closed))),
        ),
    )


def chance_below(spot: float, level: float, width: float) -> float:
    """Return the chance that the price ends below ``level``.

    Args:
        width: standard deviation of the log return until then. The expected price is today's, so the log return is
            expected to be minus half its variance.
    """
    if level <= 0:
        return 0.0
    return student4((log(level / spot) + width * width / 2.0) / width)


def student4(deviations: float) -> float:
    """Return the distribution function of Student's t with four degrees of freedom, scaled to a variance of 1."""
    t = deviations * sqrt(2.0)
    share = 1.0 + t * t / 4.0
    return 0.5 + 0.375 * t / sqrt(share) * (1.0 - t * t / (12.0 * share))


def certainty(minutes: int, age: timedelta) -> Decimal:
    """Return in [0, 1] how far the estimate can be trusted: fully with two hours of minutes, less as they grow old.

    An age of five minutes halves it.
    """
    seen = min(1.0, minutes / 120.0)
    fresh = exp(-_LN2 * max(0.0, age / (5 * _MINUTE)))
    return Decimal(str(seen * fresh)).quantize(_PLACES)
