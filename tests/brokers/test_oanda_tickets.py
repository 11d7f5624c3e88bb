"""Prices and sizes as text on the instrument's own precision."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.oanda import tickets
from domain.quotes import Instrument
from domain.vocabulary import Side

D = Decimal


def instrument(digits):
    return Instrument(
        name="X_Y",
        base="X",
        quote_currency="Y",
        tick=D(1).scaleb(-digits),
        pip=D(1).scaleb(1 - digits),
        quantity_step=D(1),
        quantity_min=D(1),
        quantity_max=D(10**8),
        margin_rate=D("0.05"),
    )


def test_yen_pairs_get_three_decimals_and_indices_one():
    assert tickets.price_text(instrument(3), D("109.12345")) == "109.123"
    assert tickets.price_text(instrument(1), D("10134")) == "10134.0"
    assert tickets.price_text(instrument(5), D("1.1")) == "1.10000"


def test_stops_and_bounds_are_rounded_away_from_the_market():
    assert tickets.price_text(instrument(3), D("109.1239"), Side.BUY) == "109.123"
    assert tickets.price_text(instrument(3), D("109.1231"), Side.SELL) == "109.124"


def test_distance_is_rounded_up_and_size_has_no_exponent():
    assert tickets.distance_text(instrument(3), D("0.0501")) == "0.051"
    assert tickets.units_text(instrument(5), D("1E+6")) == "1000000"


@given(digits=st.integers(0, 5), price=st.decimals("0.00001", "99999", allow_nan=False, places=9))
def test_price_text_always_has_exactly_the_instruments_decimals(digits, price):
    text = tickets.price_text(instrument(digits), price)

    assert "E" not in text.upper()
    assert len(text.partition(".")[2]) == digits
    assert abs(D(text) - price) <= D(1).scaleb(-digits)
