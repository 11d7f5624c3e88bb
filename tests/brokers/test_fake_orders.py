"""What a test can do to the orders that rest at the fake broker."""

from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.fake import Accident
from domain.errors import Refuse, Retry
from domain.ids import client_order_id
from domain.vocabulary import ExitReason, Leg, Link, OrderState, Surface, TimeInForce

D = Decimal


@pytest.fixture
def stocks(fake):
    fake.stop_orders = True
    return fake


@pytest.fixture
def held(stocks, entry):
    """An entry that has triggered, and its trade."""
    intent = entry(stocks.quotes(["EUR_USD"])["EUR_USD"], trigger=D("1.1"), price_bound=None, trailing_percent=D(10))
    stocks.submit(intent)
    return intent, next(iter(stocks.trades.values()))


def stop_id(intent, attempt=1):
    return client_order_id(Surface.FX, intent.signal_id, Leg.STOP, attempt)


def another(intent, trade, **changes):
    facts = {
        "client_order_id": stop_id(intent, 2), "leg": Leg.STOP, "attempt": 2, "side": intent.side.opposite,
        "broker_trade_id": trade.trade_id, "trigger": D("1.05"), "trailing_percent": None, "tif": TimeInForce.GTC,
    }  # fmt: skip
    return replace(intent, **(facts | changes))


def test_fired_stop_closes_its_trade_under_its_own_name(stocks, held):
    intent, _ = held
    fill = stocks.fire(stop_id(intent), D("1.08"))
    [event] = stocks.find(stop_id(intent), since=stocks.clock.now())

    assert (fill.client_order_id, fill.price, fill.reason) == (stop_id(intent), D("1.08"), ExitReason.TRAILING_STOP)
    assert (event.state, event.price) == (OrderState.FILLED, D("1.08"))
    assert (stocks.trades, stocks.orders) == ({}, {})


def test_two_stops_may_rest_at_once_and_go_with_their_trade(stocks, held):
    intent, trade = held
    stocks.submit(another(intent, trade))
    resting = [order.client_order_id for order in stocks.resting()]
    stocks.end(trade.trade_id, ExitReason.BROKER)

    assert resting == [stop_id(intent), stop_id(intent, 2)]
    assert stocks.resting() == []


def test_stop_without_a_level_sells_at_once(stocks, held):
    intent, trade = held
    [event] = stocks.submit(another(intent, trade, trigger=None))

    assert (event.state, event.leg) == (OrderState.FILLED, Leg.STOP)
    assert (stocks.trades, stocks.orders) == ({}, {})


def test_stop_of_no_trade_is_rejected_and_firing_one_that_does_not_rest_is_refused(stocks, held):
    intent, trade = held
    [event] = stocks.submit(another(intent, trade, broker_trade_id="7777"))

    assert (event.state, event.reason) == (OrderState.REJECTED, "TRADE_DOESNT_EXIST")
    with pytest.raises(Refuse):
        stocks.fire(stop_id(intent, 2))


def test_lost_bracket_leaves_a_triggered_entry_bare(stocks, entry):
    stocks.accidents.append(Accident.BRACKET_LOST)
    intent = entry(stocks.quotes(["EUR_USD"])["EUR_USD"], trigger=D("1.2"), price_bound=None, take_profit=None)
    stocks.submit(intent)
    stocks.price("EUR_USD", "1.20000", "1.20010")
    [trade] = stocks.open_trades()

    assert (trade.client_order_id, trade.stop_loss) == (intent.client_order_id, None)
    assert stocks.resting() == []


def test_orders_cannot_be_read_while_the_broker_is_away(stocks):
    stocks.down, stocks.connection = True, (Link.DOWN, "1100")

    assert stocks.link() == (Link.DOWN, "1100")
    with pytest.raises(Retry):
        stocks.resting()
    with pytest.raises(Retry):
        stocks.amend("tb", quantity=D(1))
