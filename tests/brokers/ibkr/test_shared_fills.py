"""Executions, the trades they are attributed to, and the fills they are handed out as; shared by both connections."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.ibkr import references
from brokers.ibkr.executions import Execution, ExecutionBook, identity, revision
from brokers.ibkr.fills import FillReader
from brokers.ibkr.trades import Entries, Holding, open_trades
from brokers.port import BrokerTrade, RestingOrder
from domain.clock import FakeClock
from domain.errors import Refuse
from domain.ids import client_order_id
from domain.vocabulary import ExitReason, Leg, Side, Surface

D = Decimal
NOON = datetime(2014, 5, 6, 16, tzinfo=UTC)
SIGNAL = "sig_018Q8XAZCPHS869QHDV5R085MW"
OTHER = "sig_018Q8XAZCPHS869QHDV5R085MX"


def ref(leg, attempt=1, signal=SIGNAL):
    return client_order_id(Surface.STK, signal, leg, attempt)


def execution(number, *, leg=Leg.ENTRY, side=Side.BUY, quantity=10, price="100", after_s=0, revision=1, **changes):
    facts = {
        "exec_id": f"0000e0d5.5f3c{number:04d}.01.{revision:02d}",
        "reference": None if leg is None else ref(leg),
        "broker_order_id": str(number),
        "account": "DU1",
        "market": "SPY",
        "side": side,
        "quantity": D(quantity),
        "price": D(price),
        "at": NOON + timedelta(seconds=after_s),
    }
    return Execution(**(facts | changes))


def held_trade(quantity=10, price="90", **changes):
    facts = {
        "trade_id": ref(Leg.ENTRY), "client_order_id": ref(Leg.ENTRY), "market": "SPY", "side": Side.BUY,
        "quantity": D(quantity), "price": D(price), "opened_at": NOON - timedelta(days=3), "stop_loss": None,
        "take_profit": None, "trailing_distance": None,
    }  # fmt: skip
    return BrokerTrade(**(facts | changes))


class Books:
    def __init__(self, *executions, held=(), wait_s=5.0):
        self.clock = FakeClock(NOON)
        self.book = ExecutionBook()
        self.entries = Entries(self.book, lambda: held)
        self.reader = FillReader(
            self.book, self.entries, self.clock, commission_wait_s=wait_s,
            reason=lambda name: ExitReason.TRAILING_STOP,
        )  # fmt: skip
        self.add(*executions)

    def add(self, *executions, fee="1"):
        for one in executions:
            self.book.add(one, self.clock.monotonic_ns())
            if fee is not None:
                self.book.charge(one.exec_id, D(fee), "USD")

    def all(self, cursor="1970-01-01T00:00:00Z"):
        return self.reader.since(cursor)


@pytest.mark.parametrize(
    ("exec_id", "expected"),
    [
        ("0000e0d5.5f3c1a2b.01.01", ("0000e0d5.5f3c1a2b.01", 1)),
        ("0000e0d5.5f3c1a2b.01.12", ("0000e0d5.5f3c1a2b.01", 12)),
        ("U+1.abc", ("U+1.abc", 0)),
    ],
)
def test_last_group_of_an_execution_id_is_its_revision(exec_id, expected):
    assert (identity(exec_id), revision(exec_id)) == expected


def test_references_of_one_signal_lead_to_each_other():
    assert references.entry_of(ref(Leg.STOP, 3)) == ref(Leg.ENTRY)
    assert references.stop_of(ref(Leg.ENTRY), 2) == ref(Leg.STOP, 2)
    assert references.group_of(Surface.STK, SIGNAL) == "tb-stk-018Q8XAZCPHS869QHDV5R085MW"
    assert references.entry_of("by hand") is None


def test_correction_counts_whatever_comes_first():
    books = Books(execution(1, price="101", revision=2), execution(1, price="100", revision=1))

    assert [(one.price, one.revision) for one in books.book.all()] == [(D(101), 2)]


def test_fee_of_a_corrected_execution_is_kept_until_its_own_is_told():
    books = Books(execution(1))
    books.add(execution(1, price="101", revision=2), fee=None)

    assert books.book.all()[0].fee == D(1)


def test_word_of_an_execution_that_knows_more_has_a_higher_version():
    books = Books()
    versions = []
    for number in (1, 2):
        books.add(execution(1, revision=number), fee=None)
        versions.append(books.book.all()[0].version)
        books.add(execution(1, revision=number), fee="0.5")
        versions.append(books.book.all()[0].version)

    assert versions == [-1, 0, 1, 2]


def test_charge_may_come_before_its_execution():
    books = Books()
    books.book.charge("0000e0d5.5f3c0001.01.01", D("0.35"), "USD")
    books.book.add(execution(1))

    assert books.book.all()[0].fee == D("0.35")


def test_fills_are_told_once_each_and_in_order():
    books = Books(execution(2, leg=Leg.STOP, side=Side.SELL, price="103", after_s=5), execution(1))
    first, cursor = books.all()

    assert [(one.closes, one.realised, one.reason) for one in first] == [
        (False, D(0), None),
        (True, D(30), ExitReason.TRAILING_STOP),
    ]
    assert books.reader.since(cursor) == ([], cursor)


def test_execution_that_is_told_late_is_not_lost():
    books = Books(execution(2, after_s=60))
    _, cursor = books.all()
    books.add(execution(1, after_s=0, quantity=3))
    late, end = books.reader.since(cursor)

    assert [one.quantity for one in late] == [D(3)]
    assert books.reader.since(end)[0] == []


def test_cursor_outlives_a_restart():
    executions = [execution(number, after_s=number) for number in range(1, 5)]
    _, cursor = Books(*executions[:2]).all()
    fills, _ = Books(*executions).reader.since(cursor)

    assert [one.transaction_id for one in fills] == [one.identity for one in executions[2:]]


def test_transaction_id_of_a_fill_is_a_cursor_too():
    books = Books(execution(1), execution(2, after_s=1))
    fills, _ = books.reader.since(execution(1).identity)

    assert [one.transaction_id for one in fills] == [execution(2).identity]
    assert len(books.reader.since("0000e0d5.forgotten.01")[0]) == 2


def test_cursor_that_is_none_is_refused():
    with pytest.raises(Refuse):
        Books().reader.since("yesterday")


def test_fill_waits_for_its_fee_and_no_longer_than_agreed():
    books = Books(wait_s=5.0)
    books.add(execution(1), fee=None)
    before = books.all()[0]
    books.clock.advance(5.0)

    assert before == []
    assert [one.fee for one in books.all()[0]] == [D(0)]


def test_exit_after_midnight_is_reckoned_from_what_our_journals_hold():
    books = Books(execution(5, leg=Leg.STOP, side=Side.SELL, price="95"), held=[held_trade(price="90")])

    assert [(one.realised, one.opened_by) for one in books.all()[0]] == [(D(50), ref(Leg.ENTRY))]


def test_corrected_exit_is_handed_out_again_in_place_of_what_it_corrects():
    exit_ = execution(2, leg=Leg.STOP, side=Side.SELL, price="103", after_s=5)
    books = Books(execution(1), exit_)
    (_, before), cursor = books.all()
    books.add(replace(exit_, exec_id=exit_.exec_id[:-2] + "02", price=D("102"), quantity=D(4)))
    (after,), end = books.reader.since(cursor)

    assert (before.quantity, before.realised, before.revision) == (D(10), D(30), 0)
    assert (after.quantity, after.realised, after.revision) == (D(4), D(8), 2)
    assert (after.transaction_id, after.closes) == (before.transaction_id, True)
    assert books.reader.since(end)[0] == []


def test_busted_exit_is_handed_out_as_a_correction_to_nothing():
    exit_ = execution(2, leg=Leg.STOP, side=Side.SELL, price="103", after_s=5)
    books = Books(execution(1), exit_)
    (_, before), cursor = books.all()
    books.add(replace(exit_, exec_id=exit_.exec_id[:-2] + "02", quantity=D(0)))
    (bust,), _ = books.reader.since(cursor)

    assert (bust.transaction_id, bust.quantity, bust.revision) == (before.transaction_id, D(0), 2)
    assert (bust.opened_by, bust.closes) == (before.opened_by, True)


def test_smaller_quantity_takes_the_difference_back():
    books = Books(execution(1))
    _, cursor = books.all()
    books.add(execution(1, quantity=6, revision=2))
    (back,), _ = books.reader.since(cursor)

    assert (back.side, back.quantity, back.closes, back.realised) == (Side.SELL, D(4), True, D(0))


def test_bust_before_it_was_handed_out_is_nothing():
    books = Books(execution(1), execution(1, quantity=0, revision=2))

    assert books.all()[0] == []


def test_position_is_the_latest_trade_of_ours_that_has_not_ended():
    books = Books(
        execution(1),
        execution(2, leg=Leg.STOP, side=Side.SELL, after_s=10),
        execution(3, after_s=20, reference=ref(Leg.ENTRY, signal=OTHER), quantity=5),
    )
    (trade,) = open_trades([Holding(market="SPY", quantity=D(5), average_cost=D(100))], books.entries, [], NOON)

    assert (trade.client_order_id, trade.quantity) == (ref(Leg.ENTRY, signal=OTHER), D(5))


def test_position_keeps_its_quantity_when_a_split_made_more_of_it():
    stop = RestingOrder(
        client_order_id=ref(Leg.STOP), broker_order_id="7", market="SPY", side=Side.SELL, quantity=D(10),
        trigger=D(80), trailing_percent=D(10),
    )  # fmt: skip
    books = Books(held=[held_trade()])
    (trade,) = open_trades([Holding(market="SPY", quantity=D(70), average_cost=D(13))], books.entries, [stop], NOON)

    assert (trade.quantity, trade.price, trade.client_order_id) == (D(70), D(90), ref(Leg.ENTRY))
    assert (trade.stop_loss, trade.trailing_percent) == (D(80), D(10))


def test_position_nobody_of_ours_opened_is_external():
    (trade,) = open_trades([Holding(market="IBM", quantity=D(-3), average_cost=D(190))], Books().entries, [], NOON)

    assert (trade.client_order_id, trade.trade_id, trade.side) == (None, "IBM", Side.SELL)


def test_sale_by_hand_closes_our_trade_and_a_purchase_by_hand_does_not():
    books = Books(
        execution(1),
        execution(2, leg=None, side=Side.BUY, after_s=1),
        execution(3, leg=None, side=Side.SELL, after_s=2, price="101"),
    )
    fills, _ = books.all()

    assert [(one.closes, one.opened_by, one.reason) for one in fills[1:]] == [
        (False, None, None),
        (True, ref(Leg.ENTRY), ExitReason.BROKER),
    ]


def test_part_sold_today_of_what_was_bought_yesterday_leaves_the_rest_ours():
    # The journals have booked the sale of ten of twenty; TWS tells the sale and no longer the purchase.
    books = Books(execution(2, leg=Leg.STOP, side=Side.SELL), held=[held_trade(quantity=10)])
    (trade,) = open_trades([Holding(market="SPY", quantity=D(10), average_cost=D(90))], books.entries, (), NOON)

    assert trade.client_order_id == ref(Leg.ENTRY)


def test_part_sold_after_a_split_leaves_the_rest_ours_at_the_price_of_after_it():
    sold = execution(2, leg=Leg.STOP, side=Side.SELL, quantity=30, price="15", after_s=60)
    books = Books(execution(1), sold, held=[held_trade(quantity=40, price="14", opened_at=NOON)])
    (trade,) = open_trades([Holding(market="SPY", quantity=D(40), average_cost=D(14))], books.entries, (), NOON)
    exits = [one for one in books.all()[0] if one.closes]

    assert (trade.client_order_id, trade.price) == (ref(Leg.ENTRY), D(14))
    assert [one.realised for one in exits] == [D(30)]


def test_old_fill_that_waits_for_its_fee_is_not_overtaken_by_a_young_one():
    books = Books(wait_s=5.0)
    books.add(execution(1, leg=Leg.STOP, side=Side.SELL), fee=None)
    books.add(execution(2, leg=Leg.STOP, side=Side.SELL, after_s=3 * 3600, reference=ref(Leg.STOP, signal=OTHER)))
    first, cursor = books.all()
    books.book.charge(execution(1).exec_id, D(1), "USD")
    second, _ = books.reader.since(cursor)

    assert [one.happened_at for one in (*first, *second)] == [NOON + timedelta(hours=3), NOON]


class Interrupted(dict):
    """Fees that are looked up while another thread tells an execution."""

    def __init__(self, tell):
        self._teller = threading.Thread(target=tell)

    def get(self, *key):
        if self._teller.ident is None:
            self._teller.start()
            self._teller.join(timeout=0.2)
        return super().get(*key)

    def told(self):
        self._teller.join()


def test_execution_told_by_another_thread_while_all_are_read_is_neither_lost_nor_in_the_way():
    book = ExecutionBook()
    book.add(execution(1))
    book._fees = Interrupted(lambda: book.add(execution(2, after_s=1)))
    read = book.all()
    book._fees.told()

    assert read == [execution(1)]
    assert book.all() == [execution(1), execution(2, after_s=1)]


@given(
    order=st.permutations(range(8)),
    polls=st.lists(st.integers(0, 8), max_size=4),
    times=st.lists(st.integers(0, 3_000), min_size=8, max_size=8),
)
def test_no_order_of_arrival_and_no_restart_loses_or_doubles_a_fill(order, polls, times):
    executions = [execution(number, after_s=times[number]) for number in range(8)]
    books, seen, cursor, arrived = Books(), [], "1970-01-01T00:00:00Z", []
    for place, number in enumerate(order):
        arrived.append(executions[number])
        books.add(executions[number])
        if place in polls:
            fills, cursor = books.reader.since(cursor)
            seen += [one.transaction_id for one in fills]
            books = Books(*arrived)
    fills, _ = books.reader.since(cursor)
    seen += [one.transaction_id for one in fills]

    assert sorted(seen) == sorted(one.identity for one in executions)
