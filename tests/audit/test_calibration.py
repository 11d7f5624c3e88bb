"""Calibration: estimates held against the ends of their contracts, nothing joined that does not belong together."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from event_journals import CLOSE, START, EventJournals, missing, vote

from audit.calibration import calibrations
from audit.calibration_pages import calibration_text
from domain.vocabulary import Mode, Surface

D = Decimal
FOUR = [
    # market, event, price, model, blended, what YES paid
    ("A", "E1", "0.50", "0.80", "0.60", "1"),
    ("B", "E1", "0.40", "0.20", "0.30", "0"),
    ("C", "E2", "0.70", "0.90", "0.80", "1"),
    ("D", "E2", "0.20", "0.50", "0.40", "0"),
]


@pytest.fixture
def told(tmp_path):
    """Open the journals of lt in paper mode."""
    with EventJournals(tmp_path) as journals:
        yield journals


def only(told, moment=None):
    """Return the calibration of the one surface and mode there is."""
    [found] = calibrations(told.logs, moment)
    [mode] = found.as_dict()["modes"]
    return mode


def write_four(told):
    for market, event, price, model, blended, _ in FOUR:
        told.estimate(market, event=event, price=price, model=model, blended=blended)
    for market, *_, value in FOUR:
        told.end(market, value)


def test_scores_of_market_model_and_blend_are_those_worked_out_by_hand(told):
    write_four(told)

    [table] = only(told)["newest"]

    assert (table["method"], table["n"], table["events"], table["yes"]) == ("panel", 4, 2, 2)
    assert [table["scores"][view]["brier"] for view in ("market", "model", "blended")] == [0.135, 0.085, 0.1125]
    blended = table["scores"]["blended"]
    assert blended["log_loss"] == 0.400367
    assert (blended["reliability"], blended["resolution"], blended["uncertainty"]) == (0.000625, 0.0, 0.25)
    assert blended["calibration_error"] == 0.025
    assert blended["curve"] == [{"n": 4, "forecast": 0.525, "came_yes": 0.5}]


def test_contracts_of_one_event_count_as_one_in_the_standard_error(told):
    write_four(told)

    [table] = only(told)["newest"]

    assert table["blended_less_market"] == {"brier": -0.0225, "standard_error": 0.0575}


def test_a_difference_within_few_events_is_called_luck_and_one_over_many_is_named(told):
    write_four(told)
    few = calibration_text(calibrations(told.logs, None))
    for number in range(20):
        told.estimate(f"M{number}", price="0.50", model="0.9", blended=f"0.{70 + number}")
        told.end(f"M{number}", "1", closed_at=told.clock.now() + timedelta(hours=1))

    many = calibration_text(calibrations(told.logs, None))

    assert "-0.0225 Brier; 2 events can't tell skill from luck (at least 10 can)" in few
    assert "over 22 events: better than the market" in many


def test_a_curve_has_bins_of_five_forecasts_or_more(told):
    for number in range(10):
        low = number < 5
        told.estimate(f"M{number}", price="0.5", blended="0.1" if low else "0.8")
    for number in range(10):
        told.end(f"M{number}", "1" if number in (0, 5, 6, 7, 8) else "0")

    [table] = only(told)["newest"]

    blended = table["scores"]["blended"]
    assert blended["brier"] == 0.165
    assert (blended["reliability"], blended["resolution"], blended["uncertainty"]) == (0.005, 0.09, 0.25)
    assert blended["calibration_error"] == 0.05
    assert blended["curve"] == [
        {"n": 5, "forecast": 0.1, "came_yes": 0.2},
        {"n": 5, "forecast": 0.8, "came_yes": 0.8},
    ]


def test_the_newest_estimate_before_the_close_counts_and_none_after_it(told):
    told.estimate("A", blended="0.2")
    told.estimate("A", blended="0.7")
    told.clock.advance((CLOSE - told.clock.now()).total_seconds())
    told.estimate("A", blended="0.99")
    told.end("A", "1")

    [table] = only(told)["newest"]

    assert (table["n"], table["scores"]["blended"]["brier"]) == (1, 0.09)
    assert table["lead_hours_median"] == pytest.approx(20, abs=0.01)


def test_each_method_is_judged_by_its_own_newest_estimate_and_all_together_by_the_newest(told):
    told.estimate("A", blended="0.5", method="weather")
    told.estimate("A", blended="0.9", method="panel")
    told.end("A", "1")

    rows = {table["method"]: table["scores"]["blended"]["brier"] for table in only(told)["newest"]}

    assert rows == {"all methods": 0.01, "panel": 0.01, "weather": 0.25}


def test_traded_estimates_are_judged_apart_from_the_newest_ones(told):
    told.trade("A", blended="0.8")
    told.estimate("A", blended="0.3")
    told.estimate("B", refusals=(), blended="0.5")  # admitted, but no order was sent
    told.trade("C", filled=0, blended="0.5")
    for market in "ABC":
        told.end(market, "1")

    found = only(told)

    assert [(table["n"], table["scores"]["blended"]["brier"]) for table in found["traded"]] == [(1, 0.04)]
    assert found["newest"][0]["n"] == 3


def test_a_traded_contract_is_judged_by_its_resolution_while_its_outcome_is_not_written(told):
    decision = told.trade("A", blended="0.8")
    told.resolve(decision, "0")

    found = only(told)

    assert found["newest"] == []
    assert [(table["n"], table["yes"], table["scores"]["blended"]["brier"]) for table in found["traded"]] == [
        (1, 0, 0.64)
    ]
    assert found["contracts"]["awaited"] == 0


def test_a_trade_left_before_its_end_is_judged_by_the_contract_and_not_by_its_exit(told):
    decision = told.trade("A", blended="0.8")
    told.resolve(decision, "0.6", reason="flatten")
    waiting = only(told)
    told.end("A", "0")

    found = only(told)

    assert (waiting["traded"], waiting["contracts"]["awaited"]) == ([], 1)
    assert found["traded"][0]["yes"] == 0


def test_an_outcome_seen_early_is_said_and_not_counted(told):
    decision = told.trade("A")
    told.resolve(decision, "1", provisional=True, resolution_source="nws_observation", outcome="61 degF")

    found, text = only(told), calibration_text(calibrations(told.logs, None))

    assert (found["newest"], found["traded"]) == ([], [])
    assert found["contracts"] == dict.fromkeys(found["contracts"], 0) | {"awaited": 1, "seen_early": 1}
    assert "no contract has ended yet that can be judged" in text
    assert "1 traded and seen early, nothing final: not judged" in text


def test_a_final_word_ends_what_was_seen_early_and_a_dispute_is_counted_and_said(told):
    decision = told.trade("A")
    told.resolve(decision, "1", provisional=True)
    told.resolve(decision, "0", disputed=True)
    resolved = only(told)
    told.end("A", "0")

    found, text = only(told), calibration_text(calibrations(told.logs, None))

    for counts in (resolved["contracts"], found["contracts"]):
        assert (counts["judged"], counts["disputed"], counts["seen_early"]) == (1, 1, 0)
    assert found["traded"][0]["yes"] == 0
    assert "1 judged although disputed" in text


def test_an_outcome_that_was_corrected_counts_as_corrected_and_as_disputed(told):
    told.estimate("A", blended="0.8")
    told.end("A", "0")
    told.end("A", "1")

    found = only(told)

    assert (found["newest"][0]["yes"], found["contracts"]["disputed"]) == (1, 1)


def test_two_ends_that_contradict_each_other_are_said(told):
    decision = told.trade("A")
    told.resolve(decision, "0")
    told.end("A", "1")

    found = only(told)

    assert (found["traded"][0]["yes"], found["contracts"]["contradicted"]) == (1, 1)


def test_what_can_not_be_judged_is_counted_by_reason(told):
    told.estimate("SPLIT")
    told.estimate("SILENT", model=None, blended="0.5")
    told.estimate("OPEN")
    told.estimate("UNREAD", rule=None, unread="no known form", method="none", market_probability=None, model=None)
    told.end("SPLIT", "0.5")
    told.end("SILENT", "1")

    counts = only(told)["contracts"]

    assert counts == dict.fromkeys(counts, 0) | {"awaited": 1, "neither_yes_nor_no": 1, "without_an_opinion": 1}


def test_modes_are_never_joined(tmp_path):
    with EventJournals(tmp_path, mode=Mode.DRY_RUN) as dry:
        decision = dry.trade("A", blended="0.8")
        dry.resolve(decision, "1")
        dry.estimate("B", blended="0.8")
        dry.end("A", "1")
    with EventJournals(tmp_path, mode=Mode.PAPER) as paper:
        paper.clock.advance(200_000)
        paper.end("B", "1")

        [found] = calibrations(paper.logs, None)

    [dry_run] = found.as_dict()["modes"]
    assert dry_run["mode"] == "dry_run"
    assert [table["n"] for table in dry_run["newest"] + dry_run["traded"]] == [1, 1]
    assert dry_run["contracts"] == dict.fromkeys(dry_run["contracts"], 0) | {"judged": 1, "ended_in_another_mode": 1}


def test_two_modes_of_one_market_are_judged_each_by_itself(tmp_path):
    with EventJournals(tmp_path, mode=Mode.DRY_RUN) as dry:
        dry.estimate("A", blended="0.8")
    with EventJournals(tmp_path, mode=Mode.PAPER) as paper:
        paper.clock.advance(60)
        paper.estimate("A", blended="0.6")
        paper.end("A", "0")
    with EventJournals(tmp_path, mode=Mode.DRY_RUN) as dry:
        dry.end("A", "1")

        [found] = calibrations(dry.logs, None)

    briers = {mode["mode"]: mode["newest"][0]["scores"]["blended"]["brier"] for mode in found.as_dict()["modes"]}
    assert briers == {"dry_run": 0.04, "paper": 0.36}


def test_an_end_that_was_only_simulated_judges_nothing(tmp_path):
    with EventJournals(tmp_path, mode=Mode.DRY_RUN) as dry:
        dry.resolve(dry.trade("A"), "1")

        found = only(dry)

    assert found["traded"] == []
    assert (found["contracts"]["simulated_end"], found["contracts"]["awaited"]) == (1, 1)


def test_models_are_judged_by_their_votes_beside_the_market_at_the_same_moments(told):
    told.estimate("A", price="0.5", votes=(vote("claude", "0.9"), vote("gpt", "0.6", weight=D(2))))
    told.estimate(
        "B", price="0.2", votes=(vote("claude", "0.3", weight=D("0.5")),), missing=(missing("gpt", "timeout"),)
    )
    told.end("A", "1")
    told.end("B", "0")

    claude, gpt = only(told)["models"]

    assert (claude["model"], claude["n"], claude["brier"], claude["weight_mean"]) == ("claude", 2, 0.05, 0.75)
    assert claude["market_brier"] == 0.145
    assert claude["curve"] == [{"n": 2, "forecast": 0.6, "came_yes": 0.5}]
    assert (claude["reliability"], claude["uncertainty"], claude["calibration_error"]) == (0.01, 0.25, 0.1)
    assert (gpt["model"], gpt["n"], gpt["brier"], gpt["market_brier"]) == ("gpt", 1, 0.16, 0.25)


def test_attendance_counts_votes_cache_and_absences_by_reason(told):
    told.estimate("A", votes=(vote("claude", "0.9"),), missing=(missing("gpt", "timeout"),))
    told.estimate("A", votes=(vote("claude", "0.9", is_cached=True),), missing=(missing("gpt", "timeout"),))
    told.estimate("B", missing=(missing("claude", "refused"), missing("gpt", "resting")))

    seen = only(told)["attendance"]

    assert seen == {
        "claude": {"asked": 3, "voted": 2, "cached": 1, "missing": {"refused": 1}},
        "gpt": {"asked": 3, "voted": 0, "cached": 0, "missing": {"timeout": 2, "resting": 1}},
    }


def test_since_chooses_by_the_end_and_finds_the_older_estimate(told):
    told.estimate("A", blended="0.8", votes=(vote("claude", "0.8"),))
    told.estimate("B", blended="0.8")
    told.end("B", "1", closed_at=START + timedelta(hours=1))
    moment = told.clock.now() + timedelta(hours=1)
    told.end("A", "1")

    found = only(told, moment)

    assert (found["newest"][0]["n"], found["contracts"]["judged"], found["contracts"]["awaited"]) == (1, 1, 0)
    assert found["attendance"] == {}


def test_since_leaves_out_what_was_resolved_or_seen_before(told):
    told.resolve(told.trade("A"), "1")
    told.resolve(told.trade("B"), "1", provisional=True)
    moment = told.clock.now() + timedelta(seconds=1)

    assert only(told)["traded"][0]["n"] == 1
    late = only(told, moment)
    assert (late["traded"], late["contracts"]) == ([], dict.fromkeys(late["contracts"], 0) | {"awaited": 1})


def test_one_outcome_alone_has_scores_and_no_standard_error(told):
    told.estimate("A", price="0.5", blended="0.8")
    told.end("A", "1")

    [table] = only(told)["newest"]
    text = calibration_text(calibrations(told.logs, None))

    assert table["blended_less_market"] == {"brier": -0.21, "standard_error": None}
    assert "1 contract of 1 event, 1 ended YES" in text
    assert "1 event can't tell skill from luck" in text


def test_a_surface_that_estimated_no_contract_appears_only_when_asked_for(story, tmp_path):
    story.decide(1)
    story.write(tmp_path / "logs")

    assert calibrations(tmp_path / "logs", None) == []
    asked = calibrations(tmp_path / "logs", None, ["fx"])
    assert asked[0].as_dict() == {"surface": "fx", "modes": []}
    assert calibration_text(asked) == "fx: no event contract was estimated in this period"


def test_surfaces_stand_beside_each_other(tmp_path):
    for surface in (Surface.ST, Surface.LT):
        with EventJournals(tmp_path, surface) as journals:
            journals.estimate("A")
            journals.end("A", "1")

    found = calibrations(tmp_path / "logs", None)

    assert sorted(one.surface for one in found) == ["lt", "st"]
    assert json.loads(json.dumps([one.as_dict() for one in found])) == [one.as_dict() for one in found]


def test_words_of_strangers_can_not_steer_a_terminal(told):
    told.estimate("A", method="pan\x1b[2Jel", votes=(vote("gpt\x9b2J", "0.9"),), missing=(missing("x", "\x1b]0;"),))
    told.end("A", "1")

    text = calibration_text(calibrations(told.logs, None))

    assert not {"\x1b", "\x9b"} & set(text)
