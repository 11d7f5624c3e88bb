"""What every ``RestingExecutor`` must do alike: a suite to be run for each broker at which orders rest.

Subclass ``RestingContract`` in a test module, under a name that starts with ``Test``, and give it a fixture ``resting``
that returns a ``RestingDesk`` of an account in which nothing is open and nothing rests:

    class TestTwsResting(RestingContract):
        @pytest.fixture
        def resting(self, gateway): return TwsDesk(gateway)

A desk whose market is a recording builds ``near`` from what the recording is about to do and lets time pass in
``reach``; one whose market can be moved moves it. ``eventually`` waits where the broker answers late.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol

import pytest

from brokers.port import RestingExecutor, RestingOrder
from domain.clock import Clock
from domain.errors import Refuse, Retry
from domain.ids import client_order_id
from domain.order import OrderIntent
from domain.vocabulary import Leg, Link, OrderState, TimeInForce

D = Decimal


class RestingDesk(Protocol):
    """One account, and orders for it; every entry buys at a stop, with a stop and a trailing stop of 10 % behind it."""

    executor: RestingExecutor
    clock: Clock

    def far(self, **changes: Any) -> OrderIntent:
        """Return an entry whose trigger the market does not reach during a test."""

    def near(self, **changes: Any) -> OrderIntent:
        """Return an entry whose trigger ``reach`` can reach."""

    def reach(self, intent: OrderIntent) -> None:
        """Let the market trade at the trigger of ``intent``."""

    def eventually(self, condition: Any) -> Any:
        """Return the first true answer of ``condition``."""


def find(resting: RestingDesk, key: str) -> OrderState | None:
    """Return the state of an order as the broker tells it, None while it can't."""
    with suppress(Retry):
        return resting.executor.find(key, since=resting.clock.now() - timedelta(hours=1))[-1].state
    return None


def shown(resting: RestingDesk, key: str) -> RestingOrder | None:
    return next((one for one in resting.executor.resting() if one.client_order_id == key), None)


def stop_id(intent: OrderIntent, attempt: int = 1) -> str:
    return client_order_id(intent.surface, intent.signal_id, Leg.STOP, attempt)


def stops(resting: RestingDesk, intent: OrderIntent) -> list[RestingOrder]:
    """Return the live orders that would close what ``intent`` bought."""
    return [o for o in resting.executor.resting() if o.market == intent.market and o.side is intent.side.opposite]


def held(resting: RestingDesk, intent: OrderIntent) -> Any:
    """Let ``intent`` fill, and return its trade once its stop rests."""
    resting.executor.submit(intent)
    resting.reach(intent)
    resting.eventually(lambda: find(resting, intent.client_order_id) is OrderState.FILLED)
    resting.eventually(lambda: shown(resting, stop_id(intent)))
    trades = resting.eventually(resting.executor.open_trades)
    return next(trade for trade in trades if trade.client_order_id == intent.client_order_id)


def another_stop(intent: OrderIntent, trade: Any, attempt: int = 2) -> OrderIntent:
    """Build the stop that takes the place of the one sent with the entry."""
    return OrderIntent(
        client_order_id=stop_id(intent, attempt),
        signal_id=intent.signal_id,
        surface=intent.surface,
        mode=intent.mode,
        market=intent.market,
        leg=Leg.STOP,
        attempt=attempt,
        side=intent.side.opposite,
        quantity=trade.quantity,
        broker_trade_id=trade.trade_id,
        trigger=intent.stop_loss,
        trailing_percent=intent.trailing_percent,
        tif=TimeInForce.GTC,
    )


def exit_of(intent: OrderIntent, trade: Any) -> OrderIntent:
    return OrderIntent(
        client_order_id=client_order_id(intent.surface, intent.signal_id, Leg.EXIT, 1),
        signal_id=intent.signal_id,
        surface=intent.surface,
        mode=intent.mode,
        market=intent.market,
        leg=Leg.EXIT,
        attempt=1,
        side=intent.side.opposite,
        quantity=trade.quantity,
        broker_trade_id=trade.trade_id,
    )


class RestingContract:
    """The suite; see the module's docstring."""

    def test_broker_says_that_it_can_be_traded_with(self, resting: RestingDesk) -> None:
        assert resting.executor.link()[0] is Link.UP

    def test_stop_entry_rests_until_the_market_reaches_it(self, resting: RestingDesk) -> None:
        intent = resting.far()
        events = resting.executor.submit(intent)
        order = resting.eventually(lambda: shown(resting, intent.client_order_id))

        assert events[-1].state is OrderState.ACCEPTED
        assert (order.market, order.side, order.quantity) == (intent.market, intent.side, intent.quantity)
        assert (order.trigger, order.limit, order.tif) == (intent.trigger, None, intent.tif)
        assert find(resting, intent.client_order_id) is OrderState.ACCEPTED
        assert resting.executor.open_trades() == []

    def test_stop_limit_entry_shows_its_limit(self, resting: RestingDesk) -> None:
        plain = resting.far()
        assert plain.trigger is not None
        intent = resting.far(price_bound=plain.trigger + D("0.5"))
        resting.executor.submit(intent)
        order = resting.eventually(lambda: shown(resting, intent.client_order_id))

        assert (order.trigger, order.limit) == (intent.trigger, intent.price_bound)

    def test_stop_entry_sent_twice_rests_once(self, resting: RestingDesk) -> None:
        intent = resting.far()
        answers = [resting.executor.submit(intent)[-1].state for _ in range(2)]
        resting.eventually(lambda: shown(resting, intent.client_order_id))
        orders = [one for one in resting.executor.resting() if one.client_order_id == intent.client_order_id]

        assert answers == [OrderState.ACCEPTED] * 2
        assert len(orders) == 1

    def test_reached_stop_entry_becomes_a_trade_with_exactly_one_stop(self, resting: RestingDesk) -> None:
        intent = resting.near()
        trade = held(resting, intent)
        [stop] = stops(resting, intent)

        assert (trade.market, trade.side, trade.quantity) == (intent.market, intent.side, intent.quantity)
        assert trade.price >= intent.trigger
        assert shown(resting, intent.client_order_id) is None
        assert (stop.client_order_id, stop.quantity) == (stop_id(intent), trade.quantity)
        assert stop.trailing_percent == intent.trailing_percent
        assert find(resting, stop_id(intent)) is OrderState.ACCEPTED

    def test_cancelled_entry_is_gone_and_so_is_its_stop(self, resting: RestingDesk) -> None:
        intent = resting.far()
        resting.executor.submit(intent)
        resting.eventually(lambda: shown(resting, intent.client_order_id))
        resting.executor.cancel(intent.client_order_id)
        resting.eventually(lambda: find(resting, intent.client_order_id) is OrderState.CANCELLED)

        assert resting.eventually(lambda: not resting.executor.resting())
        assert resting.executor.cancel(intent.client_order_id)[-1].state is OrderState.CANCELLED
        assert resting.executor.open_trades() == []

    def test_amended_entry_keeps_all_but_its_quantity(self, resting: RestingDesk) -> None:
        intent = resting.far()
        resting.executor.submit(intent)
        before = resting.eventually(lambda: shown(resting, intent.client_order_id))
        resting.executor.amend(intent.client_order_id, quantity=intent.quantity + 3)
        resting.eventually(lambda: shown(resting, intent.client_order_id).quantity == intent.quantity + 3)  # type: ignore[union-attr]  it rests
        after = shown(resting, intent.client_order_id)

        assert after is not None
        assert (after.trigger, after.limit, after.side, after.tif) == (
            before.trigger, before.limit, before.side, before.tif,
        )  # fmt: skip
        assert find(resting, intent.client_order_id) is OrderState.ACCEPTED

    def test_amending_what_does_not_rest_is_refused(self, resting: RestingDesk) -> None:
        with pytest.raises(Refuse):
            resting.executor.amend(resting.far().client_order_id, quantity=D(1))

    def test_stop_takes_another_quantity(self, resting: RestingDesk) -> None:
        intent = resting.near()
        trade = held(resting, intent)
        resting.executor.amend(stop_id(intent), quantity=trade.quantity - 1)

        assert resting.eventually(lambda: [one.quantity for one in stops(resting, intent)] == [trade.quantity - 1])

    def test_stop_can_be_taken_back_and_another_put_in_its_place(self, resting: RestingDesk) -> None:
        intent = resting.near()
        trade = held(resting, intent)
        resting.executor.cancel(stop_id(intent))
        resting.eventually(lambda: not stops(resting, intent))
        second = another_stop(intent, trade)
        events = resting.executor.submit(second)

        assert events[-1].state is OrderState.ACCEPTED
        assert resting.eventually(
            lambda: [one.client_order_id for one in stops(resting, intent)] == [second.client_order_id]
        )
        assert resting.eventually(lambda: find(resting, stop_id(intent)) is OrderState.CANCELLED)

    def test_stop_sent_twice_rests_once(self, resting: RestingDesk) -> None:
        intent = resting.near()
        trade = held(resting, intent)
        resting.executor.cancel(stop_id(intent))
        resting.eventually(lambda: not stops(resting, intent))
        second = another_stop(intent, trade)
        for _ in range(2):
            resting.executor.submit(second)

        assert resting.eventually(lambda: len(stops(resting, intent)) == 1)

    def test_closed_trade_leaves_no_stop_behind(self, resting: RestingDesk) -> None:
        intent = resting.near()
        trade = held(resting, intent)
        resting.executor.submit(exit_of(intent, trade))

        assert resting.eventually(lambda: not resting.executor.open_trades())
        assert resting.eventually(lambda: not resting.executor.resting())
        assert resting.eventually(lambda: find(resting, stop_id(intent)) is OrderState.CANCELLED)

    def test_protective_order_without_a_level_sells_at_once_and_leaves_no_stop(self, resting: RestingDesk) -> None:
        intent = resting.near()
        trade = held(resting, intent)
        bare = replace(another_stop(intent, trade), trigger=None, trailing_percent=None, tif=TimeInForce.DAY)
        resting.executor.submit(bare)

        assert resting.eventually(lambda: find(resting, bare.client_order_id) is OrderState.FILLED)
        assert resting.eventually(lambda: not resting.executor.open_trades())
        assert resting.eventually(lambda: not resting.executor.resting())

    def test_protective_order_without_a_level_never_sells_more_than_is_held(self, resting: RestingDesk) -> None:
        intent = resting.near()
        trade = held(resting, intent)
        bare = replace(another_stop(intent, trade), trigger=None, trailing_percent=None, tif=TimeInForce.DAY)
        resting.executor.submit(exit_of(intent, trade))
        resting.eventually(lambda: not resting.executor.open_trades())
        events = resting.executor.submit(bare)

        assert events[-1].state is OrderState.REJECTED
        assert resting.executor.open_trades() == []
