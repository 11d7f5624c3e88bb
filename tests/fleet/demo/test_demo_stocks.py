"""What the demo left behind of its stocks: the venue, the journals and the subscriber tell one story."""

from collections import Counter
from datetime import datetime
from decimal import Decimal

import pytest
from demo_story import Record, Story

from domain.ids import signal_of_order
from fleet.demo_ibkr import OPERATOR_ACCOUNT, SUBSCRIBER_ACCOUNT

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(420)]
PORTAL = "simulator-portal"
MILLIONTH = Decimal("0.000001")


def moment(record: Record) -> datetime:
    return datetime.fromisoformat(record["ts"])


def mean_prices(story: Story) -> dict[str, Decimal]:
    """Return reference -> what a share cost the subscriber on average: an order may fill in several parts."""
    refs = {one["perm_id"]: one["terms"]["ref"] for one in story.stock_orders(SUBSCRIBER_ACCOUNT, PORTAL)}
    shares: Counter[str] = Counter()
    worth: dict[str, Decimal] = {}
    for one in story.stock_executions(SUBSCRIBER_ACCOUNT, PORTAL).values():
        ref = refs[one["order"]]
        shares[ref] += int(one["quantity"])
        worth[ref] = worth.get(ref, Decimal(0)) + int(one["quantity"]) * Decimal(one["price"])
    return {ref: total / shares[ref] for ref, total in worth.items()}


def test_no_order_reached_the_venue_twice(story: Story) -> None:
    operator = Counter(one["terms"]["ref"] for one in story.stock_orders(OPERATOR_ACCOUNT))
    subscriber = Counter(one["terms"]["ref"] for one in story.stock_orders(SUBSCRIBER_ACCOUNT, PORTAL))

    assert len(operator) > 0
    assert len(subscriber) > 0
    assert [ref for ref, count in (operator + subscriber).items() if count > 1] == []


def test_every_execution_of_the_venue_stands_in_the_journals_with_its_quantity_and_price(story: Story) -> None:
    venue, journal = story.stock_executions(OPERATOR_ACCOUNT), story.journal_fills("stk")
    assert story.stocks_agreed
    assert story.stopping_at is not None

    # A stop may still sell while the fleet goes down: the resolver takes it up when it starts again.
    late = {key for key, one in venue.items() if datetime.fromisoformat(one["at"]) >= story.stopping_at}

    assert venue.keys() - late <= journal.keys() <= venue.keys()
    for key, event in journal.items():
        assert Decimal(event["quantity"]) == Decimal(venue[key]["quantity"])
        assert Decimal(event["price"]) == Decimal(venue[key]["price"])


def test_every_entry_went_out_with_its_stop(story: Story) -> None:
    orders = {one["terms"]["ref"]: one for one in story.stock_orders(OPERATOR_ACCOUNT)}
    entries = [ref for ref in orders if "-entry-" in ref and orders[ref]["transmitted"]]
    # Of a pair cut in two by a kill TWS has the entry only, and keeps it from the exchange.
    halves = [one for ref, one in orders.items() if "-entry-" in ref and not one["transmitted"]]

    assert len(entries) > 0
    assert [one["filled"] for one in halves if Decimal(one["filled"])] == []
    for ref in entries:
        stop = orders[ref.replace("-entry-", "-stop-")]
        assert stop["terms"]["kind"] in ("TRAIL", "STP")
        assert stop["terms"]["tif"] == "GTC"


def test_nothing_was_ever_sold_that_was_not_held(story: Story) -> None:
    held: Counter[tuple[str, int]] = Counter()
    for account, simulator in ((OPERATOR_ACCOUNT, "simulator-tws"), (SUBSCRIBER_ACCOUNT, PORTAL)):
        for one in sorted(story.stock_executions(account, simulator).values(), key=lambda one: one["at"]):
            held[account, one["conid"]] += int(one["quantity"]) * (1 if one["side"] == "BUY" else -1)
            assert held[account, one["conid"]] >= 0


def test_the_stop_file_takes_resting_entries_back_and_arms_none(story: Story) -> None:
    assert story.stop_began is not None
    assert story.stop_ended is not None
    during = [i for i in story.records("order_intent", "stk") if story.stop_began < moment(i) < story.stop_ended]
    sent = {event["client_order_id"] for event in story.records("order_event", "stk") if event["state"] != "absent"}

    assert [i for i in during if i["leg"] == "entry" and i["client_order_id"] in sent][1:] == []


def test_every_resolution_was_read_from_the_broker(story: Story) -> None:
    found = story.resolutions("stk")

    assert len(found) >= 3
    assert {one["resolution_source"] for one in found} == {"ibkr_position"}
    assert all(Decimal(one["fees"]) > 0 for one in found)


def test_the_subscriber_followed_on_its_own_account(story: Story) -> None:
    paid = mean_prices(story)
    executed, resolved = story.reports("executed", "stk"), story.reports("resolved", "stk")
    published = {one["signal_id"] for one in story.records("signal", "stk") if one["action"] == "open"}

    assert len(executed) >= 3
    assert len(resolved) >= 3
    assert {one["signal_id"] for one in executed} <= published
    for one in executed:
        assert abs(Decimal(one["price"]) - paid[f"tc-{one['signal_id'].removeprefix('sig_')}-entry-1"]) < MILLIONTH


def test_every_stop_belongs_to_a_signal_of_this_surface(story: Story) -> None:
    stops = [one["terms"]["ref"] for one in story.stock_orders(OPERATOR_ACCOUNT) if "-stop-" in one["terms"]["ref"]]
    parsed = [signal_of_order(ref) for ref in stops]

    assert len(stops) > 0
    assert all(one is not None and one[0] == "stk" for one in parsed)
