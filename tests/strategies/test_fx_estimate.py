"""The estimate: odds of a driftless walk, the tilt and its cap, the spread, confidence, ETA."""

import random
from dataclasses import replace
from decimal import Decimal
from math import sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.vocabulary import Side
from strategies.fx.estimate import Distances, confidence, estimate, eta_hours, tilt
from strategies.fx.params import FxParams
from strategies.fx.reading import Reading
from strategies.fx.setups import Setup
from strategies.fx.walk import driftless

PARAMS = FxParams()
UP = Setup(sub_strategy="breakout", side=Side.BUY, triggered=True, clarity=0.5)
STRONG = Reading(
    high=1.3812,
    low=1.3800,
    close=1.3810,
    upper=1.3805,
    lower=1.3780,
    fast=1.3802,
    slow=1.3796,
    atr=0.0006,
    usual_atr=0.0005,
    rsi=66.0,
    rsi_before=58.0,
    adx=32.0,
    drift=0.6,
    warmth=1.0,
)
fraction = st.floats(0, 1)


def distances(*, spread: float = 0.0001, stop: float = 0.0012, target: float = 0.0018, trailing: float | None = None):
    return Distances(
        exit_to_stop=stop - spread,
        exit_to_target=target + spread,
        entry_to_stop=stop,
        trailing=trailing,
        entry=1.381,
        spread=spread,
    )


@pytest.mark.parametrize(
    ("stop", "target", "trailing"),
    [(20, 30, None), (20, 30, 15), (20, 30, 20), (20, 30, 35), (20, 30, 80), (10, 40, 25)],
)
def test_the_odds_are_those_of_a_simulated_driftless_walk(stop: int, target: int, trailing: int | None) -> None:
    odds = driftless(stop, target, trailing)
    generator = random.Random(7)
    results = [coin_walk(generator, stop, target, trailing) for _ in range(3000)]
    lost = [-result for result in results if result != target]

    # Three standard errors; steps of one instead of a continuous walk move a trailing stop by up to a step.
    assert odds.probability == pytest.approx(1 - len(lost) / len(results), abs=0.045)
    assert odds.loss == pytest.approx(sum(lost) / len(lost), abs=1.5)


def coin_walk(generator: random.Random, stop: int, target: int, trailing: int | None) -> int:
    place = best = 0
    while place < target:
        place += 1 if generator.random() < 0.5 else -1
        best = max(best, place)
        if place <= -stop or (trailing is not None and place <= best - trailing):
            return place
    return target


@given(stop=st.floats(1e-5, 1), target=st.floats(1e-5, 1), trailing=st.none() | st.floats(1e-4, 2))
def test_a_driftless_walk_earns_nothing(stop: float, target: float, trailing: float | None) -> None:
    odds = driftless(stop, target, trailing)
    assume(odds.probability < 0.999999)

    assert 0 <= odds.probability < 1
    assert 0 <= odds.loss <= stop * (1 + 1e-6)
    assert odds.probability * target - (1 - odds.probability) * odds.loss == pytest.approx(0, abs=1e-9)


@given(stop=st.floats(0.001, 1), target=st.floats(0.001, 1), trailing=st.floats(0.001, 1))
def test_a_trailing_stop_lowers_the_odds_of_the_target(stop: float, target: float, trailing: float) -> None:
    assert driftless(stop, target, trailing).probability <= driftless(stop, target, None).probability + 1e-12


def test_without_a_tilt_the_edge_is_minus_the_spread() -> None:
    for trailing in (None, 0.0009):
        found = estimate(STRONG, replace(UP, triggered=False), distances(trailing=trailing), PARAMS)

        assert found.gross_edge_bp == 0
        assert found.edge_bp == -found.cost_bp == -Decimal(str(0.0001 / 1.381 * 10_000)).quantize(Decimal("0.0001"))


def test_the_gross_edge_is_what_the_odds_make_of_the_bracket() -> None:
    far = distances()
    found = estimate(STRONG, UP, far, PARAMS)
    p = far.exit_to_stop / (far.exit_to_stop + far.exit_to_target) + tilt(STRONG, UP, PARAMS)
    gross = (p * far.exit_to_target - (1 - p) * far.exit_to_stop) / far.entry * 10_000

    assert float(found.probability) == pytest.approx(p, abs=1e-4)
    assert float(found.gross_edge_bp) == pytest.approx(gross, abs=1e-4)


@given(spread=st.floats(0, 0.0005), wider=st.floats(1e-5, 0.0005), trailing=st.none() | st.floats(0.0004, 0.002))
def test_the_edge_falls_as_the_spread_grows(spread: float, wider: float, trailing: float | None) -> None:
    narrow, wide = (
        estimate(STRONG, UP, distances(spread=s, trailing=trailing), PARAMS) for s in (spread, spread + wider)
    )

    assert wide.edge_bp < narrow.edge_bp
    assert wide.probability <= narrow.probability
    assert wide.confidence <= narrow.confidence


def test_a_commission_is_paid_on_top_of_the_spread() -> None:
    free, dear = (estimate(STRONG, UP, distances(), replace(PARAMS, commission_bp=bp)) for bp in (0.0, 0.4))

    assert dear.edge_bp == free.edge_bp - Decimal("0.4")


@given(drift=st.floats(-1, 1), adx=st.floats(0, 100), clarity=fraction, cap=st.floats(0, 0.25))
def test_the_tilt_never_passes_its_cap(drift: float, adx: float, clarity: float, cap: float) -> None:
    reading, setup = replace(STRONG, drift=drift, adx=adx), replace(UP, clarity=clarity)

    assert 0 <= tilt(reading, setup, replace(PARAMS, max_tilt=cap)) <= cap


@given(weak=fraction, strong=fraction)
def test_more_strength_never_tilts_less(weak: float, strong: float) -> None:
    weak, strong = sorted((weak, strong))

    assert tilt(replace(STRONG, drift=weak), UP, PARAMS) <= tilt(replace(STRONG, drift=strong), UP, PARAMS)
    assert tilt(replace(STRONG, adx=weak * 60), UP, PARAMS) <= tilt(replace(STRONG, adx=strong * 60), UP, PARAMS)
    assert tilt(STRONG, replace(UP, clarity=weak), PARAMS) <= tilt(STRONG, replace(UP, clarity=strong), PARAMS)


def test_a_move_against_the_setup_adds_nothing() -> None:
    assert tilt(replace(STRONG, drift=-0.9), UP, PARAMS) == tilt(replace(STRONG, drift=0.0), UP, PARAMS)


@given(
    rsi=st.floats(0, 100), adx=st.floats(0, 100), ratio=st.floats(0.01, 20), warmth=fraction, spread=st.floats(0, 0.01)
)
def test_confidence_stays_within_its_bounds(rsi: float, adx: float, ratio: float, warmth: float, spread: float) -> None:
    reading = replace(STRONG, rsi=rsi, adx=adx, usual_atr=STRONG.atr / ratio, warmth=warmth)

    assert 0 <= confidence(reading, UP, spread, PARAMS) <= 1


@pytest.mark.parametrize(
    "worse",
    [
        {"warmth": 0.5},
        {"rsi": 40.0},
        {"adx": 12.0},
        {"slow": 1.38015},
        {"usual_atr": 0.0025},
        {"usual_atr": 0.00016},
    ],
)
def test_confidence_falls_when_something_disagrees(worse: dict[str, float]) -> None:
    assert confidence(replace(STRONG, **worse), UP, 0.0001, PARAMS) < confidence(STRONG, UP, 0.0001, PARAMS)


def test_a_sell_is_judged_as_the_mirror_of_a_buy() -> None:
    mirrored = replace(STRONG, fast=STRONG.slow, slow=STRONG.fast, rsi=34.0, rsi_before=42.0, drift=-0.6)
    down = replace(UP, side=Side.SELL)

    assert tilt(mirrored, down, PARAMS) == pytest.approx(tilt(STRONG, UP, PARAMS))
    assert confidence(mirrored, down, 0.0001, PARAMS) == pytest.approx(confidence(STRONG, UP, 0.0001, PARAMS))


@pytest.mark.parametrize(("period_s", "bars_an_hour"), [(60, 60), (900, 4), (3600, 1), (14_400, 0.25)])
def test_the_eta_is_the_distance_to_the_stop_in_hourly_atrs(period_s: int, bars_an_hour: float) -> None:
    assert eta_hours(0.0012, 0.0006, period_s) == pytest.approx(2 / sqrt(bars_an_hour))


@given(stop=st.floats(0.0002, 0.5), atr=st.floats(1e-6, 0.5))
def test_the_eta_is_positive_with_four_places(stop: float, atr: float) -> None:
    found = estimate(replace(STRONG, atr=atr, usual_atr=atr), UP, distances(stop=stop), PARAMS).eta_hours

    assert found > 0
    assert found.as_tuple().exponent == -4
