"""Prices stand on the tick, sizes on the step, and a quote is never crossed."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.quotes import Bar, Ohlc
from domain.vocabulary import Side

D = Decimal
PRICES = st.decimals(min_value=D("0.00001"), max_value=10**6, places=7)
QUANTITIES = st.decimals(min_value=-(10**9), max_value=10**9, places=4)


@pytest.mark.parametrize(
    ("price", "nearest", "below", "above"),
    [
        ("1.10000", "1.10000", "1.10000", "1.10000"),
        ("1.10001", "1.10000", "1.10000", "1.10005"),
        ("1.10004", "1.10005", "1.10000", "1.10005"),
        ("1.100025", "1.10000", "1.10000", "1.10005"),
        ("1.100075", "1.10010", "1.10005", "1.10010"),
    ],
)
def test_a_price_is_rounded_to_the_nearest_tick_or_away_from_the_market_for_a_stop(make, price, nearest, below, above):
    instrument = make.instrument

    assert instrument.round_price(D(price)) == D(nearest)
    assert instrument.round_price(D(price), Side.BUY) == D(below)
    assert instrument.round_price(D(price), Side.SELL) == D(above)


@given(PRICES, st.sampled_from(["0.00001", "0.00005", "0.001", "0.25", "1"]))
def test_rounded_prices_stand_on_the_tick_on_the_right_side_and_stay_there(make, price, tick):
    instrument = replace(make.instrument, tick=D(tick))
    nearest = instrument.round_price(price)
    below, above = instrument.round_price(price, Side.BUY), instrument.round_price(price, Side.SELL)

    assert all(rounded % D(tick) == 0 for rounded in (nearest, below, above))
    assert below <= price <= above
    assert above - below in (0, D(tick))
    assert abs(nearest - price) <= D(tick) / 2
    assert instrument.round_price(below, Side.SELL) == below


@pytest.mark.parametrize(
    ("quantity", "rounded"),
    [("100", "100"), ("109.99", "100"), ("99.99", "0"), ("-109", "-100"), ("-99", "0"), ("0", "0"), ("1234", "1230")],
)
def test_a_quantity_is_rounded_towards_zero_and_too_small_a_one_is_none(make, quantity, rounded):
    assert make.instrument.round_quantity(D(quantity)) == D(rounded)


@given(QUANTITIES)
def test_a_rounded_quantity_is_never_more_than_asked_for(make, quantity):
    rounded = make.instrument.round_quantity(quantity)

    assert abs(rounded) <= abs(quantity)
    assert rounded % make.instrument.quantity_step == 0
    assert rounded == 0 or abs(rounded) >= make.instrument.quantity_min
    assert make.instrument.round_quantity(rounded) == rounded


@pytest.mark.parametrize(("bid", "ask"), [("1.1001", "1.1000"), ("-1", "1.1"), ("0", "0")])
def test_a_crossed_quote_or_one_without_a_price_is_refused(make, bid, ask):
    with pytest.raises(ValueError, match="0 <= bid <= ask"):
        replace(make.quote, bid=D(bid), ask=D(ask))


def test_an_event_contract_that_nobody_bids_for_has_a_quote(make):
    quote = replace(make.quote, bid=D(0), ask=D("0.02"))

    assert quote.mid == D("0.01")


def test_a_quote_without_spread_is_a_quote(make):
    quote = replace(make.quote, bid=D("1.1"), ask=D("1.1"))

    assert quote.spread == 0
    assert quote.mid == D("1.1")


@pytest.mark.parametrize("name", ["at", "received_at"])
def test_a_quote_refuses_a_naive_time(make, name):
    with pytest.raises(ValueError, match=rf"Quote\.{name} must be timezone-aware"):
        replace(make.quote, **{name: make.now.replace(tzinfo=None)})


@pytest.mark.parametrize("side", Side)
def test_a_trade_is_opened_and_closed_at_the_worse_price(make, side):
    quote = make.quote

    assert (quote.entry_price(side) - quote.exit_price(side)) * side.sign == quote.spread
    assert quote.entry_price(side) == quote.exit_price(side.opposite)


def test_a_bar_ends_where_the_next_begins_and_its_middle_lies_between_bid_and_ask(make):
    bid = Ohlc(open=D(1), high=D(4), low=D(1), close=D(2))
    ask = Ohlc(open=D(2), high=D(5), low=D(2), close=D(3))

    bar = Bar(market="EUR_USD", start=make.now, period_s=60, bid=bid, ask=ask, volume=3)

    assert bar.end == make.now + timedelta(minutes=1)
    assert bar.mid == Ohlc(open=D("1.5"), high=D("4.5"), low=D("1.5"), close=D("2.5"))
