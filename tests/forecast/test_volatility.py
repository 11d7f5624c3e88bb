"""The chance of a price: estimators that find a known volatility, tails, monotone strikes, sums of ranges."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contract import RuleKind, SettlementRule
from domain.quotes import Bar, Ohlc
from forecast.volatility import (
    Candle,
    candles_of,
    chance_below,
    close_to_close,
    estimate_price_above,
    garman_klass,
    parkinson,
    per_minute,
    student4,
)

START = datetime(2026, 8, 13, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SIGMA = 0.0008


def walk(minutes: int, sigma: float = SIGMA, seed: int = 1, steps: int = 60) -> list[Candle]:
    """Return minutes of a random walk of known volatility, each made of ``steps`` smaller moves."""
    generator, price, candles = random.Random(seed), 5000.0, []
    for minute in range(minutes):
        path = [price]
        for _ in range(steps):
            path.append(path[-1] * exp(generator.gauss(0, sigma / steps**0.5)))
        price = path[-1]
        candles.append(Candle(START + minute * MINUTE, path[0], max(path), min(path), price))
    return candles


CALM = walk(360)


def rule(low: str | None, high: str | None = None, *, minutes: int = 60, averaged: bool = True) -> SettlementRule:
    ends = START + (360 + minutes) * MINUTE
    return SettlementRule(
        kind=RuleKind.PRICE_AT, source="CF Benchmarks", station="BTC-USD", location="", subject="",
        low=None if low is None else Decimal(low), high=None if high is None else Decimal(high), unit="USD",
        resolution=Decimal("0.01"), observed_on=date(2026, 8, 13), begins_at=ends - MINUTE * averaged, ends_at=ends,
        rounding="", revision="", void="",
    )  # fmt: skip


def chance(found: SettlementRule, candles: list[Candle] = CALM) -> Decimal:
    return estimate_price_above(found, candles, START + 360 * MINUTE).probability


@pytest.mark.parametrize("measure", [parkinson, garman_klass, close_to_close])
def test_each_estimator_finds_the_volatility_of_a_known_walk(measure) -> None:
    candles = walk(2000, seed=7)
    variances = [measure(candle, None) for candle in candles]

    # Ranges are seen at sixty moments a minute only, which hides a tenth of them.
    assert (sum(variances) / len(variances)) ** 0.5 == pytest.approx(SIGMA, rel=0.12)


def test_the_estimate_of_a_minute_is_the_walks_and_at_least_the_noisier_measure() -> None:
    now = START + 360 * MINUTE

    assert per_minute(CALM, now) == pytest.approx(SIGMA, rel=0.15)
    assert per_minute(CALM, now) >= per_minute(CALM, now, by_range=lambda candle, before: 0.0)


def test_recent_minutes_count_more() -> None:
    now = START + 360 * MINUTE
    waking = [*CALM[:300], *[one._replace(start=one.start + 300 * MINUTE) for one in walk(60, 4 * SIGMA, seed=3)]]

    assert per_minute(waking, now) > 2 * per_minute(CALM, now)


def test_the_minute_still_running_and_old_ones_are_left_out() -> None:
    now = START + 360 * MINUTE
    wild = Candle(now, 5000.0, 9000.0, 1000.0, 5000.0)
    old = Candle(now - timedelta(hours=7), 5000.0, 9000.0, 1000.0, 5000.0)

    assert per_minute([old, *CALM, wild], now) == per_minute(CALM, now)


def test_a_gap_is_spread_over_the_minutes_missed() -> None:
    first, later = Candle(START, 100, 101, 99, 100), Candle(START + 10 * MINUTE, 110, 111, 109, 110)

    assert close_to_close(later, first) == pytest.approx(log(1.1) ** 2 / 10)


def test_too_few_minutes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 30"):
        per_minute(CALM[:20], START + 20 * MINUTE)


def test_prices_that_never_moved_are_no_certainty() -> None:
    flat = [Candle(START + minute * MINUTE, 5000.0, 5000.0, 5000.0, 5000.0) for minute in range(360)]

    assert Decimal(0) < chance(rule("5000.50"), flat) < Decimal("0.5")


@given(st.floats(-12, 12), st.floats(0.001, 3))
def test_the_tails_are_fat_and_even(deviations: float, step: float) -> None:
    assert student4(deviations) + student4(-deviations) == pytest.approx(1)
    assert student4(deviations) <= student4(deviations + step)
    assert student4(-4) > 0.0015 > 0.00003


@given(st.integers(4000, 6000), st.integers(1, 500))
def test_a_higher_strike_is_never_likelier_and_ranges_add_up(low: int, width: int) -> None:
    above, further = chance(rule(str(low))), chance(rule(str(low + width)))

    assert further <= above
    assert chance(rule(str(low), str(low + width))) == pytest.approx(above - further, abs=Decimal("0.0002"))


def test_a_strike_at_the_price_is_even_and_time_widens_it() -> None:
    spot = CALM[-1].close
    near, far = f"{spot:.2f}", f"{spot * 1.01:.2f}"

    assert chance(rule(near)) == pytest.approx(Decimal("0.5"), abs=Decimal("0.01"))
    assert chance(rule(far, minutes=5)) < chance(rule(far, minutes=60)) < chance(rule(far, minutes=170))


def test_an_average_moves_less_than_the_price_at_the_end() -> None:
    far = f"{CALM[-1].close * 1.0015:.2f}"

    assert chance(rule(far, minutes=2)) < chance(rule(far, minutes=2, averaged=False))


def test_an_old_last_minute_lowers_the_certainty() -> None:
    found = rule("5000")
    fresh = estimate_price_above(found, CALM, START + 360 * MINUTE)
    stale = estimate_price_above(found, CALM, START + 365 * MINUTE)

    assert fresh.certainty == 1
    assert stale.certainty == Decimal("0.5000")


def test_a_price_below_nothing_is_impossible() -> None:
    assert chance_below(100.0, -1.0, 0.1) == 0


def test_bars_are_read_at_their_middle() -> None:
    bid = Ohlc(open=Decimal(9), high=Decimal(11), low=Decimal(7), close=Decimal(10))
    ask = Ohlc(open=Decimal(11), high=Decimal(13), low=Decimal(9), close=Decimal(12))

    candles = candles_of([Bar(market="BTC-USD", start=START, period_s=60, bid=bid, ask=ask, volume=1)])

    assert candles == (Candle(START, 10.0, 12.0, 8.0, 11.0),)


def test_a_rule_about_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="price at a moment"):
        estimate_price_above(replace(rule("1"), kind=RuleKind.GAME), CALM, START)
