"""Orders that rest in a dry run: how entries trigger, what stops do to their trades, restart, and two processes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.dry_run.executor import DryRunExecutor
from brokers.fake_market import FakeMarket
from domain.clock import FakeClock
from domain.ids import client_order_id, new_id
from domain.order import OrderIntent
from domain.quotes import Bar, Instrument, Ohlc
from domain.vocabulary import ExitReason, Leg, Mode, OrderState, Side, Surface, TimeInForce

D = Decimal
OPEN = datetime(2014, 5, 6, 14, tzinfo=UTC)
CLOSE = datetime(2014, 5, 6, 20, tzinfo=UTC)
SPY = Instrument(
    name="SPY", base="SPY", quote_currency="USD", tick=D("0.01"), pip=D("0.01"), quantity_step=D(1),
    quantity_min=D(1), quantity_max=D(100_000), margin_rate=D(1),
)  # fmt: skip


class Desk:
    """A dry run of stocks at 100.00 to 100.02; an entry buys 10 at a stop of 105, protected at 95."""

    def __init__(self):
        self.clock = FakeClock(OPEN)
        self.data = FakeMarket(self.clock, [SPY])
        self.data.price("SPY", "100.00", "100.02")
        self.executor = self.process()

    def process(self):
        return DryRunExecutor(
            self.data, self.clock, balance=D(100_000), currency="USD", stop_orders=True,
            closes_at=lambda market, moment: CLOSE if moment < CLOSE else CLOSE + timedelta(days=1),
        )  # fmt: skip

    def entry(self, **changes):
        self.clock.advance(1)
        signal_id = new_id("sig", self.clock.now())
        facts = {
            "client_order_id": client_order_id(Surface.STK, signal_id, Leg.ENTRY, 1), "signal_id": signal_id,
            "surface": Surface.STK, "mode": Mode.DRY_RUN, "market": "SPY", "leg": Leg.ENTRY, "attempt": 1,
            "side": Side.BUY, "quantity": D(10), "trigger": D(105), "stop_loss": D(95), "tif": TimeInForce.DAY,
        }  # fmt: skip
        return OrderIntent(**(facts | changes))

    def stop(self, intent, trade, attempt=2, **changes):
        facts = {
            "client_order_id": client_order_id(Surface.STK, intent.signal_id, Leg.STOP, attempt),
            "leg": Leg.STOP, "attempt": attempt, "side": Side.SELL, "quantity": trade.quantity, "trigger": D(99),
            "stop_loss": None, "broker_trade_id": trade.trade_id, "tif": TimeInForce.GTC,
        }  # fmt: skip
        return replace(intent, **(facts | changes))

    def bought(self, **changes):
        """Return an entry that has filled at 105.02, and its trade."""
        intent = self.entry(**changes)
        self.executor.submit(intent)
        self.data.price("SPY", "105.00", "105.02")
        assert self.state(intent) is OrderState.FILLED
        return intent, next(t for t in self.executor.open_trades() if t.client_order_id == intent.client_order_id)

    def state(self, intent, executor=None):
        return (executor or self.executor).find(intent.client_order_id, since=OPEN)[-1].state

    def bar(self, open_, high, low, close, minutes=1):
        prices = Ohlc(open=D(open_), high=D(high), low=D(low), close=D(close))
        start = self.clock.now() + timedelta(minutes=minutes)
        return Bar(market="SPY", start=start, period_s=60, bid=prices, ask=prices, volume=1)


@pytest.fixture
def desk():
    return Desk()


def stop_id(intent, attempt=1):
    return client_order_id(Surface.STK, intent.signal_id, Leg.STOP, attempt)


@pytest.mark.parametrize(
    ("changes", "bid", "ask", "price"),
    [
        ({}, "104.98", "104.99", None),
        ({}, "104.98", "105.00", "105.00"),
        ({}, "108.00", "108.05", "108.05"),
        ({"price_bound": D("105.50")}, "108.00", "108.05", None),
        ({"price_bound": D("105.50")}, "105.20", "105.50", "105.50"),
        ({"side": Side.SELL, "trigger": D(95), "stop_loss": D(105)}, "95.01", "95.03", None),
        ({"side": Side.SELL, "trigger": D(95), "stop_loss": D(105)}, "93.00", "93.05", "93.00"),
        ({"side": Side.SELL, "trigger": D(95), "stop_loss": D(105), "price_bound": D(94)}, "93.00", "93.05", None),
    ],
)
def test_entry_fills_on_the_quote_that_reaches_it_and_never_beyond_its_bound(desk, changes, bid, ask, price):
    intent = desk.entry(**changes)
    desk.executor.submit(intent)
    desk.data.price("SPY", bid, ask)
    event = desk.executor.find(intent.client_order_id, since=OPEN)[-1]

    assert event.state is (OrderState.ACCEPTED if price is None else OrderState.FILLED)
    assert event.price == (None if price is None else D(price))


def test_stop_limit_that_was_jumped_over_waits_for_the_price_to_come_back(desk):
    intent = desk.entry(price_bound=D("105.50"))
    desk.executor.submit(intent)
    desk.data.price("SPY", "108.00", "108.05")
    jumped = desk.state(intent)
    desk.data.price("SPY", "104.00", "104.02")
    event = desk.executor.find(intent.client_order_id, since=OPEN)[-1]

    assert jumped is OrderState.ACCEPTED
    assert (event.state, event.price) == (OrderState.FILLED, D("104.02"))


def test_last_trade_triggers_where_the_venue_tells_it(desk):
    intent = desk.entry()
    desk.executor.submit(intent)
    quotes, asked = desk.data.quotes, D("105.03")
    desk.data.quotes = lambda markets: {"SPY": replace(quotes(markets)["SPY"], bid=D(105), ask=asked, last=D("104.99"))}
    before = desk.state(intent)
    desk.data.quotes = lambda markets: {"SPY": replace(quotes(markets)["SPY"], bid=D(105), ask=asked, last=D(105))}
    event = desk.executor.find(intent.client_order_id, since=OPEN)[-1]

    assert before is OrderState.ACCEPTED
    assert (event.state, event.price) == (OrderState.FILLED, asked)


@pytest.mark.parametrize(
    ("bound", "bar", "price"),
    [
        (None, ("100", "104.99", "99", "104"), None),
        (None, ("100", "106", "99", "104"), "105"),
        (None, ("107", "109", "106", "108"), "107"),
        ("106", ("107", "109", "106.5", "108"), None),
        ("106", ("107", "109", "104", "108"), "106"),
        ("106", ("100", "109", "99", "108"), "105"),
    ],
)
def test_entry_fills_in_a_bar_at_its_trigger_or_after_a_gap_at_the_open(desk, bound, bar, price):
    intent = desk.entry(price_bound=bound and D(bound))
    desk.executor.submit(intent)
    desk.data.silence("SPY")
    fills = desk.executor.on_bar(desk.bar(*bar))
    event = desk.executor.find(intent.client_order_id, since=OPEN)[-1]

    assert fills == []
    assert event.price == (price and D(price))


def test_stop_limit_that_a_bar_jumped_over_fills_at_the_open_that_came_back(desk):
    intent = desk.entry(price_bound=D(106))
    desk.executor.submit(intent)
    desk.data.silence("SPY")
    desk.executor.on_bar(desk.bar("107", "109", "106.5", "108"))
    [waiting] = desk.executor.resting()
    desk.executor.on_bar(desk.bar("104", "104.5", "103", "104", minutes=2))

    assert waiting.triggered
    assert desk.executor.find(intent.client_order_id, since=OPEN)[-1].price == D(104)


def test_bar_that_began_before_an_entry_was_placed_proves_nothing(desk):
    intent = desk.entry()
    desk.executor.submit(intent)
    desk.executor.on_bar(desk.bar("110", "111", "109", "110", minutes=-1))

    assert desk.state(intent) is OrderState.ACCEPTED


def test_entry_already_reached_fills_at_once(desk):
    intent = desk.entry(trigger=D("99.50"))

    assert desk.executor.submit(intent)[-1].price == D("100.02")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price_bound": D("104.99")}, "BOUNDS_VIOLATION"),
        ({"stop_loss": D(105)}, "STOP_LOSS_ON_FILL_LOSS"),
        ({"take_profit": D(105)}, "TAKE_PROFIT_ON_FILL_LOSS"),
    ],
)
def test_entry_whose_levels_contradict_its_trigger_is_cancelled(desk, changes, reason):
    [event] = desk.executor.submit(desk.entry(**changes))

    assert (event.state, event.reason) == (OrderState.CANCELLED, reason)
    assert desk.executor.resting() == []


def test_halted_and_silent_markets_fill_nothing(desk):
    intent = desk.entry()
    desk.executor.submit(intent)
    desk.data.price("SPY", "106", "106.02")
    desk.data.halted.add("SPY")
    halted = desk.state(intent)
    desk.data.halted.clear()
    desk.data.down = True
    down = desk.state(intent)
    desk.data.down = False

    assert (halted, down, desk.state(intent)) == (OrderState.ACCEPTED, OrderState.ACCEPTED, OrderState.FILLED)


@pytest.mark.parametrize(("tif", "is_over"), [(TimeInForce.DAY, True), (None, True), (TimeInForce.GTC, False)])
def test_day_order_ends_with_its_session_and_another_goes_on(desk, tif, is_over):
    intent = desk.entry(tif=tif)
    desk.executor.submit(intent)
    desk.clock.advance((CLOSE - desk.clock.now()).total_seconds() - 1)
    before = desk.state(intent)
    desk.clock.advance(1)
    desk.data.price("SPY", "106", "106.02")

    assert before is OrderState.ACCEPTED
    assert desk.state(intent) is (OrderState.CANCELLED if is_over else OrderState.FILLED)


def test_stop_that_fires_names_its_order_and_closes_the_trade(desk):
    intent, trade = desk.bought()
    [fill] = desk.executor.on_bar(desk.bar("100", "101", "94", "96"))
    [event] = desk.executor.find(stop_id(intent), since=OPEN)

    assert (fill.client_order_id, fill.reason, fill.price) == (stop_id(intent), ExitReason.STOP_LOSS, D(95))
    assert (event.state, event.quantity, event.leg) == (OrderState.FILLED, D(10), Leg.STOP)
    assert event.realised == fill.realised == (D(95) - trade.price) * 10
    assert (desk.executor.open_trades(), desk.executor.resting()) == ([], [])


def test_trailing_percentage_rises_with_the_bars_and_shows_where_it_stands(desk):
    desk.bought(trailing_percent=D(10))
    desk.executor.on_bar(desk.bar("110", "120", "109", "119"))
    [stop] = desk.executor.resting()
    [fill] = desk.executor.on_bar(desk.bar("118", "119", "107", "110", minutes=2))

    assert (stop.trigger, stop.trailing_percent) == (D(108), D(10))
    assert (fill.reason, fill.price) == (ExitReason.TRAILING_STOP, D(108))


def test_target_that_fills_takes_the_stop_along(desk):
    intent, _ = desk.bought(take_profit=D(115))
    [fill] = desk.executor.on_bar(desk.bar("110", "120", "109", "119"))

    assert (fill.reason, fill.client_order_id) == (ExitReason.TAKE_PROFIT, None)
    assert desk.executor.find(stop_id(intent), since=OPEN)[-1].state is OrderState.CANCELLED


def test_stop_for_a_part_leaves_the_rest_bare(desk):
    intent, _ = desk.bought()
    desk.executor.amend(stop_id(intent), quantity=D(4))
    [fill] = desk.executor.on_bar(desk.bar("100", "101", "94", "96"))
    [left] = desk.executor.open_trades()

    assert (fill.quantity, left.quantity, left.stop_loss) == (D(4), D(6), None)
    assert desk.executor.resting() == []
    assert desk.executor.on_bar(desk.bar("90", "91", "80", "85", minutes=3)) == []


def test_cancelled_stop_acts_no_more(desk):
    intent, _ = desk.bought(trailing_percent=D(10))
    [cancelled] = desk.executor.cancel(stop_id(intent))

    assert cancelled.state is OrderState.CANCELLED
    assert desk.executor.on_bar(desk.bar("90", "91", "80", "85")) == []


def test_second_stop_takes_the_place_of_the_first_and_trails_from_now_on(desk):
    intent, trade = desk.bought(trailing_percent=D(10))
    desk.executor.on_bar(desk.bar("120", "140", "119", "130"))
    desk.data.price("SPY", "110", "110.02")
    [event] = desk.executor.submit(desk.stop(intent, trade, trigger=None, trailing_percent=D(10)))
    [stop] = desk.executor.resting()

    assert event.state is OrderState.ACCEPTED
    assert (stop.client_order_id, stop.trigger) == (stop_id(intent, 2), D(99))
    assert desk.executor.find(stop_id(intent), since=OPEN)[-1].state is OrderState.CANCELLED


@pytest.mark.parametrize(
    "changes", [{"quantity": D(11)}, {"side": Side.BUY}, {"broker_trade_id": None, "signal_id": ""}]
)
def test_stop_that_fits_no_trade_is_rejected(desk, changes):
    intent, trade = desk.bought()
    [event] = desk.executor.submit(desk.stop(intent, trade, **changes))

    assert event.state is OrderState.REJECTED
    assert [stop.client_order_id for stop in desk.executor.resting()] == [stop_id(intent)]


def test_new_process_takes_over_what_rests(desk):
    waiting, gone = desk.entry(trigger=D(120), tif=TimeInForce.GTC), desk.entry(trigger=D(121))
    placed = desk.clock.now()
    held, trade = desk.bought()
    second = desk.stop(held, trade)
    desk.executor.submit(second)
    desk.clock.advance(24 * 3600)
    restarted = desk.process()
    restarted.restore(desk.executor.open_trades())
    orders = [(waiting, placed), (gone, placed), (held, placed), (second, placed)]
    for _ in range(2):
        restarted.restore_orders(orders)
    states = [desk.state(order, restarted) for order, _ in orders]
    desk.data.price("SPY", "120.00", "120.02")

    assert states == [OrderState.ACCEPTED, OrderState.CANCELLED, OrderState.FILLED, OrderState.ACCEPTED]
    assert next(stop.client_order_id for stop in restarted.resting() if stop.side is Side.SELL) == stop_id(held, 2)
    assert desk.state(waiting, restarted) is OrderState.FILLED
    assert len(restarted.open_trades()) == 2


def test_resolvers_copy_ends_what_the_surfaces_copy_entered(desk):
    intent, trade = desk.bought()
    resolver = desk.process()
    cursor = trade.trade_id
    resolver.restore(desk.executor.open_trades())
    desk.clock.advance(5)
    [ended] = resolver.on_bar(desk.bar("100", "101", "94", "96"))
    fills, _ = resolver.fills_since(cursor)

    assert fills == [ended]
    assert (ended.opened_by, ended.client_order_id) == (intent.client_order_id, stop_id(intent))
    assert int(ended.transaction_id) > int(cursor)


def test_account_without_stop_orders_shows_none(desk):
    executor = DryRunExecutor(desk.data, desk.clock, balance=D(100_000), currency="USD")
    intent = desk.entry()
    executor.submit(intent)
    desk.data.price("SPY", "105.00", "105.02")

    assert executor.resting() == []
    [fill] = executor.on_bar(desk.bar("100", "101", "94", "96"))
    assert fill.client_order_id is None


def test_stop_without_a_level_sells_at_once(desk):
    intent, trade = desk.bought()
    order = desk.stop(intent, trade, trigger=None)
    first, second = desk.executor.submit(order), desk.executor.submit(order)

    assert [event.state for event in first] == [OrderState.FILLED]
    assert (first[0].price, first[0].leg, second) == (D(105), Leg.STOP, first)
    assert (desk.executor.open_trades(), desk.executor.resting()) == ([], [])


def test_trade_that_another_process_closed_is_let_go_of_for_good(desk):
    intent, trade = desk.bought()
    for _ in range(2):
        desk.executor.forget(trade.trade_id)
    desk.executor.restore([trade])

    assert (desk.executor.open_trades(), desk.executor.resting()) == ([], [])
    assert desk.executor.find(stop_id(intent), since=OPEN)[-1].state is OrderState.CANCELLED
    assert desk.state(intent) is OrderState.FILLED
