"""The whole client with the real SDK on the venue simulator: one position per signal, whatever the venue does."""

from decimal import Decimal as D

import pytest
from venue import ACCOUNT
from venue import TOKEN as VENUE_TOKEN


def publish(feed, venue, **fields):
    ask = D(venue.price()["ask"])
    levels = {"reference_price": str(ask), "stop_loss": str(ask - D("0.01")), "take_profit": str(ask + D("0.01"))}
    return feed.open(**(levels | fields))


def test_a_trade_from_open_to_close_and_nothing_private_ever_reaches_the_feed(live, feed, venue):
    live.with_(size={"rule": "risk", "units": None, "fraction": D("0.0001")})
    skipped = publish(feed, venue, side="buy", market="EUR_XXX")
    signal = publish(feed, venue, trailing_distance="0.00600")
    assert live.run_once() == 0
    (trade,) = venue.trades()
    feed.amend(signal, stop_loss="1.37000", take_profit="1.40000")
    live.run_once()
    assert venue.trades()[0]["stopLossOrder"]["price"] == "1.37000"
    feed.end(signal)
    assert live.run_once() == 0

    assert venue.trades() == []
    assert feed.stages(signal) == ["ack", "executed", "resolved"]
    assert feed.bodies(skipped)[0]["reason"] == "unknown_instrument"
    (fill,) = feed.bodies(signal, "executed")
    assert fill["fill_id"] == trade["id"]
    for canary in (VENUE_TOKEN, ACCOUNT, ACCOUNT.split("-")[2], "100000", "99999", venue.url):
        assert canary.encode() not in feed.wire, canary


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("drop_after_accept", {}),
        ("drop_before_accept", {}),
        ("status", {"status": 503}),
        ("status", {"status": 502, "after_accept": True}),
        ("non_json", {}),
        ("late_transactions", {"seconds": 0.3, "path": None}),
    ],
)
def test_a_fault_on_the_order_leaves_exactly_one_position(live, feed, venue, action, fields):
    venue.fault(action, **({"path": "/v3/accounts/*/orders"} | fields))
    signal = publish(feed, venue)
    assert live.run_once() == 0
    assert len(venue.trades()) == 1
    assert feed.stages(signal) == ["ack", "executed"]


def test_a_dropped_reply_and_an_order_that_cannot_be_read_yet_leave_one_position(live, feed, venue):
    venue.fault("order_not_found_lag", seconds=0.5)
    venue.fault("drop_after_accept", "/v3/accounts/*/orders")
    signal = publish(feed, venue)
    assert live.run_once() == 0
    assert len(venue.trades()) == 1
    assert feed.stages(signal) == ["ack", "executed"]


def test_an_order_cancelled_in_a_201_is_reported_as_not_traded(live, feed, venue):
    venue.fault("cancel_201", reason="MARKET_HALTED")
    signal = publish(feed, venue)
    live.run_once()
    assert [body.get("reason") for body in feed.bodies(signal)] == [None, "broker:MARKET_HALTED"]
    assert venue.trades() == []


def test_a_stop_that_fills_at_the_broker_is_reported_with_the_brokers_price_and_profit(live, feed, venue):
    live.with_(poll={"settle_s": 1.0})  # the venue's list of transactions may run behind its positions for a moment
    signal = publish(feed, venue)
    live.run_once()
    bid = D(venue.price()["bid"])
    # Above the market: the venue fills a stop that is already passed at its next quote.
    feed.amend(signal, stop_loss=str(bid + D("0.00050")), take_profit=str(bid + D("0.01")))
    for _ in range(60):
        live.run_once()
        if feed.bodies(signal, "resolved"):
            break
    feed.end(signal)
    live.run_once()

    (outcome,) = feed.bodies(signal, "resolved")
    assert outcome["reason"] == "stop_loss"
    fills = [entry for entry in venue.transactions("ORDER_FILL") if entry["reason"] == "STOP_LOSS_ORDER"]
    closed = [leg for fill in fills for leg in fill["tradesClosed"]][-1]
    assert D(outcome["realised"]) == D(closed["realizedPL"])
    assert D(outcome["price"]) == D(closed["price"])
