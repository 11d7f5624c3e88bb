"""What the port promises, kept by the Kalshi adapter on both generations of the venue's wire."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.kalshi.config import WireChoice
from domain.errors import Refuse, Retry
from domain.order import may_follow
from domain.vocabulary import OrderState, Side, Surface

pytestmark = pytest.mark.contract
D = Decimal
LONG_AGO = timedelta(hours=10)


class Desk:
    """One account of one venue; the wire spoken is the venue's own."""

    def __init__(self, venue, wire, entry, exit_of):
        self.venue = venue
        self.clock = venue.clock
        self.data, self.executor = venue.connect(wire=WireChoice(wire))
        self._entry = entry
        self._exit = exit_of

    def entry(self, **changes):
        return self._entry(self.clock, **changes)

    def opened(self, **changes):
        intent = self.entry(**changes)
        return intent, self.executor.submit(intent)[-1].broker_trade_id

    def close(self, intent, trade_id, **changes):
        return self.executor.submit(self._exit(intent, trade_id, **changes))

    def find(self, client_order_id):
        return self.executor.find(client_order_id, since=self.clock.now() - timedelta(minutes=10))


@pytest.fixture
def desk(wire_venue, entry, exit_of):
    venue, wire = wire_venue
    return Desk(venue, wire, entry, exit_of)


@pytest.mark.parametrize("side", list(Side))
def test_entry_fills_and_its_event_names_everything(desk, side):
    intent = desk.entry(side=side)
    (event,) = desk.executor.submit(intent)
    (trade,) = desk.executor.open_trades()

    assert event.state is OrderState.FILLED
    assert (event.client_order_id, event.signal_id, event.leg) == (intent.client_order_id, intent.signal_id, intent.leg)
    assert (event.quantity, event.currency, event.realised) == (D(10), "USD", D(0))
    assert event.fee > 0
    assert event.broker_trade_id == trade.trade_id
    assert event.price == trade.price
    assert (event.price - intent.price_bound) * side.sign <= 0
    assert may_follow(OrderState.SENT, event.state)


def test_buy_pays_the_ask_and_sell_gets_the_bid(desk):
    quote = desk.data.quotes([desk.entry().market])[desk.entry().market]
    (bought,) = desk.executor.submit(desk.entry())
    (sold,) = desk.executor.submit(desk.entry(market="KXTEST-14MAY06-M3", side=Side.SELL))

    assert bought.price == quote.ask
    assert sold.price == D("0.35")


@pytest.mark.parametrize(("side", "stop", "target"), [(Side.BUY, 0, 1), (Side.SELL, 1, 0)])
def test_open_trade_carries_our_id_and_is_protected_by_its_own_bounds(desk, side, stop, target):
    intent, trade_id = desk.opened(side=side)
    (trade,) = desk.executor.open_trades()

    assert (trade.trade_id, trade.client_order_id) == (trade_id, intent.client_order_id)
    assert (trade.market, trade.side, trade.quantity) == (intent.market, side, D(10))
    assert (trade.stop_loss, trade.take_profit, trade.trailing_distance) == (stop, target, None)


def test_found_order_is_the_one_that_was_sent(desk):
    intent = desk.entry()
    (sent,) = desk.executor.submit(intent)
    (found,) = desk.find(intent.client_order_id)

    assert (found.state, found.transaction_id, found.price) == (sent.state, sent.transaction_id, sent.price)
    assert (found.signal_id, found.leg, found.fee) == (sent.signal_id, sent.leg, sent.fee)


def test_order_never_sent_is_absent_once_the_grace_is_over(desk, eventually):
    intent = desk.entry()
    with pytest.raises(Retry, match="too fresh"):
        desk.executor.find(intent.client_order_id, since=desk.clock.now())

    def find():
        with suppress(Retry):
            return desk.find(intent.client_order_id)

    assert [event.state for event in eventually(find)] == [OrderState.ABSENT]


def test_same_entry_sent_twice_opens_one_trade(desk, wire_venue):
    intent = desk.entry()
    first, second = desk.executor.submit(intent), desk.executor.submit(intent)

    assert second[-1].transaction_id == first[-1].transaction_id
    assert [trade.quantity for trade in desk.executor.open_trades()] == [D(10)]


@pytest.mark.parametrize("side", list(Side))
def test_entry_whose_bound_nobody_meets_is_cancelled(desk, side):
    bound = D("0.05") if side is Side.BUY else D("0.95")
    (event,) = desk.executor.submit(desk.entry(side=side, price_bound=bound))

    assert (event.state, event.reason) == (OrderState.CANCELLED, "BOUNDS_VIOLATION")
    assert desk.executor.open_trades() == []


@pytest.mark.parametrize("side", list(Side))
def test_exit_closes_its_trade_and_books_the_difference(desk, side):
    intent, trade_id = desk.opened(side=side)
    entered = desk.executor.open_trades()[0].price
    (event,) = desk.close(intent, trade_id)

    assert event.state is OrderState.FILLED
    assert event.realised == (event.price - entered) * side.sign * 10
    assert event.broker_trade_id == trade_id
    assert desk.executor.open_trades() == []


def test_exit_of_one_trade_leaves_the_others(desk):
    _, older = desk.opened()
    second, newer = desk.opened()
    desk.close(second, newer)

    assert [trade.trade_id for trade in desk.executor.open_trades()] == [older]


def test_trades_of_two_surfaces_in_one_market_stay_apart(desk):
    short, _ = desk.opened(surface=Surface.ST)
    long, long_trade = desk.opened(surface=Surface.LT, quantity=D(7))
    before = {trade.client_order_id: trade.quantity for trade in desk.executor.open_trades()}
    desk.close(long, long_trade)
    after = {trade.client_order_id: trade.quantity for trade in desk.executor.open_trades()}

    assert before == {short.client_order_id: D(10), long.client_order_id: D(7)}
    assert after == {short.client_order_id: D(10)}


def test_trade_that_another_process_closed_is_gone_though_one_of_its_size_came_in_its_place(desk, wire_venue):
    first, first_trade = desk.opened()
    second, _ = desk.opened()
    before = {trade.client_order_id for trade in desk.executor.open_trades()}
    other = Desk(*wire_venue, desk._entry, desk._exit)
    other.close(first, first_trade)
    third, _ = other.opened()

    assert before == {first.client_order_id, second.client_order_id}
    assert {trade.client_order_id for trade in desk.executor.open_trades()} == {
        second.client_order_id,
        third.client_order_id,
    }


def test_part_of_a_trade_can_be_closed_and_then_the_rest(desk):
    intent, trade_id = desk.opened()
    (part,) = desk.close(intent, trade_id, quantity=D(4))
    left = desk.executor.open_trades()[0].quantity
    (rest,) = desk.close(intent, trade_id, attempt=2, quantity=D(6))

    assert (part.state, part.quantity, left) == (OrderState.FILLED, D(4), D(6))
    assert (rest.state, rest.quantity) == (OrderState.FILLED, D(6))
    assert part.transaction_id != rest.transaction_id
    assert desk.executor.open_trades() == []


def test_more_than_a_trade_holds_cannot_be_closed(desk):
    intent, trade_id = desk.opened()
    (event,) = desk.close(intent, trade_id, quantity=D(11))

    assert (event.state, event.reason) == (OrderState.REJECTED, "CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE")


def test_same_exit_sent_twice_closes_once(desk):
    intent, trade_id = desk.opened()
    first, second = desk.close(intent, trade_id), desk.close(intent, trade_id)
    found = desk.find(first[0].client_order_id)

    assert first[0].transaction_id == second[0].transaction_id == found[0].transaction_id


def test_exit_of_a_trade_that_does_not_exist_is_rejected(desk):
    (event,) = desk.close(desk.entry(), "999999999")

    assert (event.state, event.reason) == (OrderState.REJECTED, "TRADE_DOESNT_EXIST")


def test_exit_without_a_trade_is_refused(desk, exit_of):
    with pytest.raises(Refuse, match="names its trade"):
        desk.executor.submit(replace(exit_of(desk.entry(), "1"), broker_trade_id=None))


def test_entry_against_what_is_held_is_rejected_before_it_is_sent(desk):
    held, _ = desk.opened(surface=Surface.LT)
    (event,) = desk.executor.submit(desk.entry(side=Side.SELL))

    assert (event.state, event.reason) == (OrderState.REJECTED, "OPPOSITE_POSITION")
    assert [trade.client_order_id for trade in desk.executor.open_trades()] == [held.client_order_id]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quantity": D("1.5")}, "UNITS_INVALID"),
        ({"quantity": D(0)}, "UNITS_INVALID"),
        ({"market": "KXNO"}, "MARKET_UNKNOWN"),
    ],
)
def test_order_that_cannot_be_written_is_rejected_before_it_is_sent(desk, changes, reason):
    (event,) = desk.executor.submit(desk.entry(**changes))

    assert (event.state, event.reason) == (OrderState.REJECTED, reason)


def test_cancelling_a_filled_order_answers_with_its_fill(desk):
    intent, _ = desk.opened()

    assert [event.state for event in desk.executor.cancel(intent.client_order_id)] == [OrderState.FILLED]


def test_fills_come_once_in_order_after_the_cursor(desk):
    start = desk.executor.account().cursor
    intent, trade_id = desk.opened()
    first, middle = desk.executor.fills_since(start)
    (closed,) = desk.close(intent, trade_id)
    second, end = desk.executor.fills_since(middle)

    assert [fill.closes for fill in first] == [False]
    assert [fill.closes for fill in second] == [True]
    assert [fill.trade_id for fill in (*first, *second)] == [trade_id] * 2
    assert [fill.opened_by for fill in (*first, *second)] == [intent.client_order_id] * 2
    assert second[0].client_order_id == closed.client_order_id
    assert (first[0].side, second[0].side) == (Side.BUY, Side.SELL)
    assert second[0].reason is None
    assert desk.executor.fills_since(end) == ([], end)


def test_entry_fills_can_serve_as_cursor(desk):
    intent, trade_id = desk.opened()
    entered = desk.find(intent.client_order_id)[0].transaction_id
    desk.close(intent, trade_id)
    fills, _ = desk.executor.fills_since(entered)

    assert [fill.closes for fill in fills] == [True]


@pytest.mark.parametrize("cursor", ["yesterday", "", "12", "x:f:1"])
def test_cursor_that_is_none_is_refused(desk, cursor):
    with pytest.raises(Refuse, match="transaction id as cursor"):
        desk.executor.fills_since(cursor)


@pytest.mark.parametrize("side", list(Side))
def test_account_books_what_fills_realised_less_their_fees(desk, side):
    before = desk.executor.account()
    intent, trade_id = desk.opened(side=side)
    during = desk.executor.account()
    desk.close(intent, trade_id)
    after = desk.executor.account()
    fills, _ = desk.executor.fills_since(before.cursor)
    booked = [fill.realised - fill.fee for fill in fills]

    assert before.equity == before.balance == D(1000)
    assert during.balance == before.balance + booked[0]
    assert (during.margin_used > 0, during.margin_available) == (True, during.balance - during.margin_used)
    assert after.balance == before.balance + sum(booked)
    assert (after.equity, after.margin_used) == (after.balance, 0)


def test_order_that_walks_the_book_has_an_event_for_each_execution_and_one_trade(desk):
    before = desk.executor.account()
    intent = desk.entry(quantity=D(450), market="KXTEST-14MAY06-M6")
    events = desk.executor.submit(intent)
    (trade,) = desk.executor.open_trades()
    desk.close(intent, trade.trade_id, quantity=D(101))
    fills, _ = desk.executor.fills_since(before.cursor)
    after = desk.executor.account()

    assert [event.state for event in events] == [OrderState.PARTIAL] * (len(events) - 1) + [OrderState.FILLED]
    assert len(events) > 1
    assert len({event.transaction_id for event in events}) == len(events)
    assert sum(event.quantity for event in events) == trade.quantity == D(450)
    assert trade.price == sum(event.quantity * event.price for event in events) / 450
    assert {event.broker_trade_id for event in events} == {trade.trade_id}
    # The venue books to the cent; a share of a cost that does not divide differs by less than a hundredth of one.
    assert abs(after.balance - before.balance - sum(fill.realised - fill.fee for fill in fills)) <= D("0.0001")


def test_protecting_changes_nothing_because_a_contract_has_its_own_bounds(desk):
    _, trade_id = desk.opened()
    before = desk.executor.open_trades()
    desk.executor.protect(trade_id, stop_loss=D("0.2"), take_profit=None, trailing_distance=None)

    assert desk.executor.open_trades() == before
