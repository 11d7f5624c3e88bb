"""What is learnt from outcomes: weights, corrections, the price's weight; and that none of it sees the future."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.blending import MarketWeight, blend, blend_chances, confidence, default_weight
from forecast.calibration import SLOPES, UNCHANGED, Isotonic, Platt, fit_line, pool_neighbours
from forecast.pooling import chance_of, log_odds
from forecast.scores import brier
from forecast.weights import CAP, Weights

START = datetime(2026, 1, 1, tzinfo=UTC)
TIGHT, WIDE = Decimal("0.02"), Decimal("0.10")


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def drawn(count: int, seed: int, distort: Callable[[float], float] = lambda odds: odds) -> list[tuple[float, float]]:
    """Return stated chances and outcomes of a forecaster who states ``distort`` of the true log odds."""
    generator, found = random.Random(seed), []
    for _ in range(count):
        odds = generator.gauss(0, 1.5)
        found.append((chance_of(distort(odds)), float(generator.random() < chance_of(odds))))
    return found


# ------------------------------------------------------------------------------------------------------------ weights


def test_a_new_model_scores_as_a_coin_and_all_weigh_the_same() -> None:
    weights = Weights()

    assert weights.score("any") == 0.25
    assert weights.weights(["a", "b"], START) == {"a": 1.0, "b": 1.0}


def test_the_score_is_shrunk_by_five_coins() -> None:
    weights = Weights()
    weights.learn(START, "a", 0.9, 1.0)

    assert weights.score("a") == pytest.approx((0.01 + 5 * 0.25) / 6)


def test_the_better_model_weighs_more_and_no_more_than_twice_the_mean() -> None:
    weights = Weights()
    for hour in range(200):
        weights.learn(at(hour), "sharp", 0.99, 1.0)
        for blunt in "bcde":
            weights.learn(at(hour), blunt, 0.4, 1.0)

    found = weights.weights(["sharp", *"bcde"], at(200))

    assert found["sharp"] == CAP
    assert all(1 / CAP <= found[blunt] < 1 for blunt in "bcde")


# -------------------------------------------------------------------------------------------------------- calibration


def test_nothing_is_corrected_before_fifty_outcomes() -> None:
    platt, isotonic = Platt(), Isotonic()
    for hour, (chance, outcome) in enumerate(drawn(49, 1, lambda odds: 3 * odds)):
        platt.learn(at(hour), chance, outcome)
        isotonic.learn(at(hour), chance, outcome)

    assert platt.line(at(49)) == UNCHANGED
    assert isotonic.apply(0.37, at(49)) == 0.37


@pytest.mark.parametrize(("stated", "slope"), [(0.8, 1.25), (1.25, 0.8), (4.0, SLOPES[0]), (0.2, SLOPES[1])])
def test_platt_finds_how_far_a_forecaster_over_or_understates(stated: float, slope: float) -> None:
    platt = Platt()
    for hour, (chance, outcome) in enumerate(drawn(500, 2, lambda odds: stated * odds)):
        platt.learn(at(hour), chance, outcome)

    assert platt.line(at(500)).slope == pytest.approx(slope, abs=0.2)
    assert SLOPES[0] <= platt.line(at(500)).slope <= SLOPES[1]


def test_platt_of_a_good_forecaster_hardly_changes_anything() -> None:
    line = fit_line([(log_odds(chance), outcome) for chance, outcome in drawn(400, 3)])

    assert line.slope == pytest.approx(1, abs=0.15)
    assert line.shift == pytest.approx(0, abs=0.2)


def test_a_correction_helps_on_outcomes_it_has_not_seen() -> None:
    found = drawn(1000, 4, lambda odds: 0.6 * odds - 0.7)
    platt, isotonic = Platt(), Isotonic()
    for hour, (chance, outcome) in enumerate(found[:500]):
        platt.learn(at(hour), chance, outcome)
        isotonic.learn(at(hour), chance, outcome)
    unseen, outcomes = [chance for chance, _ in found[500:]], [outcome for _, outcome in found[500:]]

    plain = brier(unseen, outcomes)

    assert brier([platt.apply(chance, at(500)) for chance in unseen], outcomes) < plain - 0.005
    assert brier([isotonic.apply(chance, at(500)) for chance in unseen], outcomes) < plain - 0.005


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.sampled_from([0.0, 1.0])), min_size=1, max_size=80))
def test_isotonic_steps_never_fall_and_keep_the_mean(found: list[tuple[float, float]]) -> None:
    places, heights = pool_neighbours(sorted(found))

    assert places == sorted(places)
    assert heights == sorted(heights)
    assert min(heights) >= 0
    assert max(heights) <= 1


# ------------------------------------------------------------------------------------------------------ market weight


def test_the_price_counts_by_default_and_more_where_the_spread_is_tight() -> None:
    weight = MarketWeight()

    assert weight.weight(TIGHT, START) == default_weight(Decimal("0.04")) == 0.67
    assert weight.weight(WIDE, START) == 0.5


def test_one_outcome_neither_silences_a_model_nor_crowns_it() -> None:
    lost, won = MarketWeight(), MarketWeight()
    lost.learn(START, 0.9, 0.5, 0.0)
    won.learn(START, 0.9, 0.5, 1.0)

    assert 0.67 < lost.weight(TIGHT, at(1)) < 0.95
    assert won.weight(TIGHT, at(1)) == 0.67


def test_a_model_that_knows_nothing_loses_its_say() -> None:
    weight, generator = MarketWeight(), random.Random(5)
    for hour, (chance, outcome) in enumerate(drawn(200, 5)):
        weight.learn(at(hour), generator.random(), chance, outcome)

    assert weight.weight(TIGHT, at(200)) >= 0.9


def test_a_model_that_knows_better_is_heard_once_it_has_proven_it() -> None:
    weight, generator = MarketWeight(), random.Random(6)
    found = drawn(300, 6)
    for hour, (chance, outcome) in enumerate(found[:149]):
        weight.learn(at(hour), chance, chance_of(log_odds(chance) + generator.gauss(0, 2)), outcome)
    before = weight.weight(TIGHT, at(149))
    for hour, (chance, outcome) in enumerate(found[149:], start=149):
        weight.learn(at(hour), chance, chance_of(log_odds(chance) + generator.gauss(0, 2)), outcome)

    assert before == 0.67
    assert weight.weight(TIGHT, at(300)) < 0.5


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0, 1))
def test_a_blend_lies_between_the_two(model: float, market: float, weight: float) -> None:
    mixed = blend_chances(model, market, weight)

    assert min(model, market) - 1e-9 <= mixed <= max(model, market) + 1e-9
    assert blend_chances(model, market, 1.0) == pytest.approx(market)
    assert blend_chances(model, market, 0.0) == pytest.approx(model)


def test_a_blend_at_the_edge_is_decimal_and_a_wrong_weight_is_refused() -> None:
    assert blend(Decimal("0.6"), Decimal("0.4"), 0.5).probability == Decimal("0.5000")
    with pytest.raises(ValueError, match="market weight"):
        blend(Decimal("0.6"), Decimal("0.4"), 1.5)


def test_confidence_falls_with_disagreement_spread_and_a_small_panel() -> None:
    def told(disagreement: str = "0", models: int = 4, spread: str = "0", certainty: str = "1") -> Decimal:
        return confidence(
            disagreement=Decimal(disagreement), models=models, spread=Decimal(spread), certainty=Decimal(certainty)
        )

    assert told() == told(models=0) == 1
    assert told("1.3") == Decimal("0.5000")
    assert told(spread="0.2") == told(spread="0.9") == Decimal("0.5000")
    assert told(models=1) == Decimal("0.5000")
    assert told(certainty="0.25") == Decimal("0.2500")
    assert told("0.5") > told("0.6") > told("0.6", models=3) > told("0.6", models=3, spread="0.05")


# --------------------------------------------------------------------------------------------------------- the future


def learn_all(fold: Any, found: list[tuple[datetime, float, float]]) -> None:
    for moment, chance, outcome in found:
        match fold:
            case Weights():
                fold.learn(moment, "a", chance, outcome)
            case MarketWeight():
                fold.learn(moment, chance, 0.5, outcome)
            case _:
                fold.learn(moment, chance, outcome)


def told_by(fold: Any, moment: datetime) -> object:
    match fold:
        case Weights():
            return fold.weights(["a", "b"], moment)
        case MarketWeight():
            return fold.weight(TIGHT, moment)
        case _:
            return [fold.apply(chance / 20, moment) for chance in range(1, 20)]


FOLDS = (Weights, Platt, Isotonic, MarketWeight)


@pytest.mark.parametrize("make", FOLDS)
@given(seed=st.integers(0, 1000))
def test_whatever_the_future_holds_the_answers_of_the_past_are_the_same(make: Callable[[], Any], seed: int) -> None:
    """Walk two histories that share their first half; what is told on the way is the same up to there."""
    generator = random.Random(seed)
    past = [(at(hour), *pair) for hour, pair in enumerate(drawn(70, seed))]
    future = [(at(70 + hour), *pair) for hour, pair in enumerate(drawn(20, seed + 1))]
    shuffled = [(moment, chance, 1.0 - outcome) for (moment, _, outcome), (_, chance, _) in zip(
        future, generator.sample(future, len(future)), strict=True)]  # fmt: skip

    def walk(history: list[tuple[datetime, float, float]]) -> list[object]:
        fold, told = make(), []
        for one in history:
            told.append(told_by(fold, one[0]) if one[0].hour % 10 == 0 else None)
            learn_all(fold, [one])
        return told

    assert walk(past + future)[:71] == walk(past + shuffled)[:71]


@pytest.mark.parametrize("make", FOLDS)
def test_a_question_from_before_what_is_learnt_is_refused(make: Callable[[], Any]) -> None:
    fold = make()
    learn_all(fold, [(at(2), 0.4, 1.0)])

    with pytest.raises(ValueError, match="already learnt"):
        told_by(fold, at(1))
    with pytest.raises(ValueError, match="order"):
        learn_all(fold, [(at(1), 0.4, 1.0)])


@pytest.mark.parametrize("make", FOLDS)
def test_a_fold_rebuilt_from_the_same_outcomes_tells_the_same(make: Callable[[], Any]) -> None:
    history = [(at(hour), *pair) for hour, pair in enumerate(drawn(160, 9))]
    one, other = make(), make()
    learn_all(one, history)
    for record in history:
        learn_all(other, [record])
        told_by(other, at(400))

    assert told_by(one, at(400)) == told_by(other, at(400))
