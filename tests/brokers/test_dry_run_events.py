"""A dry run of event contracts: filled at the book, charged, and settled by the venue's result."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.dry_run.executor import DryRunExecutor
from brokers.fake_market import FakeMarket
from domain.clock import FakeClock
from domain.ids import client_order_id
from domain.order import OrderIntent
from domain.quotes import Instrument
from domain.vocabulary import ExitReason, Leg, Mode, OrderState, Side, Surface

D = Decimal
NOON = datetime(2014, 5, 6, 12, tzinfo=UTC)
MARKET = "KXHIGHNY-14MAY06-B55.5"
CONTRACT = Instrument(
    name=MARKET, base=MARKET, quote_currency="USD", tick=D("0.01"), pip=D("0.01"), quantity_step=D(1),
    quantity_min=D(1), quantity_max=D(1000), margin_rate=D(1), payout=D(1),
)  # fmt: skip


class Desk:
    def __init__(self):
        self.clock = FakeClock(NOON)
        self.data = FakeMarket(self.clock, [CONTRACT])
        self.data.price(MARKET, "0.40", "0.44")
        self.executor = DryRunExecutor(
            self.data,
            self.clock,
            balance=D(1000),
            currency="USD",
            fee=lambda market, quantity, price: D("0.02") * quantity,
        )

    def entry(self, side=Side.BUY, number=0, bound=None):
        signal = f"sig_{'ABCDEFG'[number] * 26}"
        return OrderIntent(
            client_order_id=client_order_id(Surface.ST, signal, Leg.ENTRY, 1), signal_id=signal, surface=Surface.ST,
            mode=Mode.DRY_RUN, market=MARKET, leg=Leg.ENTRY, attempt=1, side=side, quantity=D(10),
            price_bound=bound, stop_loss=D(0) if side is Side.BUY else D(1),
            take_profit=D(1) if side is Side.BUY else D(0),
        )  # fmt: skip


@pytest.fixture
def desk():
    return Desk()


@pytest.mark.parametrize(
    ("side", "value", "realised"),
    [(Side.BUY, 1, "5.6"), (Side.BUY, 0, "-4.4"), (Side.SELL, 0, "4"), (Side.SELL, 1, "-6")],
)
def test_settlement_pays_what_the_result_is_worth(desk, side, value, realised):
    (entered,) = desk.executor.submit(desk.entry(side))
    cursor = desk.executor.account().cursor
    desk.clock.advance(3600)
    (end,) = desk.executor.settle(MARKET, D(value), desk.clock.now())
    fills, _ = desk.executor.fills_since(cursor)

    assert (end.reason, end.price, end.quantity, end.fee) == (ExitReason.SETTLED, D(value), D(10), D(0))
    assert end.realised == D(realised)
    assert (fills, desk.executor.open_trades()) == ([end], [])
    assert desk.executor.account().balance == 1000 + end.realised - entered.fee


def test_contract_is_settled_once(desk):
    desk.executor.submit(desk.entry())
    first = desk.executor.settle(MARKET, D(1), desk.clock.now())

    assert len(first) == 1
    assert desk.executor.settle(MARKET, D(1), desk.clock.now()) == []
    assert desk.executor.settle("KXOTHER", D(1), desk.clock.now()) == []


def test_every_trade_of_the_market_is_settled(desk):
    desk.executor.submit(desk.entry(number=0))
    desk.executor.submit(desk.entry(Side.SELL, number=1))

    assert [fill.realised for fill in desk.executor.settle(MARKET, D(1), desk.clock.now())] == [D("5.6"), D(-6)]


def test_entries_and_exits_are_charged(desk):
    (entered,) = desk.executor.submit(desk.entry())

    assert entered.fee == D("0.20")
    assert desk.executor.account().balance == D("999.80")
    assert desk.executor.fills_since("0")[0][0].fee == D("0.20")


def test_side_nobody_stands_on_does_not_trip_the_contracts_own_bounds(desk):
    desk.data.price(MARKET, "0", "0.02")
    (bought,) = desk.executor.submit(desk.entry())
    (sold,) = desk.executor.submit(desk.entry(Side.SELL, number=1))

    assert (bought.state, bought.price) == (OrderState.FILLED, D("0.02"))
    assert (sold.state, sold.reason) == (OrderState.CANCELLED, "BOUNDS_VIOLATION")


def test_bound_of_an_entry_holds(desk):
    (event,) = desk.executor.submit(desk.entry(bound=D("0.43")))

    assert (event.state, event.reason) == (OrderState.CANCELLED, "BOUNDS_VIOLATION")
