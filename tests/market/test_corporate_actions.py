"""Splits: factors read, history made comparable, and a history that does not fit its ticks recognised."""

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Misconfigured
from domain.quotes import Bar, Ohlc
from market.corporate_actions import Factors, SplitEvent, adjust, factors_of, read_factors

D = Decimal
FRIDAY, MONDAY = date(2014, 6, 6), date(2014, 6, 9)
AAPL = factors_of("AAPL")
# Raw closes around the splits of 2014 (7 for 1) and 2020 (4 for 1), as the exchange printed them.
CLOSES = {FRIDAY: "645.57", MONDAY: "93.70", date(2020, 8, 28): "499.23", date(2020, 8, 31): "129.04"}


def bar(close, at, volume=70):
    side = Ohlc(open=D(close), high=D(close) + 1, low=D(close) - 1, close=D(close))
    return Bar(market="AAPL", start=at, period_s=60, bid=side, ask=side, volume=volume)


def close_of(day, at_utc=15):
    return bar(CLOSES[day], datetime(day.year, day.month, day.day, at_utc, tzinfo=UTC))


def test_closes_across_both_splits_of_apple_read_without_a_jump():
    adjusted = [round(one.bid.close, 3) for one in adjust([close_of(day) for day in CLOSES], AAPL)]

    assert adjusted == [D("23.056"), D("23.425"), D("124.808"), D("129.040")]


def test_every_price_is_divided_by_seven_and_the_volume_multiplied():
    (found,) = adjust([close_of(FRIDAY)], AAPL, as_of=MONDAY)

    assert [round(price, 4) for price in (found.bid.open, found.bid.high, found.ask.low, found.ask.close)] == [
        D("92.2243"),
        D("92.3671"),
        D("92.0814"),
        D("92.2243"),
    ]
    assert found.volume == 490


def test_a_split_of_tomorrow_is_not_known_today():
    friday = close_of(FRIDAY)

    assert adjust([friday], AAPL, as_of=FRIDAY) == [friday]


def test_the_day_of_a_bar_is_that_of_the_exchange():
    late = bar("645.57", datetime(2014, 6, 6, 23, 59, tzinfo=UTC))  # 19:59 in New York
    winter = bar("100", datetime(2014, 6, 7, 3, 59, tzinfo=UTC))  # 23:59 in New York, still Friday

    assert [round(one.bid.close, 2) for one in adjust([late, winter], AAPL, as_of=MONDAY)] == [D("92.22"), D("14.29")]


def test_dividends_count_only_when_asked_for():
    (split_only,) = adjust([close_of(MONDAY)], AAPL, as_of=date(2014, 8, 7))
    (total,) = adjust([close_of(MONDAY)], AAPL, as_of=date(2014, 8, 7), with_dividends=True)

    assert split_only.bid.close == D("93.70")
    assert round(total.bid.close / split_only.bid.close, 6) == round(D("0.9011818") / D("0.9056639"), 6)
    assert total.volume == split_only.volume


@pytest.mark.parametrize(
    ("symbol", "shares"),
    [
        ("AAPL", ["2", "2", "7", "4"]),
        ("AIG", ["3/2", "5/4", "3/2", "1/20"]),
        ("IBM", ["2"]),
        ("SPY", []),
        ("TWX", ["2", "2", "2", "2", "1/3"]),
    ],
)
def test_rounded_factors_are_read_as_the_splits_they_stand_for(symbol, shares):
    assert [str(one.shares) for one in factors_of(symbol).splits()] == shares


def test_a_split_names_the_last_day_of_the_old_shares():
    assert SplitEvent(last=FRIDAY, shares=Fraction(7)) in AAPL.splits()


@pytest.mark.parametrize(
    ("first", "second", "shares"),
    [
        (FRIDAY, MONDAY, Fraction(7)),
        (date(2014, 5, 6), FRIDAY, Fraction(1)),
        (FRIDAY, date(2020, 8, 31), Fraction(28)),
        (MONDAY, FRIDAY, Fraction(1, 7)),
        (MONDAY, date(2035, 1, 1), Fraction(4)),
    ],
)
def test_shares_held_from_one_day_to_another_multiply(first, second, shares):
    assert AAPL.split_between(first, second) == shares


def test_a_reference_price_is_told_in_the_shares_of_its_reader():
    assert round(AAPL.reference_price(D("645.57"), FRIDAY, MONDAY), 4) == D("92.2243")


def test_a_symbol_without_a_file_never_split():
    factors = factors_of("NVDA")

    assert factors == Factors("NVDA")
    assert adjust([close_of(FRIDAY)], factors) == [close_of(FRIDAY)]


@given(st.dates(date(1999, 1, 1), date(2021, 1, 1)), st.dates(date(1999, 1, 1), date(2021, 1, 1)))
def test_there_and_back_is_where_one_was(first, second):
    assert AAPL.split_between(first, second) * AAPL.split_between(second, first) == 1


@pytest.mark.parametrize(
    "line", ["2014-06-06,1,1", "20140606,1", "20140606,one,1", "20140606,1,0", "20140606,1,1\n20140606,1,1"]
)
def test_a_file_that_reads_otherwise_is_refused(tmp_path, line):
    path = tmp_path / "aapl.csv"
    path.write_text(line + "\n")

    with pytest.raises(Misconfigured, match=r"aapl\.csv"):
        read_factors(path, "AAPL")


def test_rows_of_a_file_may_stand_in_any_order(tmp_path):
    path = tmp_path / "abc.csv"
    path.write_text("# a comment\n20501231,1,1,0\n20140606,1,0.5,10\n\n")

    assert read_factors(path, "ABC").split_between(FRIDAY, MONDAY) == 2
