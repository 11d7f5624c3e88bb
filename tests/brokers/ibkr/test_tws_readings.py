"""Readings that overlap, come late or prove nothing: what the adapter takes them for, at a wire that a test answers."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from answered_wire import CONFIG, IBM, SPY, execution, order, sending, talking, told_open, turns

from brokers.ibkr.trades import Entries
from brokers.ibkr.tws import parse
from brokers.ibkr.tws.holdings import Holdings
from brokers.ibkr.tws.tickets import Tickets
from domain.clock import FakeClock
from domain.errors import Retry
from domain.ids import client_order_id
from domain.vocabulary import Leg, Link, Surface

D = Decimal
NOON = datetime(2014, 5, 6, 16, tzinfo=UTC)
ENTRY = client_order_id(Surface.STK, "sig_018Q8XAZCPHS869QHDV5R085MW", Leg.ENTRY, 1)


def test_list_that_was_asked_for_before_is_not_taken_for_one_asked_for_now():
    async def play():
        keeper, wire = talking()
        first = asyncio.ensure_future(keeper.orders_since(keeper.clock.monotonic_ns()))
        await turns(lambda: wire.asked)
        second = asyncio.ensure_future(keeper.orders_since(keeper.clock.monotonic_ns()))
        await turns()
        keeper.session.ears.openOrderEnd()
        await turns(lambda: len(wire.asked) > 1)
        heard = first.done(), second.done(), list(wire.asked)
        keeper.session.ears.openOrderEnd()
        await second
        return heard

    assert asyncio.run(play()) == (True, False, ["open orders"] * 2)


def test_list_that_nobody_waits_for_any_more_is_not_taken_for_the_next():
    async def play():
        keeper, wire = talking()
        first = asyncio.ensure_future(keeper.orders_since(keeper.clock.monotonic_ns()))
        await turns(lambda: wire.asked)
        first.cancel()
        second = asyncio.ensure_future(keeper.orders_since(keeper.clock.monotonic_ns()))
        await turns()
        keeper.session.ears.openOrderEnd()
        await turns(lambda: len(wire.asked) > 1)
        heard = second.done(), list(wire.asked)
        keeper.session.ears.openOrderEnd()
        await second
        return heard

    assert asyncio.run(play()) == (False, ["open orders"] * 2)


def test_two_that_may_have_the_same_list_share_it():
    async def play():
        keeper, wire = talking()
        moment = keeper.clock.monotonic_ns()
        both = [asyncio.ensure_future(keeper.orders_since(moment)) for _ in range(2)]
        await turns(lambda: wire.asked)
        keeper.session.ears.openOrderEnd()
        await asyncio.gather(*both)
        return wire.asked

    assert asyncio.run(play()) == ["open orders"]


def test_connection_that_leaves_a_question_without_a_number_unanswered_is_ended():
    async def play():
        keeper, wire = talking(replace(CONFIG, request_timeout_s=0.05))
        with pytest.raises(Retry):
            await keeper.orders_since(keeper.clock.monotonic_ns())
        with pytest.raises(Retry):
            keeper.open_session()
        return wire.ready, keeper.state.state()

    ready, (link, words) = asyncio.run(play())

    assert ready is False
    assert link is Link.DOWN
    assert "the open orders" in words


def test_position_told_behind_the_end_of_a_list_is_kept():
    async def play():
        keeper, wire = talking()
        ears = keeper.session.ears
        wire.reqAllOpenOrders = ears.openOrderEnd
        keeper.on_position("DU1", IBM, D(5), D(150))

        def positions():
            ears.positionEnd()
            ears.position("DU1", SPY, 10.0, 180.0)

        wire.reqPositions = positions
        await keeper.refresh()
        return [(one.market, one.quantity) for one in keeper.holdings()]

    assert asyncio.run(play()) == [("SPY", D(10))]


def test_position_that_comes_while_executions_are_read_is_told_as_whose_it_is():
    async def play():
        keeper, wire = talking()
        ears, told = keeper.session.ears, []

        def executions(number, wanted):
            if keeper.holdings():
                told.append(number)
                ears.execDetails(number, SPY, execution(ENTRY, "BOT", 10))
            else:
                ears.position("DU1", SPY, 10.0, 180.0)
            ears.execDetailsEnd(number)

        wire.reqAllOpenOrders, wire.reqExecutions = ears.openOrderEnd, executions
        holdings = Holdings(keeper, Entries(keeper.executions, lambda: ()), None)
        return [one.client_order_id for one in await holdings.open_trades()], len(told)

    assert asyncio.run(play()) == ([ENTRY], 1)


@pytest.mark.parametrize("perm_id", [0, 70])
def test_order_that_is_on_no_list_any_more_ends_with_and_without_a_permanent_id(perm_id):
    async def play():
        clock = FakeClock(NOON)
        keeper, wire = talking(clock=clock)
        told_open(keeper, permId=perm_id)
        clock.advance(25)
        wire.reqAllOpenOrders = keeper.session.ears.openOrderEnd
        await keeper.orders_since(clock.monotonic_ns())
        return keeper.orders.live()

    assert asyncio.run(play()) == []


@pytest.mark.parametrize(("age_s", "live"), [(5, ["SPY"]), (25, [])])
def test_order_that_is_not_listed_is_given_up_by_a_connection_that_is_not_young(age_s, live):
    async def play():
        clock = FakeClock(NOON)
        keeper, wire = talking(clock=clock)
        told_open(keeper)
        clock.advance(age_s)
        wire.reqAllOpenOrders = keeper.session.ears.openOrderEnd
        await keeper.orders_since(clock.monotonic_ns())
        return [one.terms.market for one in keeper.orders.live()]

    assert asyncio.run(play()) == live


def test_pair_waits_on_when_others_send_in_the_moment_that_was_free():
    async def play():
        keeper, wire = talking()
        wire.throttle.throttleStart.emit()
        waiting = asyncio.ensure_future(keeper.session.room_for_pair())
        await turns()
        wire.throttle.throttleEnd.emit()
        wire.throttle.throttleStart.emit()
        await turns()
        heard = waiting.done()
        wire.throttle.throttleEnd.emit()
        await waiting
        return heard

    assert asyncio.run(play()) is False


def test_pair_leaves_whole_though_the_messages_of_its_second_are_spent():
    async def play():
        session, left = sending(messages_per_s=3)
        for name in ("one", "two", "three"):
            session.client.send(name)
        await session.room_for_pair()
        with session.together():
            session.client.send("entry")
            session.client.send("stop")
        session.client.send("four")
        return left, session.is_throttled

    left, is_throttled = asyncio.run(play())

    assert left == ["one", "two", "three", "entry", "stop"]
    assert is_throttled


def test_no_more_pairs_leave_in_a_second_than_ibkr_allows_messages():
    async def play():
        session, left = sending(messages_per_s=40)
        for _ in range(40):
            session.client.send("other")
        for _ in range(5):
            await session.room_for_pair()
            with session.together():
                session.client.send("entry")
                session.client.send("stop")
        sixth = asyncio.ensure_future(session.room_for_pair())
        await turns(sixth.done)
        heard = len(left), sixth.done()
        sixth.cancel()
        return heard

    assert asyncio.run(play()) == (50, False)


def test_amended_trailing_stop_names_its_percentage_and_not_its_distance_too():
    async def play():
        keeper, _ = talking()
        told_open(keeper, orderType="TRAIL", trailingPercent=10.0, auxPrice=9.5, trailStopPrice=85.5)
        (known,) = keeper.orders.live()
        changed = Tickets(keeper.session.sdk, CONFIG).resized(known.terms, D(4), parent_is_done=True)
        return changed.trailingPercent, changed.trailStopPrice, changed.auxPrice == keeper.session.sdk.UNSET_DOUBLE

    assert asyncio.run(play()) == (10, 85.5, True)


def test_amended_trailing_limit_names_its_offset_and_not_its_limit_too():
    async def play():
        keeper, _ = talking()
        sdk = keeper.session.sdk
        told_open(keeper, orderType="TRAIL LIMIT", trailingPercent=10.0, lmtPrice=89.9, lmtPriceOffset=0.1)
        (known,) = keeper.orders.live()
        changed = Tickets(sdk, CONFIG).resized(known.terms, D(4), parent_is_done=True)
        return changed.totalQuantity, changed.lmtPriceOffset, changed.lmtPrice == sdk.UNSET_DOUBLE

    assert asyncio.run(play()) == (4, 0.1, True)


@pytest.mark.parametrize(
    ("status", "left", "filled", "whole"),
    [("Filled", 0.0, 10.0, 10), ("Filled", 10.0, 10.0, 10), ("Cancelled", 6.0, 4.0, 10)],
)
def test_quantity_of_an_order_that_is_over_is_what_filled_and_what_was_left(status, left, filled, whole):
    async def play():
        keeper, _ = talking()
        return parse.completed_terms_of(SPY, order(keeper, totalQuantity=left, filledQuantity=filled), status)

    terms = asyncio.run(play())

    assert (terms.quantity, terms.filled) == (whole, filled)
