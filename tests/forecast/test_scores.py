"""Scores: known values, and the identity of the Brier score's parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.scores import brier, calibration_error, log_loss, murphy, reliability_curve

pairs = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=1, max_size=60)


def test_the_scores_of_a_known_table() -> None:
    chances, outcomes = [0.9, 0.6, 0.2, 0.5], [1.0, 0.0, 0.0, 1.0]

    assert brier(chances, outcomes) == pytest.approx((0.01 + 0.36 + 0.04 + 0.25) / 4)
    assert log_loss(chances, outcomes) == pytest.approx(0.484485, abs=1e-6)


def test_a_certainty_that_fails_costs_a_finite_log_loss() -> None:
    assert log_loss([0.0], [1.0]) == pytest.approx(4.60517, abs=1e-5)


@given(pairs)
def test_reliability_minus_resolution_plus_uncertainty_is_the_score_of_the_binned_forecast(
    found: list[tuple[float, float]],
) -> None:
    chances, outcomes = [chance for chance, _ in found], [outcome for _, outcome in found]
    curve = reliability_curve(chances, outcomes)

    parts = murphy(chances, outcomes)

    binned = sum(
        one.observed * one.count * (one.forecast - 1) ** 2 + (1 - one.observed) * one.count * one.forecast**2
        for one in curve
    )
    assert parts.brier == pytest.approx(binned / len(found), abs=1e-9)
    assert sum(one.count for one in curve) == len(found)
    assert 0 <= calibration_error(chances, outcomes) <= 1


@given(pairs)
def test_equal_forecasts_share_a_bin_and_bins_rise(found: list[tuple[float, float]]) -> None:
    curve = reliability_curve([round(chance, 1) for chance, _ in found], [outcome for _, outcome in found])

    assert [one.forecast for one in curve] == sorted({one.forecast for one in curve})


def test_a_calibrated_forecaster_has_no_reliability_loss() -> None:
    chances, outcomes = [0.5, 0.5, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]

    assert murphy(chances, outcomes).reliability == pytest.approx(0)
    assert calibration_error(chances, outcomes) == pytest.approx(0)


def test_no_forecasts_or_unequal_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        brier([], [])
    with pytest.raises(ValueError, match="as many"):
        log_loss([0.5], [])
