"""Limits that a surface of stocks cannot do without."""

from decimal import Decimal

import pytest

from domain.vocabulary import Side
from risk.stock_limits import StockLimits


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"one_per_market": False}, "one_per_market must be true"),
        ({"sides": (Side.BUY, Side.SELL)}, "nothing is sold short"),
        ({"daily_loss": Decimal(10**6)}, "daily_loss"),
    ],
)
def test_limit_that_stocks_cannot_be_traded_with_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        StockLimits(bankroll=Decimal(20_000), **changes)


def test_limits_of_stocks_stand_as_they_are():
    assert StockLimits(bankroll=Decimal(20_000)).one_per_market
