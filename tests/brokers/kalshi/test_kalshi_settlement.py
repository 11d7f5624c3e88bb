"""Ends of contracts: paid once, to the cent, to the surface whose trade it was."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.contract import ContractStatus
from domain.vocabulary import ExitReason, Side, Surface

D = Decimal


@pytest.fixture
def venue(fast_venue):
    return fast_venue


def fills_until(executor, cursor, count, seconds=8.0):
    """Read on from a cursor until there are ``count`` fills in all."""
    found, deadline = [], time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} fills"
        fills, cursor = executor.fills_since(cursor)
        found += fills
        time.sleep(0.05)
    return found, cursor


@pytest.mark.parametrize(("result", "side"), [("yes", Side.BUY), ("no", Side.SELL)])
def test_settlement_pays_what_the_result_is_worth_and_the_money_adds_up(venue, entry, exit_of, result, side):
    _, executor = venue.connect()
    market, close = venue.next_ending(result=result)
    before = executor.account()
    intent = entry(venue.clock, market, side=side)
    trade_id = executor.submit(intent)[-1].broker_trade_id
    executor.submit(exit_of(intent, trade_id, quantity=D(3)))
    fills, end = fills_until(executor, before.cursor, 3)
    after = executor.account()
    last = fills[-1]

    assert (last.closes, last.reason, last.client_order_id) == (True, ExitReason.SETTLED, None)
    assert (last.opened_by, last.trade_id, last.quantity) == (intent.client_order_id, trade_id, D(7))
    assert last.price == (1 if result == "yes" else 0)
    assert last.side is side.opposite
    assert last.fee == 0
    assert last.happened_at >= close + timedelta(seconds=39)
    assert after.balance - before.balance == sum(fill.realised - fill.fee for fill in fills)
    assert (after.equity, after.margin_used) == (after.balance, 0)
    assert executor.open_trades() == []
    assert executor.fills_since(end) == ([], end)


def test_settlement_ends_the_trades_of_every_surface_that_held_the_market(venue, entry):
    _, executor = venue.connect()
    market, _ = venue.next_ending(result="yes")
    before = executor.account()
    short = entry(venue.clock, market, quantity=D(4))
    long = entry(venue.clock, market, surface=Surface.LT, quantity=D(9))
    executor.submit(short)
    executor.submit(long)
    fills, _ = fills_until(executor, before.cursor, 4)
    ends = {fill.opened_by: (fill.quantity, fill.reason) for fill in fills if fill.closes}

    assert ends == {
        short.client_order_id: (D(4), ExitReason.SETTLED),
        long.client_order_id: (D(9), ExitReason.SETTLED),
    }
    assert executor.account().balance - before.balance == sum(fill.realised - fill.fee for fill in fills)


def test_settlement_is_found_again_from_the_entry_after_a_restart(venue, entry):
    _, executor = venue.connect()
    market, _ = venue.next_ending(result="no")
    cursor = executor.account().cursor
    entered = executor.submit(entry(venue.clock, market))[-1]
    fills, _ = fills_until(executor, cursor, 2)
    _, next_life = venue.connect()
    again, _ = next_life.fills_since(entered.transaction_id)

    assert again == fills[1:]


def test_position_stays_open_between_the_result_and_its_payment(venue, entry, eventually):
    data, executor = venue.connect(listing_refresh_s=0.01)
    market, _ = venue.next_ending(result="yes")
    fault = venue.fault("late_settlement", match={"ticker": market}, seconds=1200)
    executor.submit(entry(venue.clock, market))
    eventually(lambda: data.contract(market).status is ContractStatus.DETERMINED)
    contract = data.contract(market)

    assert (contract.result, contract.value, contract.is_over) == ("yes", D(1), False)
    assert not data.is_open(market, venue.clock.now())
    assert [trade.market for trade in executor.open_trades()] == [market]
    assert venue.fired(fault) >= 1


def test_disputed_result_pays_what_stands_in_the_end(venue, entry, eventually):
    data, executor = venue.connect()
    market, _ = venue.next_ending(result="yes")
    settings = {"after": 120, "seconds": 120, "timer": 120, "result": "no"}
    fault = venue.fault("disputed_result", match={"ticker": market}, **settings)
    before = executor.account()
    executor.submit(entry(venue.clock, market))
    seen = []

    def is_over():
        contract = data.contract(market)
        seen.append((contract.status, contract.result))
        return contract.is_over

    eventually(is_over)
    fills, _ = fills_until(executor, before.cursor, 2)

    assert venue.fired(fault) >= 1
    assert {(ContractStatus.DISPUTED, "yes"), (ContractStatus.AMENDED, "no")} <= set(seen)
    assert seen[-1] == (ContractStatus.FINALIZED, "no")
    assert (fills[-1].price, fills[-1].reason) == (D(0), ExitReason.SETTLED)
    assert executor.account().balance - before.balance == sum(fill.realised - fill.fee for fill in fills)


def test_early_close_ends_trading_and_is_seen_in_status_and_quote(venue, entry, eventually):
    data, executor = venue.connect(listing_refresh_s=0.01, quote_silence_s=0.1)
    market = f"KXTEST-14MAY06-M{venue.clock.now().second % 4}"
    assert data.quotes([market])[market].tradeable
    fault = venue.fault("early_close", match={"ticker": market}, closes_at=venue.clock.now().isoformat())

    eventually(lambda: not data.is_open(market, venue.clock.now()))
    eventually(lambda: not (q := data.quotes([market]).get(market)) or not q.tradeable)
    (event,) = executor.submit(entry(venue.clock, market))
    assert venue.fired(fault) >= 1
    assert event.reason == "market_closed"
