"""How executions belong to trades, and what a walk along them hands out."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.kalshi.cursor import WALKS, FillReader
from brokers.kalshi.history import Histories
from brokers.kalshi.lots import covered, fold, held
from brokers.kalshi.records import FillRow, OrderRow, SettlementRow
from domain.clock import FakeClock
from domain.errors import Retry
from domain.ids import client_order_id
from domain.vocabulary import ExitReason, Leg, Side, Surface

D = Decimal
NOON = datetime(2014, 5, 6, 12, tzinfo=UTC)
SIGNALS = [f"sig_{letter * 26}" for letter in "ABCD"]
BUY, SELL = Side.BUY, Side.SELL


def our_id(signal, leg, surface=Surface.ST, attempt=1):
    return client_order_id(surface, SIGNALS[signal], leg, attempt)


class Story:
    """Orders and executions of one market, told in order; a minute passes with each."""

    def __init__(self):
        self.orders, self.rows = {}, []

    def order(self, side, quantity, price, client_id="person-1", fee="0.10", order_fees=None, order_id=None):
        order_id = order_id or f"o{len(self.orders)}"
        self.orders[order_id] = OrderRow(
            order_id=order_id, client_order_id=client_id, ticker="M", side=side, status="executed",
            filled=D(quantity), initial=D(quantity), fees=order_fees and D(order_fees), created_at=NOON,
        )  # fmt: skip
        self.fill(order_id, side, quantity, price, fee)
        return order_id

    def fill(self, order_id, side, quantity, price, fee="0.10", at=None):
        number = len(self.rows)
        self.rows.append(
            FillRow(
                fill_id=f"f{number}", order_id=order_id, ticker="M", side=side, quantity=D(quantity), price=D(price),
                fee=None if fee is None else D(fee), at=at or NOON + timedelta(minutes=number),
            )
        )  # fmt: skip

    def fold(self, value=None, *, void=False):
        end = None
        if value is not None or void:
            end = SettlementRow(ticker="M", value=None if void else D(value), at=NOON + timedelta(hours=5))
        return fold(self.orders, self.rows, end)


def test_exit_ends_the_trade_of_its_own_signal_and_no_older_one():
    story = Story()
    story.order(BUY, 5, "0.40", our_id(0, Leg.ENTRY))
    second = story.order(BUY, 5, "0.50", our_id(1, Leg.ENTRY))
    story.order(SELL, 5, "0.60", our_id(1, Leg.EXIT))
    ledger = story.fold()

    assert [(f.trade_id, f.realised, f.reason) for f in ledger.fills if f.closes] == [(second, D("0.50"), None)]
    assert [lot.client_order_id for lot in ledger.lots.values()] == [our_id(0, Leg.ENTRY)]


def test_sale_by_a_person_ends_their_own_trade_first_and_then_our_oldest():
    story = Story()
    ours = story.order(BUY, 5, "0.40", our_id(0, Leg.ENTRY))
    theirs = story.order(BUY, 5, "0.50")
    story.order(SELL, 7, "0.60", "person-2", fee="0.20")
    first, second = [fill for fill in story.fold().fills if fill.closes]

    assert [(f.trade_id, f.quantity, f.fee) for f in (first, second)] == [(theirs, D(5), D("0.20")), (ours, D(2), D(0))]
    assert [f.reason for f in (first, second)] == [ExitReason.BROKER] * 2
    assert [f.client_order_id for f in (first, second)] == [None, None]
    assert [f.opened_by for f in (first, second)] == [None, our_id(0, Leg.ENTRY)]
    assert first.transaction_id != second.transaction_id


def test_what_a_person_sells_beyond_what_is_held_opens_a_trade_of_theirs():
    story = Story()
    story.order(BUY, 5, "0.40", our_id(0, Leg.ENTRY))
    story.order(SELL, 8, "0.60")
    ledger = story.fold()
    (lot,) = ledger.lots.values()

    assert (lot.side, lot.quantity, lot.client_order_id) == (SELL, D(3), None)
    assert [(fill.closes, fill.quantity) for fill in ledger.fills] == [(False, D(5)), (True, D(5)), (False, D(3))]
    assert len({fill.transaction_id for fill in ledger.fills}) == 3


def test_partial_exits_share_a_cost_that_does_not_divide_and_the_last_takes_the_rest():
    story = Story()
    entry = story.order(BUY, 1, "0.41", our_id(0, Leg.ENTRY))
    story.fill(entry, BUY, 2, "0.40")
    for attempt in (1, 2, 3):
        story.order(SELL, 1, "0.50", our_id(0, Leg.EXIT, attempt=attempt))
    realised = [fill.realised for fill in story.fold().fills if fill.closes]

    assert realised[0] == D("0.50") - D("0.4033")
    assert sum(realised) == D("1.50") - D("1.21")


@pytest.mark.parametrize(
    ("side", "value", "realised"), [(BUY, 1, "6"), (BUY, 0, "-4"), (SELL, 1, "-6"), (SELL, 0, "4")]
)
def test_settlement_pays_the_value_less_what_was_paid(side, value, realised):
    story = Story()
    story.order(side, 10, "0.40", our_id(0, Leg.ENTRY))
    (_, end) = story.fold(value).fills

    assert (end.realised, end.price, end.fee, end.reason) == (D(realised), D(value), D(0), ExitReason.SETTLED)


def test_void_market_gives_everything_back():
    story = Story()
    story.order(SELL, 10, "0.40", our_id(0, Leg.ENTRY))
    (_, end) = story.fold(void=True).fills

    assert (end.realised, end.price, end.reason) == (D(0), D("0.40"), ExitReason.SETTLED)


def test_settlement_at_the_moment_of_an_execution_comes_after_it():
    story = Story()
    entry = story.order(BUY, 5, "0.40", our_id(0, Leg.ENTRY))
    story.fill(entry, BUY, 5, "0.40", at=NOON + timedelta(hours=5))
    ledger = story.fold(1)

    assert [fill.closes for fill in ledger.fills] == [False, False, True]
    assert ledger.fills[1].transaction_id < ledger.fills[2].transaction_id
    assert ledger.fills[2].quantity == D(10)


def test_fee_told_by_order_alone_stands_on_its_first_execution():
    story = Story()
    entry = story.order(BUY, 5, "0.40", our_id(0, Leg.ENTRY), fee=None, order_fees="0.30")
    story.fill(entry, BUY, 5, "0.41", fee=None)

    assert [fill.fee for fill in story.fold().fills] == [D("0.30"), D(0)]


def test_fee_told_by_nobody_is_an_error_and_no_zero():
    story = Story()
    story.order(BUY, 5, "0.40", our_id(0, Leg.ENTRY), fee=None)

    with pytest.raises(ValueError, match="fee_cost"):
        story.fold()


def test_position_smaller_than_its_trades_covers_the_oldest():
    story = Story()
    story.order(BUY, 5, "0.40", our_id(0, Leg.ENTRY))
    story.order(BUY, 5, "0.50", our_id(1, Leg.ENTRY))
    lots = story.fold().lots.values()

    assert [(t.client_order_id, t.quantity) for t in covered(lots, D(7))] == [
        (our_id(0, Leg.ENTRY), D(5)),
        (our_id(1, Leg.ENTRY), D(2)),
    ]
    assert list(covered(lots, D(0))) == []


MOVES = st.lists(
    st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 9), st.integers(1, 99), st.sampled_from(["ours", "person"])),
    min_size=1,
    max_size=12,
)


@given(MOVES, st.sampled_from([0, 1]))
def test_money_is_neither_made_nor_lost_whatever_was_traded(moves, value):
    """The venue's cash: what was paid and got for YES, and a dollar for each YES held in the end."""
    story = Story()
    cash = position = D(0)
    for number, (side, quantity, cents, who) in enumerate(moves):
        story.order(side, quantity, D(cents) / 100, our_id(number % 4, Leg.EXIT) if who == "ours" else "person")
        cash -= side.sign * quantity * D(cents) / 100
        position += side.sign * quantity
    open_ledger, ledger = story.fold(), story.fold(value)

    assert held(open_ledger.lots.values()) == position
    assert ledger.lots == {}
    assert sum(fill.realised for fill in ledger.fills) == cash + position * value
    assert sum(fill.fee for fill in ledger.fills) == D("0.10") * len(moves)
    assert len({fill.transaction_id for fill in ledger.fills}) == len(ledger.fills)


class Shown:
    """What the venue shows: rows come into view when a test says so."""

    def __init__(self, story):
        self.story, self.visible = story, 0

    def fills_since(self, moment):
        return [row for row in self.story.rows[: self.visible] if row.at >= moment]

    def settlements_since(self, moment):
        return []

    def ledger(self, ticker, rows, end):
        return fold(self.story.orders, self.story.rows[: self.visible], end)


class Cabinet:
    """A venue that has put some rows away, asked through what stands for the wire."""

    def __init__(self, recent, old):
        self.clock = FakeClock(NOON)
        self.late = timedelta(minutes=5)
        self.lists = recent | old
        self.asked = []

    def rows(self, what, path, key, parse, **params):
        self.asked.append(path)
        return self.lists.get(path, [])


def test_position_opened_by_executions_put_away_is_settled_all_the_same():
    story = Story()
    story.order(BUY, 5, "0.40", our_id(0, Leg.ENTRY))
    orders = list(story.orders.values())
    cabinet = Cabinet({}, {"/historical/fills": story.rows, "/historical/orders": orders})
    end = SettlementRow(ticker="M", value=D(1), at=NOON + timedelta(days=90), held=D(5))
    histories = Histories(cabinet)
    (_, settled) = histories.ledger("M", end=end).fills
    asked = len(cabinet.asked)

    assert (settled.quantity, settled.realised, settled.opened_by) == (D(5), D(3), our_id(0, Leg.ENTRY))
    assert len(histories.ledger("M", end=end).fills) == 2
    assert len(cabinet.asked) == asked


def test_order_behind_an_execution_that_is_not_listed_yet_is_waited_for():
    story = Story()
    story.order(BUY, 5, "0.40", our_id(0, Leg.ENTRY))
    cabinet = Cabinet({"/portfolio/fills": story.rows}, {})
    histories = Histories(cabinet)
    with pytest.raises(Retry, match="the order behind"):
        histories.ledger("M")
    cabinet.lists["/portfolio/orders"] = list(story.orders.values())

    assert len(histories.ledger("M").fills) == 1


def test_execution_by_another_process_is_taken_in_though_it_lies_before_what_was_asked_for():
    story = Story()
    first = story.order(BUY, 5, "0.40", our_id(0, Leg.ENTRY))
    cabinet = Cabinet({"/portfolio/fills": list(story.rows), "/portfolio/orders": list(story.orders.values())}, {})
    histories = Histories(cabinet)
    before = set(histories.ledger("M").lots)
    story.order(SELL, 5, "0.50", our_id(0, Leg.EXIT))
    cabinet.lists |= {"/portfolio/fills": story.rows, "/portfolio/orders": list(story.orders.values())}
    later = histories.fills_since(NOON + timedelta(hours=1))

    assert (before, later) == ({first}, [])
    assert histories.ledger("M").lots == {}


class Line:
    def __init__(self, clock):
        self.clock = clock
        self.late = timedelta(minutes=5)


@pytest.fixture
def walk():
    story = Story()
    for number in range(4):
        story.order(BUY, 1, "0.40", our_id(number, Leg.ENTRY))
    shown = Shown(story)
    return FillReader(Line(FakeClock(NOON)), shown), shown, f"{int(NOON.timestamp()) * 1_000_000 - 1}:"


def ids(fills):
    return [fill.transaction_id.rpartition(":")[2] for fill in fills]


def test_walk_hands_out_each_execution_once(walk):
    reader, shown, cursor = walk
    seen = []
    for shown.visible in (1, 1, 3, 4, 4):
        fills, cursor = reader.since(cursor)
        seen.append(ids(fills))

    assert seen == [["f0"], [], ["f1", "f2"], ["f3"], []]


def test_execution_that_turns_up_behind_the_cursor_is_handed_out_all_the_same(walk):
    reader, shown, cursor = walk
    shown.story.rows[1], shown.story.rows[2] = shown.story.rows[2], shown.story.rows[1]
    shown.visible = 2
    first, cursor = reader.since(cursor)
    shown.visible = 3
    late, after = reader.since(cursor)

    assert (ids(first), ids(late), after) == (["f0", "f2"], ["f1"], cursor)
    assert reader.since(after)[0] == []


def test_walk_that_starts_anew_takes_its_cursor_at_its_word(walk):
    reader, shown, cursor = walk
    shown.visible = 3
    _, middle = reader.since(cursor)
    fresh = FillReader(Line(FakeClock(NOON)), shown)

    assert fresh.since(middle) == ([], middle)


def test_second_walk_does_not_cost_the_first_a_late_execution(walk):
    reader, shown, cursor = walk
    shown.story.rows[1], shown.story.rows[2] = shown.story.rows[2], shown.story.rows[1]
    shown.visible = 2
    _, here = reader.since(cursor)
    shown.visible = 3
    reader.since(cursor)
    late, _ = reader.since(here)

    assert ids(late) == ["f1"]


def test_walks_nobody_goes_on_with_are_forgotten(walk):
    reader, shown, _ = walk
    shown.visible = 0
    for number in range(3 * WALKS):
        reader.since(f"{number + 1}:")

    assert len(reader._walks) == WALKS
