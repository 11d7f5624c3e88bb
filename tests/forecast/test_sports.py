"""Odds without their margin, and the file they come from."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contract import RuleKind, SettlementRule
from domain.errors import Misconfigured, Refuse, Retry
from forecast.sports import JsonOdds, estimate_game, from_american, from_decimal, multiplicative, power, shin

NOW = datetime(2025, 6, 19, 20, tzinfo=UTC)
EVENT = "KXNBAGAME-25JUN19OKCIND"
books = st.lists(st.floats(1.05, 15), min_size=2, max_size=4)


def game(side: str = "Oklahoma City") -> SettlementRule:
    return SettlementRule(
        kind=RuleKind.GAME, source="NBA", station="", location="Oklahoma City at Indiana", subject=f"{side} wins",
        low=None, high=None, unit="", resolution=None, observed_on=date(2025, 6, 19), begins_at=None,
        ends_at=NOW + timedelta(hours=8), rounding="", revision="", void="",
    )  # fmt: skip


def entry(**changes: Any) -> dict[str, Any]:
    own = {"game": EVENT, "book": "A", "at": "2025-06-19T19:00:00Z", "sides": {"Oklahoma City": 1.6, "Indiana": 2.5}}
    return own | changes


@pytest.fixture
def source(tmp_path: Path) -> Any:
    def make(*entries: Any) -> JsonOdds:
        path = tmp_path / "odds.json"
        path.write_text(json.dumps({"games": list(entries)}))
        return JsonOdds(path)

    return make


@given(books)
def test_every_way_of_taking_the_margin_leaves_chances_that_sum_to_one_in_the_same_order(odds: list[float]) -> None:
    for devig in (multiplicative, power, shin):
        chances = devig(odds)

        assert sum(chances) == pytest.approx(1)
        assert all(0 < chance < 1 for chance in chances)
        ordered = sorted(zip(odds, chances, strict=True))
        assert all(a[1] >= b[1] - 1e-9 for a, b in pairwise(ordered))


def test_the_margin_falls_on_outsiders_with_power_and_shin() -> None:
    odds = [1.2, 4.5]

    assert multiplicative(odds)[1] > power(odds)[1]
    assert multiplicative(odds)[1] > shin(odds)[1]


def test_odds_without_a_margin_stay_as_they_are() -> None:
    for devig in (multiplicative, power, shin):
        assert devig([1.25, 5.0]) == pytest.approx([0.8, 0.2])


def test_shin_agrees_with_its_closed_form_for_two_sides() -> None:
    """With two sides Shin's chance is the implied one less half the margin."""
    implied = [1 / 1.5, 1 / 2.6]
    margin = sum(implied) - 1

    assert shin([1.5, 2.6]) == pytest.approx([one - margin / 2 for one in implied])


@pytest.mark.parametrize(("american", "decimal"), [(150, 2.5), (-150, 1.6666667), (100, 2.0), (-100, 2.0)])
def test_american_odds_are_decimal_ones(american: float, decimal: float) -> None:
    assert from_american(american) == pytest.approx(decimal)


def test_numbers_that_are_no_odds_are_refused() -> None:
    with pytest.raises(ValueError, match="100"):
        from_american(50)
    with pytest.raises(ValueError, match="decimal"):
        from_decimal(0.9)


def test_a_game_is_the_mean_over_fresh_books(source: Any) -> None:
    american = entry(book="B", format="american", sides={"Oklahoma City": -160, "Indiana": 140})
    stale = entry(book="C", at="2025-06-19T10:00:00Z", sides={"Oklahoma City": 9.0, "Indiana": 1.05})
    other = entry(game="KXNBAGAME-25JUN20")

    found = estimate_game(game(), EVENT, source(entry(), american, stale, other), NOW)
    against = estimate_game(game("Indiana"), EVENT, source(entry(), american, stale, other), NOW)

    assert Decimal("0.58") < found.probability < Decimal("0.63")
    assert found.probability + against.probability == pytest.approx(1, abs=Decimal("0.0002"))
    assert dict(found.facts)["books"] == "A, B"
    assert found.certainty == Decimal(2) / 3


def test_no_fresh_odds_or_no_file_is_asked_again_later(source: Any, tmp_path: Path) -> None:
    with pytest.raises(Retry, match="odds on"):
        estimate_game(game(), EVENT, source(), NOW)
    with pytest.raises(Retry, match="JSON file"):
        JsonOdds(tmp_path / "none.json").odds(EVENT)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no such file"),
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", 'JSON without a list under "games"'),
        (b'{"games": 5}', 'JSON without a list under "games"'),
    ],
)
def test_a_file_that_is_missing_or_garbage_is_told_at_the_start_and_asked_again_later(
    content: bytes | None, found: str, tmp_path: Path
) -> None:
    path = tmp_path / "odds.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(Misconfigured) as start:
        JsonOdds(path).check()
    with pytest.raises(Retry) as later:
        JsonOdds(path).odds(EVENT)

    assert start.value.found == later.value.found == found
    assert str(path) in start.value.expected


def test_a_folder_is_no_odds_file_and_a_list_of_games_is_one(source: Any, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="Is a directory"):
        JsonOdds(tmp_path).check()
    source().check()


@pytest.mark.parametrize(
    "changes",
    [
        {"sides": {"Denver": 1.6, "Indiana": 2.5}},
        {"sides": {"Oklahoma City": 1.6}},
        {"sides": {"Oklahoma City": 1.01, "Indiana": 1.02}},
        {"sides": {"Oklahoma City": 0.5, "Indiana": 2.5}},
        {"at": "yesterday"},
        {"format": "fractional"},
    ],
)
def test_odds_that_make_no_sense_are_refused(source: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(Refuse):
        estimate_game(game(), EVENT, source(entry(**changes)), NOW)


def test_a_rule_about_something_else_is_refused(source: Any) -> None:
    with pytest.raises(ValueError, match="about a game"):
        estimate_game(replace(game(), kind=RuleKind.STATEMENT), EVENT, source(), NOW)
