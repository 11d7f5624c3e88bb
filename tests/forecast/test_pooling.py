"""Pooling: bounds, symmetry, medians of the few, trimmed means of the many."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.candidate import Vote
from forecast.pooling import chance_of, clip, log_odds, pool, spread, trimmed_mean

chances = st.lists(st.integers(0, 100).map(lambda cents: Decimal(cents) / 100), min_size=1, max_size=9)


def votes(found: list[Decimal], weights: list[int] | None = None) -> list[Vote]:
    return [
        Vote(model=f"m{number}", probability=chance, weight=Decimal(weight), cost_usd=Decimal(0))
        for number, (chance, weight) in enumerate(zip(found, weights or [1] * len(found), strict=True))
    ]


@given(chances)
def test_a_pool_lies_between_the_lowest_and_the_highest_vote(found: list[Decimal]) -> None:
    pooled = pool(votes(found)).probability

    assert clip(float(min(found))) - 1e-9 <= pooled <= clip(float(max(found))) + 1e-9


@given(chances)
def test_the_opposite_question_gives_the_opposite_pool(found: list[Decimal]) -> None:
    assert pool(votes(found)).probability == pytest.approx(1 - pool(votes([1 - one for one in found])).probability)


@given(chances, st.randoms())
def test_the_order_of_the_votes_does_not_matter(found: list[Decimal], generator: object) -> None:
    shuffled = votes(found)
    generator.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hands out a random.Random

    assert pool(shuffled).probability == pytest.approx(pool(votes(found)).probability)
    assert pool(shuffled).disagreement == pytest.approx(pool(votes(found)).disagreement)


def test_up_to_three_votes_give_their_median() -> None:
    assert pool(votes([Decimal("0.2"), Decimal("0.3"), Decimal("0.99")])).probability == pytest.approx(0.3)


def test_one_vote_agrees_with_itself() -> None:
    pooled = pool(votes([Decimal("0.4")]))

    assert (pooled.probability, pooled.disagreement, pooled.models) == (pytest.approx(0.4), 0.0, 1)


def test_disagreement_is_the_sample_deviation_of_the_log_odds() -> None:
    assert pool(votes([Decimal("0.5"), Decimal("0.73105857863")])).disagreement == pytest.approx(1 / 2**0.5)
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(1.0)


def test_a_heavier_model_pulls_a_larger_panel_to_itself() -> None:
    found = [Decimal("0.8"), Decimal("0.3"), Decimal("0.3"), Decimal("0.3")]

    equal, heavier = pool(votes(found)), pool(votes(found), {"m0": 2.0})

    assert heavier.probability > equal.probability
    assert dict(heavier.weights)["m0"] == pytest.approx(0.4)
    assert pool(votes(found, [2, 1, 1, 1])).probability == pytest.approx(heavier.probability)


def test_one_wild_vote_of_ten_is_left_out() -> None:
    wild = pool(votes([Decimal("0.3")] * 9 + [Decimal("0.99")]))

    assert wild.probability == pytest.approx(0.3)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8))
def test_no_trim_is_the_plain_mean(values: list[float]) -> None:
    assert trimmed_mean(values, [1.0] * len(values), 0.0) == pytest.approx(sum(values) / len(values), abs=1e-9)


@given(st.floats(0.01, 0.99))
def test_log_odds_and_back_is_the_same_chance(chance: float) -> None:
    assert chance_of(log_odds(chance)) == pytest.approx(chance)


def test_no_votes_and_no_weight_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one vote"):
        pool([])
    with pytest.raises(ValueError, match="weights"):
        pool(votes([Decimal("0.5")], [0]))
    with pytest.raises(ValueError, match="trim"):
        trimmed_mean([1.0], [1.0], 0.5)
