"""The taker fee: the formula, rounded up to the cent an order."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Refuse
from strategies.event.fees import TAKER_RATE, fee_per_contract, taker_fee

prices = st.integers(1, 99).map(lambda cents: Decimal(cents) / 100)
counts = st.integers(1, 10_000).map(Decimal)


@pytest.mark.parametrize(
    ("price", "contracts", "fee"),
    [("0.50", 1, "0.02"), ("0.50", 10, "0.18"), ("0.50", 100, "1.75"), ("0.05", 100, "0.34"), ("0.10", 100, "0.63")],
)
def test_the_fee_is_that_of_the_schedule(price: str, contracts: int, fee: str) -> None:
    assert taker_fee(Decimal(price), Decimal(contracts)) == Decimal(fee)


@given(prices, counts)
def test_the_fee_is_never_below_the_formula_and_less_than_a_cent_above(price: Decimal, contracts: Decimal) -> None:
    fee, raw = taker_fee(price, contracts), TAKER_RATE * contracts * price * (1 - price)

    assert raw <= fee < raw + Decimal("0.01")
    assert fee == taker_fee(1 - price, contracts)
    assert fee_per_contract(price, contracts) * contracts == pytest.approx(fee)


def test_a_multiplier_scales_the_fee() -> None:
    assert taker_fee(Decimal("0.5"), Decimal(100), fee_multiplier=Decimal("0.5")) == Decimal("0.88")
    assert taker_fee(Decimal("0.5"), Decimal(100), fee_multiplier=Decimal(0)) == 0


def test_an_unknown_kind_of_fee_and_a_price_that_is_none_are_refused() -> None:
    with pytest.raises(Refuse, match="flat"):
        taker_fee(Decimal("0.5"), Decimal(1), fee_type="flat")
    with pytest.raises(Refuse):
        taker_fee(Decimal(50), Decimal(1))
    with pytest.raises(Refuse):
        fee_per_contract(Decimal("0.5"), Decimal(0))
