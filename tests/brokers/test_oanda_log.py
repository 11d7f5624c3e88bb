"""Executions read from OANDA's transaction log."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest

from brokers.oanda.cursor import FillReader
from domain.errors import Misconfigured, Refuse
from domain.settings import Secret
from domain.vocabulary import ExitReason, Side

pytestmark = pytest.mark.contract
D = Decimal


@pytest.fixture
def traded(venue, entry, exit_of):
    """Give an executor whose account opened and closed two trades, and the cursor of before."""
    data, executor = venue.connect()
    cursor = executor.account().cursor
    intents = []
    for _ in range(2):
        intent = entry(data.quotes(["EUR_USD"])["EUR_USD"])
        (event,) = executor.submit(intent)
        executor.submit(exit_of(intent, event.broker_trade_id))
        intents.append(intent)
    return executor, cursor, intents


def test_fills_come_in_order_with_both_ids_and_profit(traded):
    executor, cursor, (first, second) = traded
    fills, after = executor.fills_since(cursor)

    assert [fill.closes for fill in fills] == [False, True, False, True]
    assert [fill.opened_by for fill in fills] == [first.client_order_id] * 2 + [second.client_order_id] * 2
    assert [fill.side for fill in fills] == [Side.BUY, Side.SELL] * 2
    assert fills[1].realised == (fills[1].price - fills[0].price) * 1000
    assert after == executor.account().cursor


def test_cursor_is_exclusive(traded):
    executor, cursor, _ = traded
    fills, after = executor.fills_since(cursor)

    assert executor.fills_since(after) == ([], after)
    assert [fill.transaction_id for fill in executor.fills_since(fills[0].transaction_id)[0]] == [
        fill.transaction_id for fill in fills[1:]
    ]


def test_fills_read_twice_by_the_venue_are_given_once(traded, venue):
    executor, cursor, _ = traded
    fault = venue.fault("duplicate_transactions")
    fills, _ = executor.fills_since(cursor)

    assert venue.fired(fault) == 1
    assert len({fill.transaction_id for fill in fills}) == len(fills) == 4


def test_late_fill_comes_with_a_later_call_and_only_once(venue, entry, eventually):
    data, executor = venue.connect()
    cursor = executor.account().cursor
    fault = venue.fault("late_transactions", seconds=0.4)
    executor.submit(entry(data.quotes(["EUR_USD"])["EUR_USD"]))
    early, cursor = executor.fills_since(cursor)
    seen = []

    def read():
        nonlocal cursor
        fills, cursor = executor.fills_since(cursor)
        seen.extend(fills)
        return seen

    eventually(read)
    assert venue.fired(fault) == 1
    assert early == []
    assert len(seen) == 1


def test_fills_of_before_a_restart_know_who_opened_their_trade(traded, venue):
    _, cursor, (first, second) = traded
    _, restarted = venue.connect()
    fills, _ = restarted.fills_since(cursor)
    closing = [fill for fill in fills if fill.closes]

    assert [fill.opened_by for fill in closing] == [first.client_order_id, second.client_order_id]
    assert [fill.reason for fill in closing] == [ExitReason.BROKER] * 2


def straddle(quote, entry, side):
    """Give two entries, one with its stop and one with its target near; the other level is out of reach."""
    near, far = entry(quote, side=side, pips=5), entry(quote, side=side, pips=300)
    return {
        ExitReason.STOP_LOSS: replace(near, take_profit=far.take_profit),
        ExitReason.TAKE_PROFIT: replace(far, take_profit=near.take_profit),
    }


def test_stop_and_target_are_told_apart(busy_venue, entry, eventually):
    data, executor = busy_venue.connect()
    cursor = executor.account().cursor
    quote, wanted = data.quotes(["EUR_USD"])["EUR_USD"], {}
    for side in Side:
        for reason, intent in straddle(quote, entry, side).items():
            wanted[executor.submit(intent)[-1].broker_trade_id] = reason

    def closes():
        found = [fill for fill in executor.fills_since(cursor)[0] if fill.closes]
        return found if len({wanted[fill.trade_id] for fill in found}) == 2 else None

    # Whichever way the price goes, it ends one side's trade at its stop and the other side's at its target.
    fills = eventually(closes, 30)
    assert len(wanted) == 4
    assert [fill.reason for fill in fills] == [wanted[fill.trade_id] for fill in fills]
    assert {fill.client_order_id for fill in fills} == {None}


def test_cursor_that_is_no_transaction_is_refused(venue):
    _, executor = venue.connect()
    for cursor in ("", "abc", "99999"):
        with pytest.raises(Refuse):
            executor.fills_since(cursor)


def test_wrong_token_is_a_setting_for_a_person_to_mend(venue):
    _, executor = venue.connect(token=Secret("not-the-one"))
    with pytest.raises(Misconfigured, match="OANDA_TOKEN"):
        executor.account()


class Log:
    """A transaction log whose rows a test sets."""

    def __init__(self, *ids):
        self.ids = list(ids)

    def since_id(self, last_id):
        rows = [{"id": str(number), "type": "DAILY_FINANCING"} for number in self.ids if number > last_id]
        return rows, max(self.ids)


def gap_reader(dry_run, log, gap_s=30.0):
    class Wire:
        clock = dry_run.clock

        class config:
            transaction_gap_s = gap_s

    class Reader:
        def currency(self):
            return "USD"

    return FillReader(Wire(), Reader(), log, None)


def test_reading_stops_before_a_gap_and_goes_on_when_it_is_filled(dry_run):
    log = Log(3, 4, 6)
    reader = gap_reader(dry_run, log)
    _, before = reader.since("2")
    log.ids.insert(2, 5)
    _, after = reader.since(before)

    assert (before, after) == ("4", "6")


def test_gap_that_stays_is_stepped_over_after_its_patience(dry_run):
    reader = gap_reader(dry_run, Log(3, 5, 6))
    cursors = ["2"]
    for _ in range(4):
        cursors.append(reader.since(cursors[-1])[1])
        dry_run.clock.advance(11)

    assert cursors[1:] == ["3", "3", "3", "6"]
    assert all(int(a) <= int(b) for a, b in pairwise(cursors))
