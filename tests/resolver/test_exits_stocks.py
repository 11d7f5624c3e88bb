"""What is different about the exits of stocks: session ends, sessions, splits, and stops that are the surface's."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.corporate import Split
from domain.errors import Retry
from domain.ids import client_order_id
from domain.order import OrderEvent, OrderIntent
from domain.vocabulary import ExitReason, Kind, Leg, OrderState, State, Surface

D = Decimal


@pytest.fixture
def stocks(make_stage):
    return make_stage("stocks", surface=Surface.STK)


@pytest.mark.parametrize(("seconds", "is_closed"), [(3599, False), (3600, True)])
def test_position_is_flat_at_the_moment_its_decision_names(stocks, seconds, is_closed):
    signal_id = stocks.trade(closes_at=stocks.clock.now() + timedelta(hours=1))
    stocks.tick(0)
    stocks.tick(seconds)
    stocks.tick(0)

    assert (stocks.broker.trades == {}) is is_closed
    if is_closed:
        assert stocks.resolution(signal_id).reason is ExitReason.SESSION_END


def test_exit_at_the_session_end_that_came_to_nothing_is_tried_again(stocks):
    stocks.trade(closes_at=stocks.clock.now() + timedelta(hours=1))
    stocks.tick(0)
    stocks.broker.accidents.append(stocks.Accident.CANCELLED)
    stocks.tick(3600)
    stocks.tick()

    assert len(stocks.exits()) == 2
    assert stocks.broker.trades == {}


def test_exit_that_is_refused_again_and_again_is_tried_ever_more_seldom(stocks):
    stocks.trade()
    stocks.tick(0)
    stocks.broker.accidents += [stocks.Accident.REJECTED] * 9
    stocks.loop._tend_every = timedelta(seconds=1)
    began = stocks.clock.now()
    stocks.set_state(State.REDUCE, flatten=True)
    tried = []
    while stocks.broker.trades:
        before = len(stocks.exits())
        stocks.tick(1)
        tried += [(stocks.clock.now() - began).total_seconds()] * (len(stocks.exits()) - before)

    assert tried == [1, 2, 4, 8, 16, 31, 46, 61, 76, 91]


def test_trailing_percentage_that_was_crossed_and_not_acted_upon_is_acted_upon(stocks):
    signal_id = stocks.trade(stop_loss=D("0.9"), take_profit=None, trailing_percent=D(10))
    stocks.tick(0)
    began = stocks.clock.now()
    stocks.bar(began, "1.0990", "1.2500")
    stocks.bar(began + timedelta(seconds=60), "1.1240", "1.2000")
    stocks.tick(300)
    stocks.tick(0)

    assert stocks.resolution(signal_id).reason is ExitReason.TRAILING_STOP


def test_bar_in_which_no_stop_acts_says_nothing_about_the_broker(stocks):
    stocks.trade()
    stocks.tick(0)
    began = stocks.clock.now()
    stocks.bar(began, "1.0900", "1.1000")
    stocks.loop._exits._watch._acts_in = lambda bar: bar.start != began
    stocks.tick(300)

    assert stocks.exits() == []


def test_shares_that_the_journals_do_not_know_of_make_no_level_overdue(stocks):
    signal_id = stocks.trade()
    stocks.tick(0)
    number = stocks.number(signal_id)
    stocks.bar(stocks.clock.now(), "0.1500", "0.1600", at="0.1570")
    stocks.broker.trades[number] = stocks.split_trade(number, 7)
    stocks.tick(300)

    assert stocks.exits() == []


@pytest.mark.parametrize(("known_after_s", "is_left"), [(0, True), (250, False)])
def test_level_crossed_before_the_position_was_known_leaves_the_surface_time_to_protect_it(
    stocks, known_after_s, is_left
):
    signal_id = stocks.trade()
    stocks.tick(0)
    events = stocks.loop._books.fold.events[client_order_id(Surface.STK, signal_id, Leg.ENTRY, 1)]
    events[:] = [replace(one, learned_at=one.learned_at + timedelta(seconds=known_after_s)) for one in events]
    stocks.bar(stocks.clock.now(), "1.0900", "1.1000")
    stocks.tick(300)

    assert bool(stocks.exits()) is is_left


def test_bars_of_before_a_split_are_not_held_against_its_levels(stocks):
    signal_id = stocks.trade()
    stocks.tick(0)
    number = stocks.number(signal_id)
    stocks.bar(stocks.clock.now(), "1.0990", "1.1010")
    stocks.clock.advance(120)
    split = Split(market="EUR_USD", signal_id=signal_id, new=7, old=1, effective_at=stocks.clock.now())
    stocks.books.split(split)
    stocks.broker.trades[number] = stocks.split_trade(number, 7)
    stocks.tick(300)
    unharmed = stocks.exits()
    stocks.bar(split.effective_at, "0.1500", "0.1580", at="0.1570")
    stocks.tick(300)

    # Old prices lie far beyond the new target of 1.11 / 7; the stop of 1.095 / 7 counts from the split on.
    assert unharmed == []
    assert [intent.reason for intent in stocks.exits()] == [ExitReason.STOP_LOSS]


def test_stop_that_is_missing_is_left_to_the_surface(stocks):
    stocks.broker.accidents.append(stocks.Accident.BRACKET_LOST)
    stocks.trade()
    stocks.tick(0)
    stocks.tick()

    assert stocks.broker.protected == []


def test_bars_are_asked_for_once(stocks):
    stocks.trade()
    stocks.tick(0)
    opened, bars, asked = stocks.clock.now(), stocks.broker.bars, []

    def ask(market, period_s, *, start, end=None):
        asked.append(start)
        return bars(market, period_s, start=start, end=end)

    stocks.broker.bars = ask
    for minute in range(4):
        stocks.bar(opened + timedelta(minutes=minute), "1.0990", "1.1010")
    stocks.tick(240)
    stocks.tick(120)

    assert asked == [opened, opened + timedelta(minutes=2)]


def test_bars_are_asked_for_once_a_minute_however_often_a_position_is_looked_at(stocks):
    stocks.trade()
    stocks.tick(0)
    bars, asked = stocks.broker.bars, []

    def ask(market, period_s, *, start, end=None):
        asked.append(end)
        return bars(market, period_s, start=start, end=end)

    stocks.broker.bars = ask
    stocks.loop._tend_every = timedelta(seconds=1)
    began = stocks.clock.now()
    stocks.tick(150)
    for _ in range(100):
        stocks.tick(1)

    assert asked == [began + timedelta(seconds=seconds) for seconds in (60, 120, 180)]


def test_crossed_level_is_remembered_until_the_exit_comes_to_something(stocks):
    stocks.trade()
    stocks.tick(0)
    stocks.bar(stocks.clock.now(), "1.0900", "1.1000")
    stocks.broker.accidents.append(stocks.Accident.CANCELLED)
    stocks.tick(300)
    stocks.tick(300)

    assert [intent.reason for intent in stocks.exits()] == [ExitReason.STOP_LOSS] * 2
    assert stocks.broker.trades == {}


def sale_of(stocks, signal_id):
    """Write the intent of what the surface sells at the market because no stop can protect it."""
    position = stocks.books.fold.position(signal_id)
    intent = OrderIntent(
        client_order_id=client_order_id(Surface.STK, signal_id, Leg.STOP, 2),
        signal_id=signal_id,
        surface=Surface.STK,
        mode=stocks.mode,
        market=position.market,
        leg=Leg.STOP,
        attempt=2,
        side=position.side.opposite,
        quantity=position.quantity,
        broker_trade_id=position.broker_trade_id,
    )
    stocks.books.intended(intent)
    return intent


def test_shares_that_the_surface_is_selling_are_not_sold_a_second_time(stocks):
    signal_id = stocks.trade()
    stocks.tick(0)
    sale = sale_of(stocks, signal_id)
    stocks.broker.find = unanswered
    stocks.set_state(State.REDUCE, flatten=True)
    stocks.tick()
    stocks.tick()
    waited = stocks.exits()
    stocks.broker.find = lambda order_id, *, since: [over(stocks, sale, OrderState.ABSENT)]
    stocks.tick()

    # The surface died before it had sent its order: once that is proven, the flatten goes on.
    assert waited == []
    assert [intent.reason for intent in stocks.exits()] == [ExitReason.FLATTEN]


def test_sale_that_is_written_in_the_same_moment_as_ours_is_seen_before_ours_is_sent(stocks):
    signal_id = stocks.trade()
    stocks.tick(0)
    stocks.set_state(State.REDUCE, flatten=True)
    stocks.broker.find = unanswered
    write = stocks.resolver_books.write

    def write_while_the_surface_does(rows):
        sale_of(stocks, signal_id)
        write(rows)

    stocks.resolver_books.write = write_while_the_surface_does
    stocks.tick()

    assert stocks.exits() == []
    assert [row["state"] for row in stocks.records(Kind.ORDER_EVENT)] == ["absent"]


def unanswered(order_id, *, since):
    raise Retry("an answer", "none yet", "ask again")


def over(stocks, intent, state):
    now = stocks.clock.now()
    return OrderEvent(
        client_order_id=intent.client_order_id,
        signal_id=intent.signal_id,
        leg=intent.leg,
        state=state,
        happened_at=now,
        learned_at=now,
    )
