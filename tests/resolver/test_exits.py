"""The exits a resolver makes by itself: when they are due, sent once, and never in HALT."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.errors import Refuse
from domain.vocabulary import ExitReason, Kind, Leg, OrderState, Side, State

D = Decimal
DAY_S = 24 * 3600.0


def attempts(stage):
    return [int(intent.client_order_id.rsplit("-", 1)[1]) for intent in stage.exits()]


def states(stage):
    return [row["state"] for row in stage.records(Kind.ORDER_EVENT)]


@pytest.fixture
def held(stage):
    """A stage and the signal of one open position that the resolver knows of."""
    signal_id = stage.trade()
    stage.tick(0)
    return stage, signal_id


@pytest.mark.parametrize(("held_s", "is_closed"), [(DAY_S - 1, False), (DAY_S, True)])
def test_a_position_is_closed_when_its_time_is_up_and_not_before(held, held_s, is_closed):
    stage, signal_id = held
    stage.tick(held_s)
    stage.tick(0)

    assert (stage.broker.trades == {}) is is_closed
    assert (signal_id in stage.fold.resolutions) is is_closed


def test_an_exit_of_ours_is_written_before_it_is_sent_and_keeps_its_own_reason(held):
    stage, signal_id = held
    seen = []
    stage.broker.on_submit = lambda intent: seen.append(stage.records(Kind.ORDER_INTENT)[-1]["client_order_id"])
    stage.tick(DAY_S)
    stage.tick(0)

    [intent] = stage.exits()
    assert seen == [intent.client_order_id] == [f"tb-fx-{signal_id[4:]}-exit-1"]
    assert (intent.side, intent.quantity, intent.reason) == (Side.SELL, D(1000), ExitReason.TIME)
    assert stage.resolution(signal_id).reason is ExitReason.TIME
    assert stage.resolution(signal_id).realised == D("-0.1")


@pytest.mark.parametrize(
    ("low", "high", "side", "reason"),
    [
        ("1.0950", "1.1000", Side.BUY, ExitReason.STOP_LOSS),
        ("1.0990", "1.1100", Side.BUY, ExitReason.TAKE_PROFIT),
        ("1.1000", "1.1050", Side.SELL, ExitReason.STOP_LOSS),
        ("1.0900", "1.1000", Side.SELL, ExitReason.TAKE_PROFIT),
    ],
)
def test_a_level_that_was_crossed_and_not_acted_upon_is_acted_upon_after_the_grace(stage, low, high, side, reason):
    signal_id = stage.trade(side=side)
    stage.tick(0)
    crossed_at = stage.clock.now()
    stage.bar(crossed_at, low, high)
    # Two minutes of grace begin with the bar that crossed.
    stage.tick(120)
    within_grace = stage.exits()
    stage.tick(61)
    stage.tick(0)

    assert within_grace == []
    assert [intent.reason for intent in stage.exits()] == [reason]
    assert stage.resolution(signal_id).reason is reason


def test_a_level_crossed_before_the_position_opened_or_not_reached_closes_nothing(held):
    stage, _ = held
    opened = stage.clock.now()
    stage.bar(opened - timedelta(seconds=60), "1.0000", "1.2000")
    stage.bar(opened, "1.0951", "1.1099")
    stage.tick(600)

    assert stage.exits() == []


def test_a_stop_the_broker_lost_is_made_again_once(stage):
    stage.broker.accidents.append(stage.Accident.BRACKET_LOST)
    signal_id = stage.trade(trailing_distance=D("0.0020"))
    stage.tick(0)
    stage.tick()

    [trade] = stage.broker.trades.values()
    assert stage.broker.protected == [stage.number(signal_id)]
    assert (trade.stop_loss, trade.take_profit, trade.trailing_distance) == (D("1.0950"), D("1.1100"), D("0.0020"))


def test_a_protection_the_broker_refuses_stops_neither_the_process_nor_the_other_positions(stage):
    stage.broker.accidents.extend([stage.Accident.BRACKET_LOST] * 2)
    first, second = stage.trade(), stage.trade("GBP_USD")
    protect = stage.broker.protect

    def refuse_the_first(trade_id, **levels):
        if trade_id == stage.number(first):
            raise Refuse("a level beyond the market", "STOP_LOSS_ON_FILL_LOSS", "move it")
        protect(trade_id, **levels)

    stage.broker.protect = refuse_the_first

    assert stage.tick() is True
    assert stage.broker.protected == [stage.number(second)]

    stage.tick(1)
    beat = json.loads(stage.house.heartbeat("resolver-fx").read_text())
    assert (beat["phase"], "STOP_LOSS_ON_FILL_LOSS" in beat["trouble"]) == ("degraded", True)

    stage.broker.protect = protect
    stage.tick()
    stage.tick(1)
    beat = json.loads(stage.house.heartbeat("resolver-fx").read_text())
    assert (beat["phase"], beat["trouble"]) == ("ready", "")


def test_bars_of_one_market_that_cannot_be_read_do_not_keep_other_positions_from_their_exit(stage):
    stage.trade()
    second = stage.trade("GBP_USD")
    stage.tick(0)
    stage.bar(stage.clock.now(), "1.0950", "1.1000", market="GBP_USD")
    stage.broker.dumb = {"EUR_USD"}
    stage.tick(300)
    stage.tick(0)

    assert list(stage.fold.resolutions) == [second]


@pytest.mark.parametrize("is_found_filled", [True, False])
def test_an_exit_without_an_answer_is_asked_about_and_never_doubled(held, is_found_filled):
    stage, signal_id = held
    stage.broker.accidents.append(stage.Accident.REPLY_LOST if is_found_filled else stage.Accident.REQUEST_LOST)
    stage.broker.hesitations = 2
    stage.tick(DAY_S)
    fills, stage.broker.fills_since = stage.broker.fills_since, lambda cursor: ([], cursor)
    stage.tick()
    stage.tick()
    undecided = attempts(stage)
    stage.broker.fills_since = fills
    for _ in range(4):
        stage.tick()

    assert undecided == [1]
    assert attempts(stage) == ([1] if is_found_filled else [1, 2])
    assert stage.resolution(signal_id).reason is ExitReason.TIME
    assert len([fill for fill in stage.broker.log if fill.closes]) == 1


def test_a_filled_exit_is_not_sent_again_while_its_execution_has_not_shown_up(held):
    stage, _ = held
    stage.broker.fills_since = lambda cursor: ([], cursor)
    number = next(iter(stage.broker.trades))
    open_trade = stage.broker.trades[number]
    stage.tick(DAY_S)
    # The list of open trades lags as well.
    stage.broker.trades[number] = open_trade
    for _ in range(3):
        stage.tick()

    assert attempts(stage) == [1]


@pytest.mark.parametrize(
    ("accident", "state"),
    [
        ("REFUSED", OrderState.REJECTED),
        ("REJECTED", OrderState.REJECTED),
        ("CANCELLED", OrderState.CANCELLED),
        ("NOT_SENT", OrderState.ABSENT),
    ],
)
def test_an_exit_that_came_to_nothing_is_tried_again_under_the_next_number(held, accident, state):
    stage, signal_id = held
    stage.broker.accidents.append(stage.Accident[accident])
    stage.tick(DAY_S)
    first = states(stage)
    stage.tick()
    stage.tick(0)

    assert first == [state]
    assert attempts(stage) == [1, 2]
    assert stage.resolution(signal_id).reason is ExitReason.TIME


def test_an_exit_filled_in_part_is_followed_by_one_for_the_rest(held):
    stage, signal_id = held
    stage.broker.accidents.append(stage.Accident.HALF_FILLED)
    for seconds in (DAY_S, 61, 61, 61):
        stage.tick(seconds)

    assert [intent.quantity for intent in stage.exits()] == [D(1000), D(500)]
    assert stage.resolution(signal_id).quantity == 1000
    assert stage.fold.unfinished(Leg.EXIT) == []


def test_a_restart_between_an_exit_and_its_fill_keeps_the_reason_and_sends_no_second(held):
    stage, signal_id = held
    stage.broker.accidents.append(stage.Accident.REPLY_LOST)
    stage.tick(DAY_S)
    # OANDA's log does not name the order behind a close: after a restart the fill comes without our id.
    stage.broker.log[-1] = replace(stage.broker.log[-1], client_order_id=None, reason=ExitReason.BROKER)
    stage.restart()
    stage.tick()

    assert attempts(stage) == [1]
    assert stage.resolution(signal_id).reason is ExitReason.TIME


def test_halt_sends_no_exit_and_makes_no_stop_but_still_books_what_the_broker_does(stage):
    stage.broker.accidents.append(stage.Accident.BRACKET_LOST)
    first, second = stage.trade(), stage.trade("GBP_USD")
    stage.tick(0)
    stage.broker.protected.clear()
    stage.set_state(State.HALT, flatten=True)
    stage.tick(DAY_S)
    stage.hit(first)
    stage.tick()

    assert stage.exits() == []
    assert stage.broker.protected == []
    assert list(stage.fold.resolutions) == [first]
    assert [position.signal_id for position in stage.fold.positions()] == [second]


def test_exits_go_on_in_reduce_and_flatten_closes_everything(stage):
    signals = [stage.trade(), stage.trade("GBP_USD")]
    stage.tick(0)
    stage.set_state(State.REDUCE)
    stage.tick()
    kept = len(stage.broker.trades)
    stage.set_state(State.REDUCE, flatten=True)
    stage.tick()
    stage.tick(0)

    assert kept == 2
    assert {stage.resolution(signal_id).reason for signal_id in signals} == {ExitReason.FLATTEN}


def test_a_trade_of_somebody_else_is_never_closed(stage):
    stage.trade()
    theirs = stage.broker.open("EUR_USD", Side.BUY, D(10)).trade_id
    stage.tick(0)
    stage.set_state(State.REDUCE, flatten=True)
    stage.tick(DAY_S)
    stage.tick()

    assert list(stage.broker.trades) == [theirs]


def test_no_journal_no_exit_order(held):
    stage, _ = held

    def full(rows):
        from domain.errors import Retry

        raise Retry("room on the disk", "none", "make room")

    stage.resolver_books.write = full
    stage.tick(DAY_S)

    assert stage.exits() == []
