"""The fold: what each record of a surface's journals makes it believe."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from folding import beliefs, fold_of

from audit.fold import SurfaceFold
from domain.errors import Refuse
from domain.vocabulary import Cause, Gate, Leg, Mode, OrderState, State

D = Decimal
EXIT = Leg.EXIT
PARTIAL, FILLED, UNKNOWN = OrderState.PARTIAL, OrderState.FILLED, OrderState.UNKNOWN


def test_a_position_is_open_with_what_filled_until_its_exits_add_up(story):
    story.decide(1)
    story.intend(1)
    story.happen(1, PARTIAL, 60, "t1", price="1.10")
    story.happen(1, FILLED, 40, "t2", price="1.20")
    story.happen(1, PARTIAL, 70, "t3", leg=EXIT, attempt=0, realised=5)

    [position] = fold_of(story.records).positions()

    assert (position.quantity_in, position.quantity) == (100, 30)
    assert position.entry_price == D("1.14")
    assert position.realised == 5
    assert position.broker_trade_id == "trade-1"


def test_a_position_wholly_exited_is_not_open_even_before_its_resolution(story):
    story.decide(1)
    story.happen(1, FILLED, 100, "t1")
    story.happen(1, FILLED, 100, "t2", leg=EXIT, attempt=0)

    fold = fold_of(story.records)

    assert fold.positions() == []
    assert fold.position(story.signal(1)).quantity == 0


def test_fills_of_several_exit_orders_belong_to_one_position(story):
    story.decide(1)
    story.happen(1, FILLED, 100, "t1")
    story.happen(1, PARTIAL, 30, "t2", leg=EXIT, attempt=1)
    story.happen(1, PARTIAL, 30, "t3", leg=EXIT, attempt=2)
    # The same execution, reported for the resting order too.
    story.happen(1, PARTIAL, 30, "t3", leg=EXIT, attempt=0)

    assert fold_of(story.records).position(story.signal(1)).quantity == 40


def test_an_entry_fill_that_comes_after_the_resolution_reopens_nothing(story):
    story.decide(1)
    story.happen(1, PARTIAL, 60, "t1")
    story.happen(1, FILLED, 60, "t2", leg=EXIT, attempt=0)
    story.resolve(1)
    story.happen(1, FILLED, 40, "t3")

    fold = fold_of(story.records)

    assert fold.positions() == []
    assert fold.position(story.signal(1)) is None


def test_a_late_entry_fill_of_an_open_position_adds_to_it(story):
    story.decide(1)
    story.happen(1, PARTIAL, 60, "t1")
    story.happen(1, PARTIAL, 60, "t2", leg=EXIT, attempt=0)
    story.happen(1, FILLED, 40, "t3")

    [position] = fold_of(story.records).positions()

    assert position.quantity == 40


def test_an_execution_reported_twice_is_booked_once(story):
    story.decide(1)
    story.intend(1)
    story.repeat(story.happen(1, FILLED, 100, "t1"))

    assert fold_of(story.records).position(story.signal(1)).quantity_in == 100


@pytest.mark.parametrize("final", [FILLED, OrderState.CANCELLED])
def test_an_old_execution_reported_again_does_not_take_an_order_back_from_its_end(story, final):
    story.decide(1)
    story.intend(1)
    first = story.happen(1, PARTIAL, 60, "t1")
    story.happen(1, final, 40 if final is FILLED else 0, "t2")
    story.repeat(first)

    fold = fold_of(story.records)

    assert fold.order_state(story.order(1)) is final
    assert fold.unfinished(Leg.ENTRY) == []


def test_an_execution_known_already_still_answers_for_an_order_whose_outcome_was_unknown(story):
    story.decide(1)
    story.intend(1)
    first = story.happen(1, FILLED, 100, "t1")
    story.streams["orders"].remove(first)
    story.happen(1, PARTIAL, 100, "t1")
    story.happen(1, UNKNOWN)
    story.repeat(first)

    fold = fold_of(story.records)

    assert fold.order_state(story.order(1)) is FILLED
    assert fold.position(story.signal(1)).quantity == 100


def test_an_order_is_unfinished_until_its_state_is_final_and_the_oldest_comes_first(story):
    for n in (2, 1):
        story.decide(n)
        story.intend(n)
    story.intend(1, EXIT)
    story.happen(1, UNKNOWN)
    fold = fold_of(story.records)

    assert [i.client_order_id for i in fold.unfinished(Leg.ENTRY)] == [story.order(2), story.order(1)]
    assert [i.client_order_id for i in fold.unfinished(EXIT)] == [story.order(1, EXIT)]

    fold.apply(story.happen(1, OrderState.ABSENT))

    assert [i.client_order_id for i in fold.unfinished(Leg.ENTRY)] == [story.order(2)]


def test_a_position_closed_in_full_is_unresolved_until_its_resolution_is_written(story):
    story.decide(1)
    story.happen(1, FILLED, 100, "t1")
    fold = fold_of(story.records)

    assert fold.unresolved() == []

    fold.apply(story.happen(1, FILLED, 100, "t2", leg=EXIT, attempt=0))

    assert [position.signal_id for position in fold.unresolved()] == [story.signal(1)]

    fold.apply(story.resolve(1))

    assert fold.unresolved() == []


def test_an_order_nobody_heard_of_is_intended(story):
    story.intend(1)

    assert fold_of(story.records).order_state(story.order(1)) is OrderState.INTENDED


def test_a_fill_without_its_signal_is_unpublished_until_the_signal_is_written(story):
    story.decide(1)
    story.happen(1, FILLED, 100, "t1")
    fold = fold_of(story.records)

    assert [position.signal_id for position in fold.unpublished()] == [story.signal(1)]

    fold.apply(story.publish(1))

    assert fold.unpublished() == []


def test_the_later_of_two_cooldowns_of_a_market_holds(story):
    long = story.cool(1, minutes=60)
    story.cool(2, minutes=5)

    fold = fold_of(story.records)

    assert fold.cooldowns["EUR_USD"].until == datetime.fromisoformat(long["until"])
    assert fold.cooled_signals == {story.signal(1), story.signal(2)}


def test_a_resolution_is_booked_once_and_the_first_one_holds(story):
    story.decide(1)
    story.resolve(1, "5")
    story.resolve(1, "7")

    fold = fold_of(story.records)

    assert fold.bankroll.balance == 1005
    assert fold.resolutions[story.signal(1)].realised == 5


def test_a_refused_candidate_is_not_remembered_as_recent_and_an_admitted_one_is(story):
    refused = story.refuse(1, Gate.EDGE, "1", "2")
    admitted = story.decide(2)

    fold = fold_of(story.records)

    assert list(fold.recent.values()) == [datetime.fromisoformat(admitted["candidate"]["found_at"])]
    assert refused["candidate"]["thesis"] not in {thesis for _, _, thesis in fold.recent}


def fold_state_after(fold, record):
    fold.apply(record)
    return fold.state.state


def test_the_tightest_wish_rules_until_its_own_cause_takes_it_back(story):
    fold = fold_of([])
    assert fold.state.state is State.RUN

    states = [
        fold_state_after(fold, story.change(state, str(state), cause))
        for state, cause in (
            (State.REDUCE, Cause.BREAKER),
            (State.HALT, Cause.OPERATOR),
            (State.RUN, Cause.RECONCILIATION),
            (State.RUN, Cause.OPERATOR),
            (State.RUN, Cause.BREAKER),
        )
    ]

    assert states == [State.REDUCE, State.HALT, State.HALT, State.REDUCE, State.RUN]
    assert fold.wish(Cause.OPERATOR).state is State.RUN


def test_a_day_keeps_its_first_equity_and_suspensions_are_the_last_ones_written(story):
    story.begin_day("900")
    story.begin_day("950")
    story.suspend("breakout.h1")

    fold = fold_of(story.records)

    assert fold.day.start_equity == 900
    assert list(fold.suspensions) == ["breakout.h1"]


def test_trades_of_another_mode_are_passed_over_but_its_orders_to_stand_still_count(story):
    story.decide(1)
    story.intend(1)
    story.happen(1, FILLED, 100, "t1")
    story.resolve(2, "500")
    story.change(State.HALT, "operator")
    cooled = story.cool(2)
    fold = SurfaceFold(D(1000), "USD", Mode.LIVE)

    for record in story.records:
        fold.apply(record)

    assert (fold.positions(), fold.unfinished(Leg.ENTRY), fold.recent) == ([], [], {})
    assert fold.bankroll.balance == 1000
    assert fold.state.state is State.HALT
    assert list(fold.cooldowns) == [cooled["market"]]


def test_a_fold_of_the_storys_own_mode_takes_in_what_a_fold_of_all_modes_does(story):
    story.decide(1)
    story.happen(1, FILLED, 100, "t1")
    story.resolve(2, "5")
    fold = SurfaceFold(D(1000), "USD", story.mode)

    for record in story.records:
        fold.apply(record)

    assert beliefs(fold) == beliefs(fold_of(story.records))


def test_a_published_signal_that_was_resolved_is_unclosed_until_its_close_is_written(story):
    for n in (1, 2):
        story.decide(n)
        story.happen(n, FILLED, 100, f"t{n}")
        story.publish(n)
    story.resolve(1)
    story.resolve(3)  # was never published: nobody waits for its close
    fold = fold_of(story.records)

    assert [resolution.signal_id for resolution in fold.unclosed()] == [story.signal(1)]

    fold.apply(story.close(1))

    assert fold.unclosed() == []


def test_kinds_that_say_nothing_about_state_are_passed_over():
    fold_of([{"kind": "recovery"}, {"kind": "segment_start"}, {"kind": "of tomorrow"}])


def test_a_fill_without_a_price_is_refused(story):
    story.decide(1)
    event = story.happen(1, FILLED, 100, "t1")
    event["price"] = None

    with pytest.raises(ValueError, match=r"t1 of tb-fx-.* has no price"):
        fold_of(story.records).positions()


def test_an_admitted_decision_without_a_signal_is_refused(story):
    story.decide(1)["signal_id"] = None

    with pytest.raises(ValueError, match="names no signal"):
        fold_of(story.records)


def test_a_record_of_another_shape_is_refused(story):
    del story.intend(1)["quantity"]

    with pytest.raises(Refuse, match="OrderIntent"):
        fold_of(story.records)


def corrected(story, n, record, quantity, price, revision=1):
    """Write an execution once more, as a broker that corrects itself reports it."""
    changes = {"quantity": quantity, "price": price, "revision": revision}
    story.repeat({**record, **changes})


def test_a_corrected_execution_takes_the_place_of_the_earlier_report(story, fold):
    story.decide(1)
    story.intend(1)
    first = story.happen(1, story.OrderState.FILLED, 60, "t-1", price="1.1")
    corrected(story, 1, first, "50", "1.2")
    folded = fold(story.records)

    assert [(lot.quantity, lot.price) for lot in folded.position(story.signal(1)).entries] == [(D(50), D("1.2"))]
    assert folded.order_state(story.order(1)) is story.OrderState.FILLED


def test_a_correction_counts_whichever_report_is_read_last(story, fold):
    story.decide(1)
    story.intend(1)
    first = story.happen(1, story.OrderState.PARTIAL, 60, "t-1", price="1.1")
    corrected(story, 1, first, "50", "1.2", revision=2)
    corrected(story, 1, first, "55", "1.3", revision=1)
    story.repeat(first)

    assert fold(story.records).position(story.signal(1)).quantity == 50


def test_a_busted_exit_leaves_the_position_as_it_was(story, fold):
    story.decide(1)
    story.happen(1, story.OrderState.FILLED, 60, "t-1")
    exit_ = story.happen(1, story.OrderState.PARTIAL, 20, "t-2", leg=story.Leg.EXIT)
    before = fold(story.records).position(story.signal(1)).quantity
    corrected(story, 1, exit_, "0", "1.1")

    assert (before, fold(story.records).position(story.signal(1)).quantity) == (40, 60)


def test_a_correction_is_news_and_the_report_it_replaced_is_none(story, fold):
    story.decide(1)
    story.intend(1)
    first = story.happen(1, story.OrderState.FILLED, 60, "t-1")
    folded = fold(story.records)
    event = folded.events[story.order(1)][0]
    # As a journal of before there were revisions holds it.
    old = fold({key: value for key, value in r.items() if key != "revision"} for r in story.records)

    assert first["revision"] == 0
    assert folded.is_news(replace(event, revision=1))
    assert not folded.is_news(event)
    assert old.events == folded.events


def test_an_entry_taken_back_in_part_after_its_sale_leaves_a_position_that_is_closed(story, fold):
    story.decide(1)
    first = story.happen(1, story.OrderState.FILLED, 60, "t-1")
    story.happen(1, story.OrderState.FILLED, 50, "t-2", leg=story.Leg.EXIT)
    corrected(story, 1, first, "40", "1.1")
    folded = fold(story.records)

    assert folded.position(story.signal(1)).quantity == 0
    assert [position.signal_id for position in folded.unresolved()] == [story.signal(1)]


def test_a_broker_that_no_longer_lists_a_filled_order_has_no_news_of_it(story):
    story.decide(1)
    story.intend(1)
    story.happen(1, FILLED, 60, "t-1")
    folded = fold_of(story.records)
    event = folded.events[story.order(1)][0]
    gone = replace(event, state=OrderState.ABSENT, quantity=D(0), price=None, transaction_id=None)

    assert not folded.is_news(gone)
