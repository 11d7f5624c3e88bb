"""Positions taken apart into trades: what executions explain, what they do not yet, and what nobody does."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.kalshi.config import KalshiConfig
from brokers.kalshi.history import Histories
from brokers.kalshi.holdings import Holdings
from brokers.kalshi.records import FillRow, OrderRow, PositionRow
from domain.clock import FakeClock
from domain.errors import Retry
from domain.ids import client_order_id
from domain.settings import Secret
from domain.vocabulary import Leg, Side, Surface

D = Decimal
NOON = datetime(2014, 5, 6, 12, tzinfo=UTC)
OURS = client_order_id(Surface.ST, "sig_" + "A" * 26, Leg.ENTRY, 1)
GRACE_S = 15.0


class Cabinet:
    """The venue's lists as a test has them, asked through what stands for the wire."""

    def __init__(self):
        self.clock = FakeClock(NOON)
        self.config = KalshiConfig(key_id="k", private_key=Secret("x"), fresh_order_grace_s=GRACE_S)
        self.late = timedelta(minutes=1)
        self.lists = {}

    def rows(self, what, path, key, parse, **params):
        return self.lists.get(path, [])

    def read(self, what, path, parse, **params):
        return parse(self.lists[path])

    def hold(self, quantity, cost="4.00"):
        row = PositionRow(ticker="M", quantity=D(quantity), cost=D(cost), updated_at=NOON)
        self.lists["/portfolio/positions"] = [row] if quantity else []

    def execute(self, quantity, *, where="/portfolio", side=Side.BUY):
        order = OrderRow(
            order_id="o", client_order_id=OURS, ticker="M", side=side, status="executed", filled=D(quantity),
            initial=D(quantity), fees=None, created_at=NOON,
        )  # fmt: skip
        fill = FillRow(
            fill_id="f",
            order_id="o",
            ticker="M",
            side=side,
            quantity=D(quantity),
            price=D("0.40"),
            fee=D("0.1"),
            at=NOON,
        )
        self.lists |= {f"{where}/fills": [fill], f"{where}/orders": [order]}


@pytest.fixture
def venue():
    return Cabinet()


@pytest.fixture
def holdings(venue):
    return Holdings(venue, Histories(venue))


def test_position_that_executions_explain_is_our_trade(venue, holdings):
    venue.hold(10)
    venue.execute(10)
    (trade,) = holdings.trades()

    assert (trade.client_order_id, trade.quantity, trade.price, trade.opened_at) == (OURS, D(10), D("0.40"), NOON)


def test_position_shown_before_its_execution_is_waited_for(venue, holdings):
    venue.hold(10)
    with pytest.raises(Retry, match="add up to its position of 10"):
        holdings.trades()
    venue.execute(10)

    assert [trade.client_order_id for trade in holdings.trades()] == [OURS]


def test_execution_shown_before_its_position_is_waited_for(venue, holdings):
    venue.hold(4)
    venue.execute(10)
    with pytest.raises(Retry, match="found 10"):
        holdings.trades()
    venue.hold(10)

    assert [trade.quantity for trade in holdings.trades()] == [D(10)]


def test_position_nobodys_executions_explain_is_nobodys_trade_after_the_grace(venue, holdings):
    venue.hold(-10, cost="7.00")
    with pytest.raises(Retry):
        holdings.trades()
    venue.clock.advance(GRACE_S + 1)
    (trade,) = holdings.trades()

    assert (trade.trade_id, trade.client_order_id) == ("unexplained:M", None)
    assert (trade.side, trade.quantity, trade.price) == (Side.SELL, D(10), D("0.3"))


def test_remainder_nobody_explains_stands_beside_our_trade(venue, holdings):
    venue.hold(13, cost="5.20")
    venue.execute(10)
    with pytest.raises(Retry):
        holdings.trades()
    venue.clock.advance(GRACE_S + 1)

    assert {trade.client_order_id: trade.quantity for trade in holdings.trades()} == {OURS: D(10), None: D(3)}


def test_position_smaller_than_its_trades_is_shown_as_it_is_after_the_grace(venue, holdings):
    venue.hold(4)
    venue.execute(10)
    with pytest.raises(Retry):
        holdings.trades()
    venue.clock.advance(GRACE_S + 1)

    assert {trade.client_order_id: trade.quantity for trade in holdings.trades()} == {OURS: D(4)}


def test_difference_that_went_away_starts_its_grace_anew(venue, holdings):
    venue.hold(4)
    venue.execute(10)
    with pytest.raises(Retry):
        holdings.trades()
    venue.hold(10)
    holdings.trades()
    venue.clock.advance(GRACE_S + 1)
    venue.hold(4)

    with pytest.raises(Retry):
        holdings.trades()


def test_position_of_long_ago_is_explained_by_what_the_venue_has_put_away(venue, holdings):
    venue.hold(10)
    venue.execute(10, where="/historical")

    assert [trade.client_order_id for trade in holdings.trades()] == [OURS]


@pytest.mark.parametrize(
    ("balance", "equity"),
    [
        ({"balance": 90000, "balance_dollars": "900.0000", "portfolio_value": 550}, "905.50"),
        ({"balance": 90000, "portfolio_value": 550}, "905.50"),
        ({"balance": 90000}, "904.00"),
    ],
)
def test_account_counts_what_is_held_at_its_cost_until_it_ends(venue, holdings, balance, equity):
    venue.hold(10)
    venue.lists["/portfolio/balance"] = balance
    account = holdings.account("cursor")

    assert (account.balance, account.equity) == (D(904), D(equity))
    assert (account.margin_used, account.margin_available, account.cursor) == (D(4), D(900), "cursor")


def test_balance_that_was_not_sent_is_an_error(venue, holdings):
    venue.hold(0)
    venue.lists["/portfolio/balance"] = {"portfolio_value": 550}

    with pytest.raises(ValueError, match="neither"):
        holdings.account("cursor")


def test_position_updated_at_no_known_time_counts_as_old():
    from brokers.kalshi import records

    row = records.position({"ticker": "M", "position": 1, "market_exposure": 40})

    assert row.updated_at < NOON - timedelta(days=1)
