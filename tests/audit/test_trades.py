"""Closed trades as rows, and the fills they were made of."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from audit.trades import Trade, fills, links, trades
from domain.corporate import Split
from domain.vocabulary import Kind, Leg, OrderState, Side, Surface

D = Decimal
OPENED = datetime(2026, 3, 4, 12, tzinfo=UTC)
FILLED, PARTIAL = OrderState.FILLED, OrderState.PARTIAL


def ended(story, n, realised="5", **changes):
    facts = {"opened_at": OPENED, "resolved_at": OPENED + timedelta(minutes=90)}
    story.resolve(n, realised, **{**facts, **changes})


def rows(story, tmp_path, since=None):
    story.write(tmp_path)
    return list(trades(tmp_path, since))


@pytest.mark.parametrize(("realised", "outcome"), [("5", "win"), ("-5", "loss"), ("0", "even")])
def test_a_row_tells_what_a_trade_came_to(story, tmp_path, realised, outcome):
    ended(story, 1, realised)
    (row,) = rows(story, tmp_path)

    assert (row.surface, row.signal_id, row.outcome) == ("fx", story.signal(1), outcome)
    assert (row.gross, row.fees, row.realised) == (D(realised) + D("0.1"), D("0.1"), D(realised))
    assert row.minutes == 90
    assert Trade.columns()[0] == "surface"


@pytest.mark.parametrize(
    ("side", "exit_price", "realised", "fees", "percent"),
    [
        (Side.BUY, "1.21", "10.9", "0.1", D("9.909091")),
        (Side.SELL, "1.045", "5.4", "0.1", D("4.909091")),
        # In a currency worth half of what the prices are in: what was put in is not known in it.
        (Side.BUY, "1.21", "5.45", "0.05", None),
    ],
)
def test_a_return_is_told_where_money_and_prices_are_in_one_currency(
    story, tmp_path, side, exit_price, realised, fees, percent
):
    ended(story, 1, realised, side=side, exit_price=D(exit_price), fees=D(fees))
    (row,) = rows(story, tmp_path)

    assert row.return_percent == percent


def test_rows_of_several_surfaces_come_in_the_order_of_writing(story, new_story, tmp_path):
    other = new_story(Surface.STK)
    for n in (1, 2, 3):
        ended(story, n)
        other.now = story.now
        ended(other, n + 10)
        story.now = other.now
    other.write(tmp_path)
    found = rows(story, tmp_path)

    assert [row.surface for row in found] == ["fx", "stk"] * 3


def test_since_leaves_out_what_was_written_before(story, tmp_path):
    ended(story, 1)
    moment = story.now + timedelta(milliseconds=1)
    ended(story, 2)

    assert [row.signal_id for row in rows(story, tmp_path, moment)] == [story.signal(2)]


def test_a_row_is_only_read_when_it_is_asked_for(story, tmp_path):
    for n in range(3):
        ended(story, n)
    story.write(tmp_path)
    found = trades(tmp_path, None)

    assert next(found).signal_id == story.signal(0)
    assert [row.signal_id for row in found] == [story.signal(1), story.signal(2)]


def bought_and_sold(story, n=1):
    story.decide(n)
    first = story.happen(n, PARTIAL, 60, "in-1", price="1.10")
    story.happen(n, FILLED, 40, "in-2", price="1.20")
    story.happen(n, PARTIAL, 70, "out-1", leg=Leg.EXIT, attempt=0, price="1.30")
    story.happen(n, FILLED, 30, "out-2", leg=Leg.EXIT, attempt=0, price="1.40")
    ended(story, n)
    return first


def linked(story, tmp_path):
    story.write(tmp_path)
    found = links(tmp_path / "fx", trades(tmp_path, None))
    return [(pair.entry.transaction_id, pair.exit.transaction_id, pair.quantity, pair.gross) for _, pair in found]


def test_fills_are_linked_within_their_trade(story, tmp_path):
    bought_and_sold(story, 1)
    story.now += timedelta(seconds=5)

    assert linked(story, tmp_path) == [
        ("in-1", "out-1", 60, D(12)),
        ("in-2", "out-1", 10, D(1)),
        ("in-2", "out-2", 30, D(6)),
    ]


def test_a_fill_told_twice_is_linked_once_and_as_corrected_last(story, tmp_path):
    first = bought_and_sold(story)
    story.repeat(first)
    story.repeat({**first, "price": "1.15", "revision": 2})
    story.repeat({**first, "price": "1.12", "revision": 1})

    assert linked(story, tmp_path)[0] == ("in-1", "out-1", 60, D(9))


def test_a_busted_fill_is_in_no_pair(story, tmp_path):
    first = bought_and_sold(story)
    story.repeat({**first, "quantity": "0", "revision": 1})

    assert linked(story, tmp_path) == [("in-2", "out-1", 40, D(4))]


def test_fills_before_a_split_count_in_the_shares_of_after_it(story, tmp_path):
    story.decide(1)
    story.happen(1, FILLED, 10, "in-1", price="700")
    split = Split(market="AAPL", signal_id=story.signal(1), new=7, old=1, effective_at=story.now + timedelta(seconds=1))
    story._append("decisions", Kind.CORPORATE_ACTION, split)
    story.now += timedelta(seconds=1)
    story.happen(1, FILLED, 70, "out-1", leg=Leg.EXIT, attempt=0, price="110")
    ended(story, 1)

    assert linked(story, tmp_path) == [("in-1", "out-1", 70, D(700))]


def test_only_the_fills_of_what_is_wanted_are_kept(story, tmp_path):
    bought_and_sold(story, 1)
    bought_and_sold(story, 2)
    story.write(tmp_path)

    assert set(fills(tmp_path / "fx", {story.signal(2)})) == {story.signal(2)}
