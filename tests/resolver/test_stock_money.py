"""What a stock's trade comes to, whatever its broker makes of it, and when it is over."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.corporate import Split
from domain.order import OrderEvent
from domain.vocabulary import ExitReason, Leg, OrderState, State, Surface

D = Decimal


@pytest.fixture
def stocks(make_stage):
    return make_stage("stocks", surface=Surface.STK)


def event_of(stocks, intent, state, quantity=0, number="1", price="1.1000"):
    now = stocks.clock.now()
    return OrderEvent(
        client_order_id=intent.client_order_id,
        signal_id=intent.signal_id,
        leg=Leg.ENTRY,
        state=state,
        happened_at=now,
        learned_at=now,
        quantity=D(quantity),
        price=D(price) if quantity else None,
        transaction_id=number if quantity else None,
        broker_trade_id=number if quantity else None,
    )


def bought_in_part(stocks, quantity=400):
    """Have an entry of 1000 fill in part and rest on."""
    intent = stocks.decide("EUR_USD", take_profit=None)
    events = stocks.broker.submit(intent)
    number = stocks.number(intent.signal_id)
    stocks.broker.trades[number] = replace(stocks.broker.trades[number], quantity=D(quantity))
    stocks.books.happened([event_of(stocks, intent, OrderState.PARTIAL, quantity, events[-1].transaction_id)])
    return intent, number


def test_profit_after_a_split_is_reckoned_on_the_price_of_after_it(stocks):
    signal_id = stocks.trade(take_profit=None)
    stocks.tick(0)
    number = stocks.number(signal_id)
    effective = stocks.clock.now()
    stocks.clock.advance(60)
    stocks.broker.trades[number] = stocks.split_trade(number, 2)
    stocks.books.split(
        Split(market="EUR_USD", signal_id=signal_id, new=2, old=1, effective_at=stocks.clock.now(), evidence="test")
    )
    stocks.tick(1)
    # A broker of stocks still reckons with the execution it remembers: 1.1000 for each of the shares there are now.
    stocks.broker.end(number, ExitReason.TRAILING_STOP, D("0.5600"), quantity=D(2000))
    stocks.broker.log[-1] = replace(stocks.broker.log[-1], realised=D(-1080))
    stocks.tick(1)

    assert effective < stocks.clock.now()
    assert stocks.resolution(signal_id).realised == D("20.0000")


def test_trade_whose_entry_still_buys_is_not_over(stocks):
    intent, number = bought_in_part(stocks)
    stocks.tick(0)
    stocks.broker.end(number, ExitReason.TRAILING_STOP, D("1.0990"), quantity=D(400))
    stocks.tick(1)
    before = dict(stocks.fold.resolutions)
    stocks.books.happened([event_of(stocks, intent, OrderState.FILLED, 600, "777")])
    stocks.tick(1)

    assert before == {}
    assert stocks.fold.position(intent.signal_id).quantity == 600


def test_trade_is_over_with_its_own_reason_once_its_entry_is(stocks):
    intent, number = bought_in_part(stocks)
    stocks.tick(0)
    stocks.broker.end(number, ExitReason.TRAILING_STOP, D("1.0990"), quantity=D(400))
    stocks.tick(1)
    stocks.books.happened([event_of(stocks, intent, OrderState.CANCELLED)])
    stocks.tick(1)

    assert stocks.resolution(intent.signal_id).reason is ExitReason.TRAILING_STOP
    assert stocks.resolution(intent.signal_id).quantity == 400


def gone(stocks, low="1.0900"):
    """Have the stop act on a day whose executions nobody tells any more."""
    signal_id = stocks.trade(take_profit=None)
    stocks.bar(stocks.clock.now(), low, "1.1000")
    del stocks.broker.trades[stocks.number(signal_id)]
    stocks.start()
    stocks.clock.advance(24 * 3600)
    return signal_id


def test_position_that_was_sold_on_a_day_nobody_tells_of_any_more_ends_at_its_level(stocks):
    signal_id = gone(stocks)
    for _ in range(7):
        stocks.tick()
    resolution = stocks.resolution(signal_id)

    assert (resolution.reason, resolution.exit_price, resolution.realised) == (ExitReason.STOP_LOSS, D("1.0950"), D(-5))
    assert resolution.disputed
    stocks.tick()
    assert len(stocks.fold.resolutions) == 1


def test_position_that_is_gone_for_a_moment_only_goes_on(stocks):
    signal_id = gone(stocks)
    stocks.tick()

    assert stocks.fold.positions()[0].signal_id == signal_id


def test_position_that_is_gone_without_a_reason_is_named_and_not_ended(stocks):
    gone(stocks, low="1.0990")
    for _ in range(8):
        stocks.tick()

    assert len(stocks.fold.positions()) == 1
    assert "1000 EUR_USD are gone" in stocks.loop._untended


def test_sale_of_today_is_waited_for(stocks):
    signal_id = stocks.trade(take_profit=None)
    stocks.bar(stocks.clock.now(), "1.0900", "1.1000")
    del stocks.broker.trades[stocks.number(signal_id)]
    for _ in range(8):
        stocks.tick()

    assert len(stocks.fold.positions()) == 1


def test_stop_that_trailed_is_called_so_whatever_its_broker_remembers(stocks):
    signal_id = stocks.trade(take_profit=None, trailing_percent=D(10))
    stocks.tick(0)
    stocks.hit(signal_id, ExitReason.STOP_LOSS)
    stocks.tick(1)

    assert stocks.resolution(signal_id).reason is ExitReason.TRAILING_STOP


def test_exit_that_is_done_leaves_the_way_free_for_what_was_bought_beside_it(stocks):
    intent, number = bought_in_part(stocks)
    stocks.tick(0)
    whole = stocks.broker.trades[number]
    stocks.set_state(State.REDUCE, flatten=True)
    stocks.tick()
    # The exit of 400 is sent; before it is booked the entry buys 600 more.
    stocks.books.happened([event_of(stocks, intent, OrderState.FILLED, 600, "777")])
    stocks.broker.trades[number] = replace(whole, quantity=D(600))
    stocks.tick()
    stocks.tick()

    assert [one.quantity for one in stocks.exits()] == [400, 600]
    assert stocks.fold.positions() == []


def test_list_of_positions_that_lags_does_not_make_a_second_exit_too_large(stocks):
    intent, number = bought_in_part(stocks)
    stocks.tick(0)
    whole = stocks.broker.trades[number]
    stocks.set_state(State.REDUCE, flatten=True)
    stocks.tick()
    stocks.books.happened([event_of(stocks, intent, OrderState.FILLED, 600, "777")])
    stocks.broker.trades[number] = replace(whole, quantity=D(1000))
    stocks.tick()

    assert [one.quantity for one in stocks.exits()] == [400, 600]


def test_exit_that_ended_half_way_is_not_followed_by_another_before_its_half_is_booked(stocks):
    signal_id = stocks.trade(take_profit=None)
    stocks.tick(0)
    number = stocks.number(signal_id)
    whole = stocks.broker.trades[number]
    stocks.broker.accidents.append(stocks.Accident.HALF_FILLED)
    stocks.broker.page = 0
    stocks.set_state(State.REDUCE, flatten=True)
    stocks.tick()
    stocks.broker.trades[number] = whole
    stocks.tick()
    meanwhile = len(stocks.exits())
    stocks.broker.page = 1000
    stocks.tick()
    stocks.tick()

    assert meanwhile == 1
    assert [one.quantity for one in stocks.exits()] == [1000, 500]


def test_profit_of_a_trade_that_bought_on_after_a_part_was_sold_is_what_was_got_less_what_was_paid(stocks):
    intent, number = bought_in_part(stocks)
    stocks.tick(0)
    rest = replace(stocks.broker.trades[number], quantity=D(600))
    stocks.broker.end(number, ExitReason.TRAILING_STOP, D("1.0990"), quantity=D(400))
    stocks.tick(1)
    stocks.books.happened([event_of(stocks, intent, OrderState.FILLED, 600, "777", price="1.2000")])
    stocks.broker.trades[number] = rest
    stocks.broker.end(number, ExitReason.TRAILING_STOP, D("1.2100"), quantity=D(600))
    stocks.tick(1)

    assert stocks.resolution(intent.signal_id).realised == D("5.6")


def test_target_of_a_stock_is_taken_by_the_resolver(stocks):
    signal_id = stocks.trade()
    stocks.tick(0)
    stocks.bar(stocks.clock.now(), "1.0990", "1.1150")
    stocks.tick(300)
    stocks.tick(0)

    assert stocks.resolution(signal_id).reason is ExitReason.TAKE_PROFIT
