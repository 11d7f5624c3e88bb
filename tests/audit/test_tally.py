"""Counts: real money and simulated money are never added up."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.tally import SubscriberTally, SurfaceTally, is_synthetic
from domain.vocabulary import Gate, Leg, OrderState, ResolutionSource, State

D = Decimal
SOURCES = [*ResolutionSource, "sim:edge", "sim:stop_file"]


def tally_of(records):
    tally = SurfaceTally()
    for record in records:
        tally.apply(record)
    return tally


def callback(stage, *, rev=0, **fields):
    return {"kind": "callback", "stage": stage, "rev": rev, "decision": None, "reason": "", **fields}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(SOURCES),
            st.sampled_from(["USD", "EUR"]),
            st.decimals(min_value=-1000, max_value=1000, places=2),
        )
    )
)
def test_real_and_synthetic_profit_and_two_currencies_never_mix(outcomes):
    records = [
        {"kind": "resolution", "resolution_source": source, "currency": unit, "realised": str(amount), "late": False}
        for source, unit, amount in outcomes
    ]

    tally = tally_of(records)

    for unit in ("USD", "EUR"):
        assert tally.real(unit) == sum(a for s, u, a in outcomes if u == unit and not s.startswith("sim"))
        assert tally.synthetic(unit) == sum(a for s, u, a in outcomes if u == unit and s.startswith("sim"))
    assert tally.resolved == len(outcomes)
    assert tally.wins == sum(amount > 0 for _, _, amount in outcomes)


def test_counts_follow_one_trade_from_candidate_to_outcome(story):
    story.refuse(1, Gate.EDGE, "1", "2")
    story.decide(2)
    story.happen(2, OrderState.PARTIAL, 60, "t1")
    story.happen(2, OrderState.FILLED, 40, "t2")
    story.publish(2)
    story.amend(2)
    story.happen(2, OrderState.FILLED, 100, "t3", leg=Leg.EXIT, attempt=0)
    story.close(2)
    story.resolve(2, "5", late=True)
    story.change(State.REDUCE, "daily loss")

    tally = tally_of(story.records)

    assert (tally.decisions, tally.admitted, tally.refused) == (2, 1, Counter(EDGE=1))
    assert (tally.signals, tally.closes, tally.executed) == (1, 1, 1)
    assert (tally.resolved, tally.wins, tally.late) == (1, 1, 1)
    assert (tally.real("USD"), tally.synthetic("USD")) == (5, 0)
    assert tally.wishes == {"operator": "REDUCE (operator: daily loss)"}


def test_an_order_without_a_fill_was_not_executed(story):
    story.happen(1, OrderState.REJECTED)
    story.happen(2, OrderState.UNKNOWN)

    assert tally_of(story.records).executed == 0


def test_an_outcome_of_nothing_is_no_win(story):
    story.resolve(1, "0")

    assert tally_of(story.records).wins == 0


@pytest.mark.parametrize("source", SOURCES)
def test_only_the_simulation_and_its_counterfactuals_are_synthetic(source):
    assert is_synthetic(source) is source.startswith("sim")


def test_a_source_nobody_knows_is_an_error_instead_of_real_money():
    with pytest.raises(ValueError):
        is_synthetic("hearsay")


def test_subscribers_reports_add_up_and_a_revision_is_not_counted_again():
    tally = SubscriberTally()

    for record in (
        callback("ack", decision="accept"),
        callback("ack", decision="skip", reason="too late"),
        callback("ack", decision="skip", reason="too late"),
        callback("executed"),
        callback("resolved", currency="USD", realised="5.5"),
        callback("resolved", currency="EUR", realised="-1"),
        callback("resolved", currency="USD", realised="100", rev=1),
        {"kind": "callback_conflict"},
    ):
        tally.apply(record)

    assert (tally.acked, tally.accepted, tally.skipped) == (3, 1, Counter({"too late": 2}))
    assert (tally.executed, tally.resolved) == (1, 2)
    assert tally.realised == {"USD": D("5.5"), "EUR": D(-1)}
