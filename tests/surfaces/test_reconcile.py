"""What the journals say is open against what the broker says, and the state that follows from it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.errors import Misconfigured
from domain.operation import StateChange
from domain.vocabulary import Cause, Code, Kind, OrderState, Side, State

D = Decimal
DUE_S = 301.0


def findings(stage):
    return stage.records("decisions", Kind.RECONCILIATION)[-1]


def test_a_start_with_nothing_open_is_clean_and_runs(running):
    assert findings(running)["clean"] is True
    assert running.books.fold.state.state is State.RUN


def test_a_trade_of_somebody_else_means_exits_only_until_it_is_gone(running):
    number = running.broker.open("GBP_USD", Side.BUY, D(500)).trade_id
    running.tick(DUE_S)
    running.propose()
    running.tick()
    refused, found = running.decisions()[-1], findings(running)
    running.broker.end(number, None)
    running.tick(DUE_S)
    running.trade(thesis="another")

    assert found["external"] == [number]
    assert refused.code is Code.STOPPED
    assert running.books.fold.state.state is State.RUN
    assert len(running.broker.sent) == 1


def test_a_trade_of_somebody_else_is_found_before_the_first_scan(stage):
    stage.broker.open("EUR_USD", Side.SELL, D(500))
    stage.start()

    assert stage.books.fold.state.state is State.REDUCE


def test_an_unexplained_state_survives_restarts_and_a_new_trading_day(running):
    running.broker.open("GBP_USD", Side.BUY, D(500))
    running.tick(DUE_S)
    running.restart()
    running.tick(24 * 3600)

    assert running.books.fold.wish(Cause.RECONCILIATION).state is State.REDUCE


def test_another_quantity_or_side_than_ours_means_exits_only(running):
    signal_id = running.trade()
    [number] = running.broker.trades
    ours = running.broker.trades[number]
    running.broker.trades[number] = replace(ours, quantity=D(1))
    running.tick(DUE_S)
    quantity = findings(running)["wrong_quantity"]
    running.broker.trades[number] = replace(ours, side=Side.SELL)
    running.tick(DUE_S)

    assert quantity == findings(running)["wrong_quantity"] == [signal_id]
    assert running.books.fold.state.state is State.REDUCE


def test_trades_of_another_surface_in_the_same_account_are_none_of_ours(running):
    running.broker.open("EUR_USD", Side.BUY, D(500), f"tb-stk-{'0' * 26}-entry-1")
    running.tick(DUE_S)

    assert findings(running)["clean"] is True


def test_an_order_id_of_ours_that_no_journal_knows_is_unexplained(running):
    number = running.broker.open("EUR_USD", Side.BUY, D(500), f"tb-fx-{'0' * 26}-entry-1").trade_id
    running.tick(DUE_S)

    assert findings(running)["external"] == [number]


def test_a_position_gone_at_the_broker_is_left_to_the_resolver(running):
    signal_id = running.trade()
    running.broker.trades.clear()
    running.tick(DUE_S)

    assert findings(running)["gone"] == [signal_id]
    assert running.books.fold.state.state is State.RUN


def test_an_order_that_cannot_be_proven_yet_keeps_the_surface_in_exits_only_no_longer_than_that(running):
    running.broker.accidents.append(running.Accident.REPLY_LOST)
    running.trade()
    running.broker.hesitations = 2
    running.restart()
    started = running.books.fold.state.state
    for _ in range(4):
        running.tick()

    assert started is State.REDUCE
    assert running.books.fold.state.state is State.RUN
    assert running.events() == [OrderState.UNKNOWN, OrderState.FILLED]


def test_a_broker_that_does_not_answer_concludes_nothing_and_stops_no_process(running):
    running.trade()
    before = len(running.records("decisions"))
    running.broker.down = True

    assert running.tick(DUE_S) is False
    assert len(running.records("decisions")) == before

    running.broker.down = False
    assert running.tick() is True
    assert findings(running)["clean"] is True


def test_startup_waits_for_the_broker_and_can_be_stopped_while_it_does(stage):
    stage.broker.down = True
    waits = []

    def come_back_on_the_third():
        waits.append(1)
        stage.broker.down = len(waits) < 3

    stage.stop.on_wait = come_back_on_the_third
    was_started = stage.open().startup()
    stage.end()
    stage.broker.down = True
    stage.stop.on_wait = stage.stop.set

    assert was_started is True
    assert stage.open().startup() is False


def test_a_filled_order_whose_report_was_lost_is_recovered_from_the_open_trade(running):
    """The order was proven absent too early: the broker's open trade shows otherwise."""
    running.broker.accidents.append(running.Accident.REQUEST_LOST)
    running.trade()
    running.tick()
    assert running.events()[-1] == OrderState.ABSENT
    # Now it turns up after all.
    running.broker._answers[running.broker.sent[0].client_order_id] = running.broker._act(running.broker.sent[0], None)
    running.tick(DUE_S)

    assert findings(running)["recovered"] == list(running.broker.trades)
    assert running.events()[-1] == OrderState.FILLED
    assert len(running.signals()) == 1
    assert findings(running)["clean"] is True


def test_a_clean_comparison_takes_back_nothing_but_its_own_verdict(running):
    running.books.changed(StateChange(state=State.REDUCE, reason="theirs", cause=Cause.OPERATOR))
    number = running.broker.open("GBP_USD", Side.BUY, D(500)).trade_id
    running.tick(DUE_S)
    running.broker.end(number, None)
    running.tick(DUE_S)

    assert running.books.fold.wish(Cause.RECONCILIATION).state is State.RUN
    assert running.books.fold.state.reason == "theirs"


def test_another_account_than_the_journals_are_about_is_refused(running):
    running.end()
    running.broker.account_id = "101-001-0000000-002"

    with pytest.raises(Misconfigured, match="which the journals of fx in mode paper are about"):
        running.start()
