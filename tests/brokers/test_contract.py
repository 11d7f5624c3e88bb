"""What every executor must do alike: OANDA's through the simulator, the dry run on the same prices, and the fake."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.dry_run.executor import DryRunExecutor
from domain.errors import Refuse, Retry
from domain.order import may_follow
from domain.vocabulary import OrderState, Side

pytestmark = pytest.mark.contract
D = Decimal


class Desk:
    """One executor with the prices it trades on; ``halt`` closes the market."""

    def __init__(self, data, executor, clock, entry, halt):
        self.data = data
        self.executor = executor
        self.clock = clock
        self.halt = halt
        self._entry = entry

    def entry(self, **changes):
        return self._entry(self.data.quotes(["EUR_USD"])["EUR_USD"], **changes)

    def find(self, client_order_id):
        return self.executor.find(client_order_id, since=self.clock.now() - timedelta(minutes=10))

    def opened(self, **changes):
        intent = self.entry(**changes)
        return intent, self.executor.submit(intent)[-1].broker_trade_id


@pytest.fixture(params=["oanda", "dry_run", "fake"])
def desk(request, entry):
    if request.param == "fake":
        fake = request.getfixturevalue("fake")
        return Desk(fake, fake, fake.clock, entry, lambda: fake.halted.add("EUR_USD"))
    venue = request.getfixturevalue("venue")
    data, executor = venue.connect()
    if request.param == "dry_run":
        executor = DryRunExecutor(data, venue.clock, balance=D(100_000), currency="USD")
    return Desk(data, executor, venue.clock, entry, lambda: venue.fault("weekend", market_wide=True))


@pytest.mark.parametrize("side", list(Side))
def test_entry_fills_and_its_event_names_everything(desk, side):
    intent = desk.entry(side=side)
    (event,) = desk.executor.submit(intent)
    (trade,) = desk.executor.open_trades()

    assert event.state is OrderState.FILLED
    assert (event.client_order_id, event.signal_id, event.leg) == (intent.client_order_id, intent.signal_id, intent.leg)
    assert (event.quantity, event.currency, event.realised) == (D(1000), "USD", D(0))
    assert event.broker_trade_id == trade.trade_id
    assert event.price == trade.price
    assert (event.price - intent.price_bound) * side.sign <= 0
    assert event.transaction_id
    assert may_follow(OrderState.SENT, event.state)


def test_open_trade_carries_our_id_and_its_brackets(desk):
    intent, trade_id = desk.opened()
    (trade,) = desk.executor.open_trades()

    assert trade.trade_id == trade_id
    assert trade.client_order_id == intent.client_order_id
    assert (trade.market, trade.side, trade.quantity) == (intent.market, intent.side, intent.quantity)
    assert (trade.stop_loss, trade.take_profit) == (intent.stop_loss, intent.take_profit)
    assert trade.trailing_distance is None


def test_found_order_is_the_one_that_was_sent(desk):
    intent = desk.entry()
    (sent,) = desk.executor.submit(intent)
    (found,) = desk.find(intent.client_order_id)

    assert (found.state, found.transaction_id, found.price) == (sent.state, sent.transaction_id, sent.price)
    assert (found.signal_id, found.leg) == (sent.signal_id, sent.leg)


def test_order_never_sent_is_absent(desk, eventually):
    intent = desk.entry()

    def find():
        with suppress(Retry):
            return desk.find(intent.client_order_id)

    assert [event.state for event in eventually(find)] == [OrderState.ABSENT]


def test_same_entry_sent_twice_opens_one_trade(desk):
    intent = desk.entry()
    first, second = desk.executor.submit(intent), desk.executor.submit(intent)

    assert second[-1].transaction_id == first[-1].transaction_id
    assert len(desk.executor.open_trades()) == 1


@pytest.mark.parametrize("side", list(Side))
def test_bound_stop_or_target_on_the_wrong_side_of_the_quote_cancels(desk, side):
    quote, off = desk.data.quotes(["EUR_USD"])["EUR_USD"], D("0.005") * side.sign
    spoilt = {
        "BOUNDS_VIOLATION": {"price_bound": quote.entry_price(side) - off},
        "STOP_LOSS_ON_FILL_LOSS": {"stop_loss": quote.exit_price(side) + off},
        "TAKE_PROFIT_ON_FILL_LOSS": {"take_profit": quote.exit_price(side) - off},
    }
    events = [desk.executor.submit(desk.entry(side=side, **changes)) for changes in spoilt.values()]

    assert [[(e.state, e.reason) for e in answer] for answer in events] == [
        [(OrderState.CANCELLED, reason)] for reason in spoilt
    ]
    assert desk.executor.open_trades() == []


def test_exit_closes_its_trade_and_books_the_difference(desk, exit_of):
    intent, trade_id = desk.opened()
    entered = desk.executor.open_trades()[0].price
    (event,) = desk.executor.submit(exit_of(intent, trade_id))

    assert event.state is OrderState.FILLED
    assert event.realised == (event.price - entered) * 1000
    assert event.broker_trade_id == trade_id
    assert desk.executor.open_trades() == []


def test_exit_of_one_trade_leaves_the_others(desk, exit_of):
    _, older = desk.opened()
    second, newer = desk.opened()
    desk.executor.submit(exit_of(second, newer))

    assert [trade.trade_id for trade in desk.executor.open_trades()] == [older]


def test_part_of_a_trade_can_be_closed_and_then_the_rest(desk, exit_of):
    intent, trade_id = desk.opened()
    (part,) = desk.executor.submit(exit_of(intent, trade_id, quantity=D(400)))
    left = desk.executor.open_trades()[0].quantity
    (rest,) = desk.executor.submit(exit_of(intent, trade_id, attempt=2, quantity=D(600)))

    assert (part.state, part.quantity, left) == (OrderState.FILLED, D(400), D(600))
    assert (rest.state, rest.quantity) == (OrderState.FILLED, D(600))
    assert part.transaction_id != rest.transaction_id
    assert desk.executor.open_trades() == []


def test_more_than_a_trade_holds_cannot_be_closed(desk, exit_of):
    intent, trade_id = desk.opened()
    (event,) = desk.executor.submit(exit_of(intent, trade_id, quantity=D(1001)))

    assert (event.state, event.reason) == (OrderState.REJECTED, "CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE")


def test_same_exit_sent_twice_closes_once(desk, exit_of):
    intent, trade_id = desk.opened()
    exit_ = exit_of(intent, trade_id)
    first, second = desk.executor.submit(exit_), desk.executor.submit(exit_)
    found = desk.find(exit_.client_order_id)

    assert first[0].transaction_id == second[0].transaction_id == found[0].transaction_id


def test_exit_of_a_trade_that_does_not_exist_is_rejected(desk, exit_of):
    intent = desk.entry()
    (event,) = desk.executor.submit(exit_of(intent, "999999999"))

    assert (event.state, event.reason) == (OrderState.REJECTED, "TRADE_DOESNT_EXIST")


def test_exit_without_a_trade_is_refused(desk, exit_of):
    with pytest.raises(Refuse):
        desk.executor.submit(replace(exit_of(desk.entry(), "1"), broker_trade_id=None))


def test_protection_is_replaced_exactly(desk):
    intent, trade_id = desk.opened()
    stop = intent.stop_loss - D("0.001")
    desk.executor.protect(trade_id, stop_loss=stop, take_profit=None, trailing_distance=D("0.00500"))
    (trade,) = desk.executor.open_trades()

    assert (trade.stop_loss, trade.take_profit, trade.trailing_distance) == (stop, None, D("0.005"))


def test_protecting_a_trade_that_does_not_exist_is_refused(desk):
    with pytest.raises(Refuse):
        desk.executor.protect("999999999", stop_loss=D(1), take_profit=None, trailing_distance=None)


def test_cancelling_a_filled_order_answers_with_its_fill(desk):
    intent, _ = desk.opened()

    assert [event.state for event in desk.executor.cancel(intent.client_order_id)] == [OrderState.FILLED]


def test_fills_come_once_in_order_after_the_cursor(desk, exit_of):
    start = desk.executor.account().cursor
    intent, trade_id = desk.opened()
    first, middle = desk.executor.fills_since(start)
    desk.executor.submit(exit_of(intent, trade_id))
    second, end = desk.executor.fills_since(middle)

    assert [fill.closes for fill in first] == [False]
    assert [fill.closes for fill in second] == [True]
    assert [fill.trade_id for fill in (*first, *second)] == [trade_id] * 2
    assert [fill.opened_by for fill in (*first, *second)] == [intent.client_order_id] * 2
    assert second[0].client_order_id == exit_of(intent, trade_id).client_order_id
    assert (first[0].side, second[0].side) == (Side.BUY, Side.SELL)
    assert second[0].reason is None
    assert desk.executor.fills_since(end) == ([], end)


def test_entry_fills_can_serve_as_cursor(desk, exit_of):
    intent, trade_id = desk.opened()
    entered = desk.find(intent.client_order_id)[0].transaction_id
    desk.executor.submit(exit_of(intent, trade_id))
    fills, _ = desk.executor.fills_since(entered)

    assert [fill.closes for fill in fills] == [True]


def test_cursor_that_is_none_is_refused(desk):
    with pytest.raises(Refuse):
        desk.executor.fills_since("yesterday")


def test_account_books_what_exits_realised(desk, exit_of):
    before = desk.executor.account()
    intent, trade_id = desk.opened()
    during = desk.executor.account()
    (event,) = desk.executor.submit(exit_of(intent, trade_id))
    after = desk.executor.account()

    assert before.equity == before.balance == D(100_000)
    assert during.balance == before.balance
    assert during.margin_used > 0
    assert during.margin_available < before.margin_available
    assert after.balance == before.balance + event.realised
    assert (after.equity, after.margin_used) == (after.balance, 0)
    assert after.currency == "USD"


def test_closed_market_halts_entries_and_exits(desk, exit_of, eventually):
    intent, trade_id = desk.opened()
    late = desk.entry()
    desk.halt()
    eventually(lambda: not desk.data.quotes(["EUR_USD"])["EUR_USD"].tradeable)
    events = [*desk.executor.submit(late), *desk.executor.submit(exit_of(intent, trade_id))]

    assert [(event.state, event.reason) for event in events] == [(OrderState.CANCELLED, "MARKET_HALTED")] * 2
    assert [trade.trade_id for trade in desk.executor.open_trades()] == [trade_id]
