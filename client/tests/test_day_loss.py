"""The daily limit counts what is lost and what would be lost by leaving now."""

from decimal import Decimal as D

import pytest


@pytest.fixture
def losing(client, feed, broker):
    """Hold 1000 units that stand 5.10 below their entry."""
    client.with_(limits={"daily_loss": D(5), "max_drift_bp": D(1000)})
    feed.open()
    client.run_once()
    broker.bid, broker.ask = D("1.09490"), D("1.09500")
    return client


def next_one(client, feed):
    signal = feed.open(stop_loss="1.05000")
    client.run_once()
    return feed.bodies(signal)[0].get("reason", "accepted")


def test_an_open_loss_stops_entries_for_the_day_even_if_it_recovers(losing, feed, broker):
    assert next_one(losing, feed) == "daily_loss"

    broker.bid, broker.ask = D("1.10990"), D("1.11000")
    assert next_one(losing, feed) == "daily_loss"
    assert len(broker.orders) == 1


def test_an_open_loss_adds_to_what_was_realised(client, feed, broker):
    client.with_(limits={"daily_loss": D(5), "max_drift_bp": D(1000)})
    first, _ = feed.open(), feed.open()
    client.run_once()
    broker.bid, broker.ask = D("1.09690"), D("1.09700")
    feed.end(first)
    client.run_once()
    assert client.state.days_over == set()

    assert next_one(client, feed) == "daily_loss"


def test_a_profit_that_is_open_makes_up_for_a_loss(client, feed, broker):
    client.with_(limits={"daily_loss": D(5), "max_drift_bp": D(1000)})
    feed.open()
    client.run_once()
    broker.bid, broker.ask = D("1.10490"), D("1.10500")

    assert next_one(client, feed) == "accepted"


@pytest.mark.parametrize("change", [{"tradeable": False}, {"home_rate": None}])
def test_a_position_without_a_price_counts_as_it_was_entered(losing, feed, broker, change):
    for name, value in change.items():
        setattr(broker, name, value)

    assert next_one(losing, feed) in ("market_closed", "accepted")


def test_without_a_limit_nobody_is_asked_for_prices(client, feed, broker):
    asked = []
    quote = broker.quote
    broker.quote = lambda *args: asked.append(args) or quote(*args)
    feed.open()
    client.run_once()
    feed.open()
    client.run_once()

    assert len(asked) == 2
