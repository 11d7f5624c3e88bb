"""Amounts never travel without their currency."""

from decimal import Decimal
from operator import add, sub

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money

D = Decimal
AMOUNTS = st.decimals(min_value=-(10**12), max_value=10**12, places=4)


@pytest.mark.parametrize("operation", [add, sub])
def test_two_currencies_are_never_mixed(operation):
    with pytest.raises(ValueError, match="cannot mix USD and EUR"):
        operation(Money(D(1), "USD"), Money(D(1), "EUR"))


@given(AMOUNTS, AMOUNTS)
def test_adding_and_taking_away_gives_the_same_money_back(first, second):
    money = Money(first, "USD")

    assert money + Money(second, "USD") - Money(second, "USD") == money
    assert money + -money == Money(D(0), "USD")


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("0.005", "0.00"), ("0.015", "0.02"), ("0.025", "0.02"), ("-0.015", "-0.02"), ("1.0150001", "1.02")],
)
def test_rounding_takes_a_half_to_the_even_cent(amount, rounded):
    assert str(Money(D(amount), "USD").rounded().amount) == rounded


@given(AMOUNTS)
def test_rounding_moves_an_amount_by_at_most_half_a_quantum_and_only_once(amount):
    rounded = Money(amount, "JPY").rounded(D(1))

    assert abs(rounded.amount - amount) <= D("0.5")
    assert rounded.rounded(D(1)) == rounded


def test_money_shows_amount_and_currency():
    assert str(Money(D("-1.50"), "USD")) == "-1.50 USD"


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_money_is_finite(amount):
    with pytest.raises(ValueError, match="finite"):
        Money(D(amount), "USD")


@pytest.mark.parametrize("currency", ["", "usd", "US", "USDT", "U1D", "ÄÖÜ", "USD\n"])
def test_a_currency_is_three_capitals(currency):
    with pytest.raises(ValueError, match="three capitals"):
        Money(D(1), currency)
