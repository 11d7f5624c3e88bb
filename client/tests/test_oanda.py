"""The real SDK against the venue simulator over HTTP."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from tbot_client.brokers.oanda import OandaBroker
from tbot_client.brokers.port import Levels, NotFilled, Opened, Order, Reduced
from tbot_client.errors import Ask, Refused, Retry, Unreachable

ORDERS = "/v3/accounts/*/orders"


def order(client_id, side="buy", units=1000, spread="0.01"):
    far = D(spread)
    sign = 1 if side == "buy" else -1
    levels = Levels(stop=D("1.38601234567") - sign * far, target=D("1.386") + sign * far, trailing=D("0.0051234"))
    return Order(
        client_id=client_id, instrument="EUR_USD", side=side, units=D(units), levels=levels, reference=D("1.386")
    )


def test_a_fill_is_read_and_its_protective_orders_rest_with_the_instruments_digits(oanda):
    (fill,) = oanda.place(order("tc-a"))
    assert isinstance(fill, Opened)
    assert (fill.client_id, fill.units) == ("tc-a", D(1000))
    (position,) = oanda.positions()
    assert position.levels == (D("1.37601"), D("1.39600"), D("0.00512"))
    assert (position.trade_id, position.side, position.units) == (fill.trade_id, "buy", D(1000))


def test_a_sell_is_a_position_of_positive_units(oanda):
    oanda.place(order("tc-s", side="sell"))
    (position,) = oanda.positions()
    assert (position.side, position.units) == ("sell", D(1000))


def test_an_instrument_and_its_price_are_read(oanda):
    found = oanda.instrument("EUR_USD")
    assert (found.price_digits, found.unit_digits, found.minimum) == (5, 0, D(1))
    quote = oanda.quote("EUR_USD", D(1))
    assert D("1.3") < quote.bid < quote.ask < D("1.5")
    assert (quote.tradeable, quote.home_rate) == (True, D(1))
    assert oanda.instrument("EUR_XXX") is None


def test_levels_are_replaced_and_a_trailing_stop_removed(oanda):
    (fill,) = oanda.place(order("tc-p"))
    oanda.protect(fill.trade_id, "EUR_USD", Levels(stop=D("1.38"), target=D("1.40")))
    assert oanda.positions()[0].levels == (D("1.38000"), D("1.40000"), None)


def test_a_close_reports_the_brokers_own_result(oanda):
    (fill,) = oanda.place(order("tc-c"))
    (end,) = oanda.close(fill.trade_id, None)
    assert isinstance(end, Reduced)
    assert (end.trade_id, end.units, end.currency, end.reason) == (fill.trade_id, D(1000), "USD", "broker")
    assert end.realised == (end.price - fill.price) * 1000
    with pytest.raises(Refused):
        oanda.close(fill.trade_id, None)


def test_transactions_since_an_id_tell_the_same_story_as_the_replies(oanda):
    start = oanda.account().last_id
    (fill,) = oanda.place(order("tc-t"))
    (end,) = oanda.close(fill.trade_id, None)
    events, newest = oanda.since(start)
    assert events == [fill, end]
    assert oanda.since(newest) == ([], newest)


def test_transactions_listed_twice_are_one_event_each_for_the_booking(oanda, venue):
    start = oanda.account().last_id
    (fill,) = oanda.place(order("tc-d"))
    venue.fault("duplicate_transactions")
    events, _ = oanda.since(start)
    assert {event.id for event in events} == {fill.id}


def test_a_dropped_reply_is_an_unknown_outcome_and_the_order_is_found_by_our_id(oanda, venue):
    venue.fault("drop_after_accept", ORDERS)
    with pytest.raises(Ask):
        oanda.place(order("tc-drop"))
    (found,) = oanda.find("tc-drop")
    assert (found.client_id, found.units) == ("tc-drop", D(1000))


def test_an_order_that_never_arrived_is_not_found(oanda, venue):
    venue.fault("drop_before_accept", ORDERS)
    with pytest.raises(Ask):
        oanda.place(order("tc-lost"))
    assert oanda.find("tc-lost") == []


@pytest.mark.parametrize(("status", "error"), [(503, Ask), (500, Ask), (429, Retry), (401, Unreachable)])
def test_statuses_are_told_apart(oanda, venue, status, error):
    venue.fault("status", ORDERS, status=status)
    with pytest.raises(error):
        oanda.place(order(f"tc-{status}"))
    assert venue.trades() == []


def test_a_reply_that_is_not_json_is_an_unknown_outcome(oanda, venue):
    venue.fault("non_json", ORDERS)
    with pytest.raises(Ask):
        oanda.place(order("tc-html"))


def test_a_201_that_was_cancelled_is_not_a_fill(oanda, venue):
    venue.fault("cancel_201", reason="INSUFFICIENT_LIQUIDITY")
    (event,) = oanda.place(order("tc-cancel"))
    assert isinstance(event, NotFilled)
    assert event.reason == "INSUFFICIENT_LIQUIDITY"


def test_a_rejection_carries_the_brokers_word(oanda, venue):
    venue.fault("reject", reason="INSTRUMENT_NOT_TRADEABLE")
    with pytest.raises(Refused) as caught:
        oanda.place(order("tc-reject"))
    assert caught.value.reason == "INSTRUMENT_NOT_TRADEABLE"


def test_the_broker_itself_refuses_a_second_trade_with_our_id(oanda, venue):
    oanda.place(order("tc-twice"))
    (event,) = oanda.place(order("tc-twice"))
    assert isinstance(event, NotFilled)
    assert event.reason == "CLIENT_TRADE_ID_ALREADY_EXISTS"
    assert len(venue.trades()) == 1


def test_a_wrong_token_is_told_without_repeating_it(venue):
    from tbot_client.config import Broker

    settings = Broker(kind="oanda", account_id="101-001-7654321-001", token="not-the-token", api_url=venue.url)
    broker = OandaBroker(replace(settings, stream_url=venue.url))
    with pytest.raises(Unreachable) as caught:
        broker.account()
    broker.shut()
    assert "not-the-token" not in str(caught.value)


def test_a_broker_that_is_away_is_a_retry():
    from tbot_client.config import Broker

    broker = OandaBroker(Broker(kind="oanda", account_id="a", token="t", api_url="http://127.0.0.1:9"))
    with pytest.raises(Retry):
        broker.account()
    broker.shut()
