"""The forecast benchmarks: without the recorded data they say so, and their walks never look ahead."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench._research import Opinion
from bench.forecasts import Rated, interval, trimmed_fifth, walked_blend, walked_weights
from bench.weather import brackets, normal, score
from forecast.blending import TIGHT_SPREAD

ROOT = Path(__file__).parents[2]
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ["forecasts", "weather"])
def test_a_missing_folder_is_said_plainly_and_is_no_failure(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}"], cwd=ROOT, env=os.environ | {"TBOT_RESEARCH_DATA": str(tmp_path)},
        capture_output=True, check=False, encoding="utf-8", timeout=60,
    )  # fmt: skip

    assert done.returncode == 0
    assert "not present" in done.stdout


def rated(outcomes: list[bool]) -> list[Rated]:
    return [
        (0.2 + 0.6 * outcome, 0.5, float(outcome), START + timedelta(days=day), START + timedelta(days=day + 1))
        for day, outcome in enumerate(outcomes)
    ]


@given(st.lists(st.booleans(), min_size=20, max_size=20), st.lists(st.booleans(), min_size=20, max_size=20))
def test_a_blend_of_the_past_is_the_same_whatever_comes_after(past: list[bool], future: list[bool]) -> None:
    one = walked_blend(rated(past + future), TIGHT_SPREAD)
    other = walked_blend(rated(past + [not outcome for outcome in future]), TIGHT_SPREAD)

    assert one[:20] == other[:20]


def opinions(outcomes: list[bool]) -> dict[str, list[Opinion]]:
    return {
        f"q{day:02}": [
            Opinion(
                target=f"q{day:02}", forecaster=f"m{number}", chance=0.1 + 0.2 * number, outcome=float(outcome),
                market=None, asked="2026-01-01", resolved=f"2026-01-{day + 1:02}", source="",
            )
            for number in range(4)
        ]
        for day, outcome in enumerate(outcomes)
    }  # fmt: skip


def test_weights_of_the_past_are_the_same_whatever_comes_after() -> None:
    past = [True] * 10

    assert (
        walked_weights(opinions(past + [True] * 10))[:11] == walked_weights(opinions(past + [True] + [False] * 9))[:11]
    )


def test_a_good_forecaster_gains_weight_as_the_walk_goes_on() -> None:
    scores = walked_weights(opinions([True] * 20))

    assert scores[-1] < scores[0]


def test_a_set_of_brackets_takes_every_degree_once() -> None:
    wanted = brackets(60.4)

    assert len(wanted) == 6
    assert sum(normal(60.4, 3.0)(low, high) for low, high in wanted) == pytest.approx(1)
    assert score(lambda low, high: float(low == 60), wanted, 61) == 0


def test_the_trimmed_mean_and_the_interval_are_what_they_say() -> None:
    assert trimmed_fifth([0.0, 0.2, 0.3, 0.4, 1.0]) == pytest.approx(0.3)
    assert interval([0.001] * 5) == "[+1.0, +1.0]"
