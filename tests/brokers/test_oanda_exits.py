"""Exits and protection at OANDA, each way they can go wrong provoked at the simulator."""

from dataclasses import replace
from decimal import Decimal

import pytest
from oanda_orders import ago, find, opened

from domain.errors import Ask, Refuse, Retry
from domain.vocabulary import ExitReason, OrderState, Side

pytestmark = pytest.mark.contract
D = Decimal


def test_lost_bracket_shows_and_is_put_back(desk, venue):
    executor, intent = desk
    fault = venue.fault("lose_bracket", legs=["stopLoss"])
    trade_id = opened(executor, intent)
    before = executor.open_trades()[0]
    executor.protect(trade_id, stop_loss=intent.stop_loss, take_profit=None, trailing_distance=D("0.005"))
    after = executor.open_trades()[0]

    assert venue.fired(fault) == 1
    assert (before.stop_loss, before.take_profit) == (None, intent.take_profit)
    assert (after.stop_loss, after.take_profit, after.trailing_distance) == (intent.stop_loss, None, D("0.005"))


def test_protecting_a_trade_that_is_gone_is_refused(desk):
    executor, intent = desk
    with pytest.raises(Refuse):
        executor.protect("999999", stop_loss=intent.stop_loss, take_profit=None, trailing_distance=None)


def test_protection_whose_reply_was_lost_may_be_repeated(desk, venue):
    executor, intent = desk
    trade_id = opened(executor, intent)
    fault = venue.fault("drop_after_accept", match={"method": "PUT"})
    levels = {"stop_loss": intent.stop_loss - D("0.001"), "take_profit": None, "trailing_distance": None}
    with pytest.raises(Retry):
        executor.protect(trade_id, **levels)
    executor.protect(trade_id, **levels)

    assert venue.fired(fault) == 1
    assert executor.open_trades()[0].stop_loss == levels["stop_loss"]


def test_exit_closes_the_trade_it_names_and_not_the_oldest(venue, entry, exit_of):
    data, executor = venue.connect()
    first, second = (entry(data.quotes(["EUR_USD"])["EUR_USD"]) for _ in range(2))
    older, newer = opened(executor, first), opened(executor, second)
    events = executor.submit(exit_of(second, newer))

    assert [event.state for event in events] == [OrderState.FILLED]
    assert [trade.trade_id for trade in executor.open_trades()] == [older]


def test_exit_whose_reply_was_lost_is_found_and_closes_once(desk, venue, exit_of):
    executor, intent = desk
    trade_id = opened(executor, intent)
    exit_ = exit_of(intent, trade_id)
    fault = venue.fault("drop_after_accept", match={"method": "PUT"})
    with pytest.raises(Ask):
        executor.submit(exit_)
    found, again = executor.find(exit_.client_order_id, since=ago(venue)), executor.submit(exit_)

    assert venue.fired(fault) == 1
    assert found[0].state is OrderState.FILLED
    assert again[0].transaction_id == found[0].transaction_id
    assert executor.open_trades() == []


def test_exit_is_found_after_a_restart_by_the_signal_in_its_id(desk, venue, exit_of):
    executor, intent = desk
    exit_ = exit_of(intent, opened(executor, intent))
    closed = executor.submit(exit_)
    _, restarted = venue.connect()
    found = restarted.find(exit_.client_order_id, since=ago(venue))

    assert found[0].transaction_id == closed[0].transaction_id
    assert found[0].realised == closed[0].realised


def test_exit_dropped_before_it_was_accepted_is_absent_only_after_the_grace(desk, venue, exit_of, eventually):
    executor, intent = desk
    exit_ = exit_of(intent, opened(executor, intent))
    fault = venue.fault("drop_before_accept", match={"method": "PUT"})
    with pytest.raises(Ask):
        executor.submit(exit_)
    with pytest.raises(Retry):
        executor.find(exit_.client_order_id, since=ago(venue))

    assert eventually(find(executor, venue, exit_))[0].state is OrderState.ABSENT
    assert venue.fired(fault) == 1
    assert len(executor.open_trades()) == 1


def test_fill_of_an_exit_whose_reply_was_lost_carries_our_id(desk, venue, exit_of):
    executor, intent = desk
    trade_id = opened(executor, intent)
    exit_, cursor = exit_of(intent, trade_id), executor.account().cursor
    venue.fault("drop_after_accept", match={"method": "PUT"})
    with pytest.raises(Ask):
        executor.submit(exit_)
    (fill,), _ = executor.fills_since(cursor)

    assert (fill.client_order_id, fill.reason) == (exit_.client_order_id, None)


def test_exit_of_a_trade_that_its_stop_closed_is_rejected(desk, venue, exit_of, eventually):
    executor, intent = desk
    cursor = executor.account().cursor
    trade_id = opened(executor, intent)
    executor.protect(trade_id, stop_loss=intent.stop_loss + 101 * D("0.0001"), take_profit=None, trailing_distance=None)
    eventually(lambda: not executor.open_trades(), 30)
    events = executor.submit(exit_of(intent, trade_id))
    fills, _ = executor.fills_since(cursor)

    assert [(event.state, event.reason) for event in events] == [(OrderState.REJECTED, "TRADE_DOESNT_EXIST")]
    assert [fill.reason for fill in fills] == [None, ExitReason.STOP_LOSS]
    assert fills[1].opened_by == intent.client_order_id
    assert fills[1].client_order_id is None


def test_exit_without_a_trade_is_refused(desk, exit_of):
    executor, intent = desk
    with pytest.raises(Refuse):
        executor.submit(replace(exit_of(intent, "1"), broker_trade_id=None))


def test_sold_trade_is_read_as_sold(desk, venue, entry):
    data, executor = venue.connect()
    intent = entry(data.quotes(["NZD_USD"])["NZD_USD"], side=Side.SELL)
    opened(executor, intent)
    trade = executor.open_trades()[0]

    assert (trade.side, trade.quantity, trade.market) == (Side.SELL, D(1000), "NZD_USD")
    assert (trade.stop_loss, trade.take_profit) == (intent.stop_loss, intent.take_profit)
