"""What a stock's trade comes to, whatever its broker makes of it, and when it is over."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.corporate import Split
from domain.order import OrderEvent
from domain.vocabulary import ExitReason, Leg, OrderState, Surface

D = Decimal


@pytest.fixture
def stocks(make_stage):
    return make_stage("stocks", surface=Surface.STK)


def event_of(stocks, intent, state, quantity=0, number="1"):
    now = stocks.clock.now()
    return OrderEvent(
        client_order_id=intent.client_order_id,
        signal_id=intent.signal_id,
        leg=Leg.ENTRY,
        state=state,
        happened_at=now,
        learned_at=now,
        quantity=D(quantity),
        price=D("1.1000") if quantity else None,
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
