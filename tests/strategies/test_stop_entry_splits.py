"""Splits: counts and prices that jump by a small ratio, and what is left of a holding afterwards."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.stop_entry.splits import RATIOS, off_scale, suspect

D = Decimal
TICK = D("0.01")


@pytest.mark.parametrize(
    ("ours", "brokers", "ratio"),
    [
        (D(10), D(70), Fraction(7)),
        (D(10), D(20), Fraction(2)),
        (D(10), D(200), Fraction(20)),
        (D(10), D(15), Fraction(3, 2)),
        (D(5), D("7.5"), Fraction(3, 2)),
        (D(20), D(1), Fraction(1, 20)),
        (D(15), D("1.5"), Fraction(1, 10)),
        (D(15), D(7), Fraction(1, 2)),
        (D(10), D(10), None),
        (D(10), D(13), None),
        (D(10), D(210), None),
        (D(10), D(0), None),
        (D(0), D(10), None),
        (D(10), D(-20), None),
    ],
)
def test_a_count_that_jumped_by_a_small_ratio_is_a_suspect(
    ours: Decimal, brokers: Decimal, ratio: Fraction | None
) -> None:
    assert suspect(ours, brokers) == ratio


@pytest.mark.parametrize(
    ("price", "reference", "ratio"),
    [
        (D("92.7"), D("645.57"), Fraction(7)),  # Apple's 7:1 of June 2014
        (D(50), D(100), Fraction(2)),
        (D("52.4"), D(100), Fraction(2)),
        (D("53"), D(100), None),
        (D(67), D(100), Fraction(3, 2)),
        (D(1000), D(100), Fraction(1, 10)),
        (D(100), D(100), None),
        (D(90), D(100), None),
        (D(120), D(100), None),
        (D(0), D(100), None),
        (None, D(100), None),
        (D(100), None, None),
    ],
)
def test_a_price_near_a_small_ratio_of_the_last_close_is_off_the_scale(
    price: Decimal | None, reference: Decimal | None, ratio: Fraction | None
) -> None:
    assert off_scale(price, reference) == ratio


@given(shares=st.integers(1, 10_000), ratio=st.sampled_from(RATIOS))
def test_what_a_split_makes_of_a_holding_is_suspected_of_being_that_split(shares: int, ratio: Fraction) -> None:
    exact = shares * ratio
    # A part of a share is paid out in cash where the split makes one.
    count = exact.numerator // exact.denominator

    assert suspect(D(shares), D(count)) is not None or count in (0, shares)


@given(price=st.decimals("0.01", "5000", places=2), ratio=st.sampled_from(RATIOS), drift=st.floats(0.97, 1.03))
def test_every_split_is_seen_through_an_ordinary_night(price: Decimal, ratio: Fraction, drift: float) -> None:
    after = D(str(float(price) * float(1 / ratio) * drift))

    assert off_scale(after, price) is not None
