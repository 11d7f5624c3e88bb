"""Splits: counts and prices that jump by a small ratio, and what is left of a holding afterwards."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.stop_entry.splits import RATIOS, off_scale, rescale, suspect

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


def test_a_holding_is_rescaled_down_to_whole_shares_and_its_prices_down_to_the_tick() -> None:
    seven = rescale(D(10), (D("645.57"), D("581.01")), Fraction(7), tick=TICK)
    half = rescale(D(5), (D(30),), Fraction(3, 2), tick=TICK)
    reverse = rescale(D(15), (D("0.33"),), Fraction(1, 10), tick=TICK)

    assert (seven.quantity, seven.fraction, seven.prices) == (D(70), D(0), (D("92.22"), D("83.00")))
    assert (half.quantity, half.fraction, half.prices) == (D(7), D("0.5"), (D("20.00"),))
    assert (reverse.quantity, reverse.fraction, reverse.prices) == (D(1), D("0.5"), (D("3.30"),))


def test_fractional_accounts_keep_their_fraction_and_no_price_becomes_nothing() -> None:
    kept = rescale(D(5), (D("0.01"),), Fraction(3, 2), tick=TICK, step=D("0.0001"))

    assert (kept.quantity, kept.fraction, kept.prices) == (D("7.5"), D(0), (TICK,))
    with pytest.raises(ValueError, match="above 0"):
        rescale(D(5), (), Fraction(0), tick=TICK)


@given(shares=st.integers(1, 10_000), ratio=st.sampled_from(RATIOS))
def test_what_a_split_makes_of_a_holding_is_suspected_of_being_that_split(shares: int, ratio: Fraction) -> None:
    after = rescale(D(shares), (), ratio, tick=TICK)
    total = after.quantity + after.fraction

    # A third of a share has no decimal of its own, so it is met with its fraction paid out.
    count = total if ratio.denominator != 3 else after.quantity
    found = suspect(D(shares), count)
    assert found is not None or count == 0 or count == shares
    assert abs(total * ratio.denominator / ratio.numerator - shares) < D("1e-20")


@given(price=st.decimals("0.01", "5000", places=2), ratio=st.sampled_from(RATIOS), drift=st.floats(0.97, 1.03))
def test_every_split_is_seen_through_an_ordinary_night(price: Decimal, ratio: Fraction, drift: float) -> None:
    after = D(str(float(price) * float(1 / ratio) * drift))

    assert off_scale(after, price) is not None
