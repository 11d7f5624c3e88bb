"""Positions never close more than they opened, and the bankroll remembers its best day."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.bankroll import Bankroll
from domain.ledger.position import vwap
from domain.vocabulary import Side

D = Decimal
QUANTITIES = st.integers(1, 500).map(str)
PRICES = st.decimals(min_value=D("0.5"), max_value=2, places=5).map(str)
LOTS = st.lists(st.tuples(QUANTITIES, PRICES), min_size=1, max_size=6)
AMOUNTS = st.decimals(min_value=-1000, max_value=1000, places=2)


@given(LOTS, LOTS)
def test_what_is_open_is_never_negative_whatever_exits_are_tried(make, entries, exits):
    position = make.position(*[make.lot(f"in{n}", *lot) for n, lot in enumerate(entries)])

    for n, (quantity, price) in enumerate(exits):
        before = position
        if D(quantity) > position.quantity:
            with pytest.raises(ValueError, match="exceeds"):
                position.with_exit(make.lot(f"out{n}", quantity, price))
        else:
            position = position.with_exit(make.lot(f"out{n}", quantity, price))
            assert position.quantity == before.quantity - D(quantity)

    assert position.quantity_out <= position.quantity_in
    assert position.quantity >= 0
    assert position.entry_price == vwap(position.entries)


@pytest.mark.parametrize("add", ["with_entry", "with_exit"])
@pytest.mark.parametrize("known", ["in1", "out1"])
def test_a_fill_that_is_booked_already_changes_nothing(make, add, known):
    position = make.position(make.lot("in1", "100")).with_exit(make.lot("out1", "40"))

    assert getattr(position, add)(make.lot(known, "100")) is position


def test_a_further_entry_moves_the_entry_price_to_the_weighted_average(make):
    position = make.position(make.lot("a", "300", "1.10")).with_entry(make.lot("b", "100", "1.14"))

    assert position.quantity == 400
    assert position.entry_price == D("1.11")


@given(LOTS)
def test_the_average_price_lies_between_the_best_and_the_worst(make, lots):
    built = tuple(make.lot(str(n), *lot) for n, lot in enumerate(lots))

    assert min(lot.price for lot in built) - D("1e-20") <= vwap(built) <= max(lot.price for lot in built) + D("1e-20")


def test_realised_profit_is_after_the_fees_of_both_ways(make):
    position = make.position(make.lot("in", "100", fee=D("0.5")))

    assert position.with_exit(make.lot("out", "60", realised=D(12), fee=D("0.25"))).realised == D("11.25")


@pytest.mark.parametrize(
    ("side", "entry", "profit"),
    [
        (Side.BUY, "1.0899", "0.9"),  # closes at the bid, 1.0999: one cent on 100 units at 0.9 home a unit
        (Side.BUY, "1.1099", "-0.9"),
        (Side.SELL, "1.1101", "0.9"),  # closes at the ask, 1.1001
        (Side.SELL, "1.0901", "-0.9"),
    ],
)
def test_open_profit_is_marked_at_the_closing_price_in_home_currency(make, side, entry, profit):
    position = make.position(make.lot("in", "100", entry), side=side)

    assert position.marked(make.quote) == D(profit)


def test_only_what_is_still_open_is_marked(make):
    position = make.position(make.lot("in", "100", "1.0899")).with_exit(make.lot("out", "75"))

    assert position.marked(make.quote) == D("0.225")


def test_open_profit_is_unknown_without_a_quote_or_a_home_rate(make):
    position = make.position(make.lot("in", "100"))

    assert position.marked(None) is None
    assert position.marked(replace(make.quote, home_rate=None)) is None


@given(st.lists(AMOUNTS, max_size=20))
def test_the_high_water_mark_is_the_best_balance_ever_seen(make, amounts):
    bankroll = Bankroll(D(1000), "USD")
    balances = [bankroll.balance]

    for amount in amounts:
        bankroll.book(make.now, amount)
        balances.append(bankroll.balance)

    assert bankroll.high_water_mark == max(balances)
    assert bankroll.balance == 1000 + sum(amounts)
    assert bankroll.realised == sum(amounts)


def test_the_balance_before_a_moment_leaves_out_what_was_realised_at_it(make):
    bankroll = Bankroll(D(1000), "USD")
    for hours, amount in ((0, 1), (1, 10), (2, 100)):
        bankroll.book(make.now + timedelta(hours=hours), D(amount))

    assert bankroll.balance_before(make.now) == 1000
    assert bankroll.balance_before(make.now + timedelta(hours=1)) == 1001
    assert bankroll.balance_before(make.now + timedelta(hours=3)) == bankroll.balance == 1111


@pytest.mark.parametrize("initial", ["0", "-1"])
def test_a_bankroll_starts_above_zero(initial):
    with pytest.raises(ValueError, match="positive"):
        Bankroll(D(initial), "USD")
