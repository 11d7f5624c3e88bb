"""Counts: real money and simulated money are never added up."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.fold import SurfaceFold
from audit.report import SurfaceReport
from audit.tally import SubscriberTally, SurfaceTally, is_synthetic
from domain.vocabulary import Gate, Leg, OrderState, ResolutionSource, State

D = Decimal
SOURCES = [*ResolutionSource, "sim:edge", "sim:stop_file"]


def tally_of(records):
    tally = SurfaceTally()
    for record in records:
        tally.apply(record)
    return tally


def callback(stage, *, rev=0, who="a", about="1", **fields):
    common = {"kind": "callback", "subscriber": who, "signal_id": about, "stage": stage, "rev": rev}
    return {**common, "decision": None, "reason": "", **fields}


def fill(fill_id="f", quantity="10", **fields):
    return callback("executed", fill_id=fill_id, quantity=quantity, **fields)


def end(realised, currency="USD", quantity="10", **fields):
    return callback("resolved", realised=realised, currency=currency, quantity=quantity, **fields)


def told(*records):
    tally = SubscriberTally()
    for record in records:
        tally.apply(record)
    return tally


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
        {
            "kind": "resolution",
            "signal_id": f"sig_{number}",
            "resolution_source": source,
            "currency": unit,
            "realised": str(amount),
            "late": False,
        }
        for number, (source, unit, amount) in enumerate(outcomes)
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


def test_subscribers_reports_add_up():
    tally = told(
        callback("ack", decision="accept"),
        callback("ack", decision="skip", reason="too late", about="2"),
        callback("ack", decision="skip", reason="too late", who="b"),
        fill(),
        end("5.5"),
        fill(about="3"),
        end("-1", "EUR", about="3"),
        {"kind": "callback_conflict"},
    )

    assert (tally.acked, tally.accepted, tally.skipped) == (3, 1, Counter({"too late": 2}))
    assert (tally.executed, tally.resolved) == (2, 2)
    assert tally.realised == {"USD": D("5.5"), "EUR": D(-1)}


def test_the_fills_of_a_signal_are_one_execution():
    tally = told(fill("a", "4"), fill("b", "6"), fill("b", "5", rev=1), fill("a", "4", who="b"))

    assert tally.executed == 2


def test_a_correction_takes_the_place_of_what_it_corrects():
    tally = told(
        callback("ack", decision="accept"),
        callback("ack", decision="skip", reason="no margin", rev=1),
        callback("ack", decision="skip", reason="too late", rev=2),
        fill(about="2"),
        end("5", about="2"),
        end("-3", about="2", rev=1),
    )

    assert (tally.acked, tally.accepted, tally.skipped) == (1, 0, Counter({"too late": 1}))
    assert (tally.resolved, tally.realised) == (1, {"USD": D(-3)})


def test_a_resolution_counts_once_its_fills_are_known():
    waiting = told(end("5"), fill("a", "4"))
    whole = told(end("5"), fill("a", "4"), fill("b", "6"))

    assert (waiting.resolved, waiting.realised) == (0, {})
    assert (whole.resolved, whole.realised) == (1, {"USD": D(5)})


def test_an_outcome_seen_early_is_no_resolution_until_the_final_one(story):
    story.resolve(1, "5", late=True, provisional=True)
    early = tally_of(story.records)
    story.resolve(1, "-2")

    tally = tally_of(story.records)

    assert (early.resolved, early.wins, early.late, early.realised, early.seen_early) == (0, 0, 0, {}, 1)
    assert (tally.resolved, tally.wins, tally.late, tally.seen_early) == (1, 0, 0, 0)
    assert tally.real("USD") == D(-2)


ENDINGS = st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.integers(-9, 9)), max_size=15)


@given(ENDINGS)
def test_tally_report_and_fold_agree_on_what_was_realised(new_story, endings):
    story = new_story()
    for n, provisional, amount in endings:
        story.resolve(n, str(amount), provisional=provisional)
    fold = SurfaceFold(D(1000), "USD")
    for record in story.records:
        fold.apply(record)

    tally, report = tally_of(story.records), SurfaceReport("fx").add(story.records)

    assert tally.real("USD") == fold.bankroll.realised
    assert sum(outcome.realised for outcome in report.outcomes.values()) == fold.bankroll.realised
    assert tally.resolved == sum(outcome.trades for outcome in report.outcomes.values()) == len(fold.resolutions)
    assert tally.seen_early == len(report.early) == len(fold.provisional.keys() - fold.resolutions.keys())
