"""Which entry each exit closed: by the signal both belong to, whatever the order in which fills became known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.linking import in_order, pairs
from domain.corporate import Split, rescale_lot
from domain.ledger.position import Lot

D = Decimal
START = datetime(2026, 3, 4, 15, tzinfo=UTC)
MARK = D("101.5")


def lot(name, quantity, price, minute=0, **changes):
    at = START + timedelta(minutes=minute)
    return Lot(transaction_id=name, quantity=D(quantity), price=D(price), at=at, **changes)


lots = st.tuples(st.integers(1, 40), st.integers(9_000, 11_000), st.integers(0, 9), st.integers(0, 300))


@st.composite
def signals(draw):
    """Return entries and exits of a few signals of one market; none closes more than it entered."""
    found = []
    for signal in range(draw(st.integers(1, 4))):
        ins = [made(f"{signal}-in-{n}", *one) for n, one in enumerate(draw(st.lists(lots, min_size=1, max_size=4)))]
        left, outs = sum(one.quantity for one in ins), []
        for n, one in enumerate(draw(st.lists(lots, max_size=4))):
            exit_ = made(f"{signal}-out-{n}", *one)
            if exit_.quantity <= left:
                outs.append(exit_)
                left -= exit_.quantity
        found.append((ins, outs))
    return found


def made(name, quantity, cents, minute, fee):
    return lot(name, quantity, D(cents) / 100, minute, fee=D(fee) / 100)


def structural(found, sign):
    return [pair for ins, outs in found for pair in pairs(ins, outs, sign)]


def first_in_first_out(found, sign):
    ins, outs = [one for first, _ in found for one in first], [one for _, second in found for one in second]
    return pairs(ins, outs, sign, "inferred")


def linked(found, name):
    return sum((pair.quantity for pair in found if name in (pair.entry.transaction_id, pair.exit.transaction_id)), D(0))


sides = st.sampled_from([1, -1])
linkings = st.sampled_from([structural, first_in_first_out])


@given(signals(), sides, linkings)
def test_no_fill_is_linked_for_more_than_it_filled_and_no_exit_for_less(found, sign, linking):
    made_of = linking(found, sign)

    for ins, outs in found:
        assert all(linked(made_of, one.transaction_id) <= one.quantity for one in ins)
        assert all(linked(made_of, one.transaction_id) == one.quantity for one in outs)


@given(signals(), sides, linkings)
def test_pairs_and_what_is_open_make_the_cash_flow_whatever_the_linking(found, sign, linking):
    made_of = linking(found, sign)
    ins, outs = [one for first, _ in found for one in first], [one for _, second in found for one in second]
    paid, got = sum(one.quantity * one.price for one in ins), sum(one.quantity * one.price for one in outs)
    still_open = [(one.quantity - linked(made_of, one.transaction_id), one.price) for one in ins]
    marked = sum(left * (MARK - price) * sign for left, price in still_open)
    held = sum(left for left, _ in still_open)

    assert sum(pair.gross for pair in made_of) + marked == (got - paid + held * MARK) * sign


@given(signals(), linkings)
def test_closed_fills_leave_their_fees_in_their_pairs(found, linking):
    made_of = linking(found, 1)
    spent = sum(
        one.fee * linked(made_of, one.transaction_id) / one.quantity
        for first in found
        for many in first
        for one in many
    )

    assert sum(pair.fees for pair in made_of) == pytest.approx(spent)
    assert all(pair.net == pair.gross - pair.fees for pair in made_of)


@given(signals(), sides, linkings, st.randoms())
def test_the_order_in_which_fills_become_known_changes_no_pair(found, sign, linking, chance):
    shuffled = [(chance.sample(ins, len(ins)), chance.sample(outs, len(outs))) for ins, outs in found]
    chance.shuffle(shuffled)

    assert set(linking(shuffled, sign)) == set(linking(found, sign))


@given(signals(), sides, linkings, st.randoms())
def test_a_replay_changes_no_pair(found, sign, linking, chance):
    again = [(ins + chance.choices(ins, k=2), outs + outs) for ins, outs in found]

    assert linking(again, sign) == linking(found, sign)


@given(signals(), st.randoms())
def test_a_correction_counts_wherever_it_comes(found, chance):
    corrected = [([replace(one, price=one.price + 1, revision=1) for one in ins], outs) for ins, outs in found]
    both = zip(found, corrected, strict=True)
    mixed = [(chance.sample(old + new, len(old + new)), outs) for (old, outs), (new, _) in both]

    assert structural(mixed, 1) == structural(corrected, 1)


def test_first_in_first_out_names_the_loser_of_two_strategies_the_winner():
    # The swing buys at 100 and sells at 112; in between the scalp buys at 95 and gives up at 90.
    swing = [lot("swing", 10, "100", 0)], [lot("s-out", 10, "112", 3)]
    scalp = [lot("scalp", 10, "95", 1)], [lot("c-out", 10, "90", 2)]
    truth = {pair.entry.transaction_id: pair.gross for pair in structural([swing, scalp], 1)}
    queued = {pair.entry.transaction_id: pair.gross for pair in first_in_first_out([swing, scalp], 1)}

    assert truth == {"swing": 120, "scalp": -50}
    assert queued == {"swing": -100, "scalp": 170}
    assert sum(truth.values()) == sum(queued.values())


def test_an_exit_beyond_what_was_entered_closes_nothing():
    (pair,) = pairs([lot("in", 10, "100")], [lot("out", 15, "101", 1)], 1)

    assert (pair.quantity, pair.gross) == (10, 10)


def test_a_busted_fill_is_in_no_pair():
    bust = replace(lot("out", 10, "101", 1), quantity=D(0), revision=1)

    assert pairs([lot("in", 10, "100")], [lot("out", 10, "101", 1), bust], 1) == ()


def test_a_split_between_entry_and_exit_changes_shares_and_no_money():
    split = Split(market="AAPL", signal_id="s", new=7, old=1, effective_at=START + timedelta(minutes=5))
    entry, exit_ = lot("in", 10, "645.61", fee=D("0.70")), lot("out", 70, "93.70", 9, fee=D("0.35"))
    (pair,) = pairs([rescale_lot(one, [split]) for one in [entry]], [rescale_lot(one, [split]) for one in [exit_]], 1)

    assert pair.quantity == 70
    assert pair.gross == pytest.approx(70 * D("93.70") - 10 * D("645.61"))
    assert pair.fees == D("1.05")


def test_fills_of_one_moment_have_an_order_all_the_same():
    both = [lot("b", 1, "2"), lot("a", 1, "1")]

    assert [one.transaction_id for one in in_order(both)] == ["a", "b"]
    assert in_order(both) == in_order(reversed(both))
