"""STOP files and the operator's orders: looked at last, and never in the way of an exit."""

from decimal import Decimal

import pytest

from domain.errors import Retry
from domain.vocabulary import Code, ExitReason, Gate, OrderState, State
from surfaces.stop import stop_reasons

D = Decimal


@pytest.mark.parametrize("which", [0, 1])
def test_a_stop_file_global_or_of_the_surface_keeps_every_entry_in(running, which):
    running.house.stop_files("fx")[which].touch()
    running.propose()
    running.tick()

    decision = running.decisions()[-1]
    assert (decision.admitted, decision.code) == (False, Code.STOPPED)
    assert running.broker.sent == []


@pytest.mark.parametrize("which", [0, 1])
def test_a_stop_file_made_between_decision_and_socket_keeps_the_order_in(running, which):
    write_intent = running.books.intended

    def intend_then_stop(intent):
        write_intent(intent)
        running.house.stop_files("fx")[which].touch()

    running.books.intended = intend_then_stop
    running.trade()

    assert running.decisions()[-1].admitted
    assert running.events() == [OrderState.ABSENT]
    assert running.broker.sent == []
    assert running.signals() == []


def test_another_surfaces_stop_file_stops_nothing_here(running):
    other = running.house.stop_files("stk")[1]
    other.parent.mkdir(parents=True)
    other.touch()
    running.trade()

    assert len(running.broker.sent) == 1


def test_trading_goes_on_when_the_stop_file_is_removed(running):
    stop_file = running.house.stop_files("fx")[0]
    stop_file.touch()
    running.propose()
    running.tick()
    stop_file.unlink()
    running.trade("GBP_USD")

    assert [intent.market for intent in running.broker.sent] == ["GBP_USD"]


def test_a_stop_file_that_cannot_be_looked_at_counts_as_present(tmp_path):
    (tmp_path / "file").touch()
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    places = (tmp_path / "file" / "STOP", loop / "STOP", tmp_path / ("x" * 300))

    assert stop_reasons([tmp_path / "STOP", tmp_path / "nowhere" / "STOP"]) == ()
    assert stop_reasons(places) == tuple(str(place) for place in places)


def test_a_dangling_link_named_stop_counts_as_present(tmp_path):
    link = tmp_path / "STOP"
    link.symlink_to(tmp_path / "nowhere")

    assert stop_reasons([link]) == (str(link),)


def test_exits_go_on_while_stopped(running):
    signal_id = running.trade()
    running.house.stop_files("fx")[0].touch()
    running.settle()
    running.clock.advance(24 * 3600)
    running.settle()
    running.settle()

    assert running.broker.trades == {}
    assert running.resolver_books.fold.resolutions[signal_id].reason is ExitReason.TIME


@pytest.mark.parametrize("state", [State.REDUCE, State.HALT])
def test_an_operators_order_stops_entries_survives_restarts_and_is_taken_back_by_the_operator(running, state):
    running.order(state=state, reason="going home")
    running.propose()
    running.tick()
    running.restart()
    running.propose("GBP_USD")
    running.tick()
    refused = running.decisions()
    running.order(state=State.RUN, reason="back")
    running.trade("AUD_USD")

    assert {decision.code for decision in refused} == {Code.STOPPED}
    assert [intent.market for intent in running.broker.sent] == ["AUD_USD"]


def test_an_operators_order_given_while_the_surface_was_down_is_obeyed_once(stage):
    stage.order(state=State.HALT, reason="first")
    stage.order(state=State.REDUCE, reason="second")
    stage.start()
    stage.restart()
    stage.tick()

    assert [r["reason"] for r in stage.records("decisions", "state")] == ["first", "second"]
    assert stage.books.fold.state.state is State.REDUCE


def test_halt_is_refused_at_the_first_gate(running):
    running.order(state=State.HALT, reason="look")
    running.propose()
    running.tick()

    verdict = running.decisions()[-1].verdicts[0]
    assert (verdict.gate, verdict.passed, verdict.note) == (Gate.STOP_FILE, False, "state HALT")


def test_a_halt_takes_back_every_resting_order_once_and_tries_again_until_it_worked(running):
    calls = []

    def cancel_all():
        calls.append(running.clock.now())
        if len(calls) == 1:
            raise Retry("the orders cancelled", "503", "again in the next turn")

    running.loop._cancel_all = cancel_all
    running.tick()
    running.order(state=State.HALT, reason="look")
    turns = [running.tick() for _ in range(4)]

    assert turns == [False, True, True, True]
    assert len(calls) == 2
    running.order(state=State.RUN, reason="go on")
    running.tick()
    running.order(state=State.HALT, reason="again")
    running.tick()
    assert len(calls) == 3
