"""A candidate's levels lie the right way round, and a verdict knows how near it was."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.decision import Verdict
from domain.vocabulary import Code, Gate, Side

D = Decimal


@pytest.mark.parametrize(
    ("build", "stop", "target"),
    [("candidate", "1.11", "1.09"), ("candidate", "1.1", "1.1"), ("sold", "1.09", "1.11"), ("sold", "1.1", "1.1")],
)
def test_a_target_that_does_not_lie_beyond_the_stop_is_refused(make, build, stop, target):
    good = getattr(make, build)()

    with pytest.raises(ValueError, match=f"a {good.side} needs its target beyond its stop, found {target}/{stop}"):
        make.candidate(side=good.side, stop_loss=D(stop), take_profit=D(target))


def test_a_candidate_refuses_a_naive_time(make):
    with pytest.raises(ValueError, match=r"Candidate\.found_at must be timezone-aware"):
        make.candidate(found_at=make.now.replace(tzinfo=None))


def test_the_stop_distance_is_measured_from_the_price_the_quote_offers(make):
    assert make.candidate().stop_distance == D("1.1001") - D("1.0950")
    assert make.sold().stop_distance == D("1.1100") - D("1.0999")


def test_the_stop_distance_is_negative_once_the_market_went_through_the_stop(make):
    assert make.candidate(stop_loss=D("1.1050")).stop_distance < 0


def test_two_candidates_are_the_same_bet_when_market_side_and_thesis_agree(make):
    first = make.candidate()

    assert first.key == make.candidate(id="cnd_2", atr=D(9)).key == ("EUR_USD", Side.BUY, "range")
    assert first.key != make.candidate(thesis="trend").key
    assert first.key != make.sold().key


@pytest.mark.parametrize(
    ("value", "limit", "margin"), [("4", "5", "0.2"), ("6", "5", "0.2"), ("3", "0", "3"), ("-6", "-5", "0.2")]
)
def test_the_margin_of_a_verdict_is_relative_to_its_limit_unless_that_is_zero(value, limit, margin):
    verdict = Verdict(gate=Gate.EDGE, passed=False, code=Code.EDGE, value=D(value), limit=D(limit), unit="bp")

    assert verdict.margin == D(margin)


@pytest.mark.parametrize("number", ["probability", "edge_bp", "confidence", "eta_hours", "disagreement", "cost_usd"])
@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_an_estimate_holds_finite_numbers_only(make, number, value):
    with pytest.raises(ValueError, match="finite"):
        replace(make.estimate, **{number: D(value)})
