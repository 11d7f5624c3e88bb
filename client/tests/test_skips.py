"""Every reason not to enter: it is reported, and no order leaves."""

from datetime import timedelta
from decimal import Decimal as D

import pytest


def assert_skipped(client, feed, broker, signal, reason):
    client.run_once()
    (report,) = feed.bodies(signal)
    assert (report["decision"], report["reason"]) == ("skip", reason)
    assert broker.orders == []


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({"instruments": ("USD_JPY",)}, "filter:instrument"),
        ({"sides": ("sell",)}, "filter:side"),
        ({"sub_strategies": ("carry",)}, "filter:sub_strategy"),
        ({"min_confidence": D("0.7")}, "filter:confidence"),
        ({"min_edge_bp": D("20")}, "filter:edge"),
    ],
)
def test_a_filter_that_does_not_match_skips(client, feed, broker, filters, reason):
    assert_skipped(client.with_(filters=filters), feed, broker, feed.open(), reason)


def test_an_open_on_the_expired_list_is_skipped(client, feed, broker):
    signal = feed.open()
    feed.expired.add(signal)
    assert_skipped(client, feed, broker, signal, "expired")


def test_an_open_past_its_own_end_is_skipped_even_if_the_feed_forgot_to_list_it(client, feed, broker):
    signal = feed.open()
    real = feed.now
    client.clock.now = lambda: real() + timedelta(seconds=601)
    assert_skipped(client, feed, broker, signal, "expired")


def test_an_open_older_than_the_subscriber_accepts_is_skipped(client, feed, broker):
    signal = feed.open(published_at="2020-01-01T00:00:00.000000Z")
    assert_skipped(client, feed, broker, signal, "expired")


def test_a_price_that_moved_too_far_is_skipped(client, feed, broker):
    broker.ask = D("1.10120")
    assert_skipped(client, feed, broker, feed.open(), "drift")


def test_a_price_that_moved_within_the_limit_is_traded(client, feed, broker):
    broker.ask = D("1.10100")
    feed.open()
    client.run_once()
    assert len(broker.orders) == 1


def test_a_price_already_beyond_the_stop_is_skipped(client, feed, broker):
    assert_skipped(client, feed, broker, feed.open(stop_loss="1.09990"), "levels_passed")


def test_a_size_below_the_smallest_order_is_skipped(client, feed, broker):
    broker.minimum = D(2000)
    assert_skipped(client, feed, broker, feed.open(), "minimum_lot")


def test_an_instrument_the_account_cannot_trade_is_skipped(client, feed, broker):
    broker.known = False
    assert_skipped(client, feed, broker, feed.open(), "unknown_instrument")


def test_a_closed_market_is_skipped(client, feed, broker):
    broker.tradeable = False
    assert_skipped(client, feed, broker, feed.open(), "market_closed")


def test_a_fraction_without_a_conversion_rate_is_skipped(client, feed, broker):
    broker.home_rate = None
    client.with_(size={"rule": "fraction", "fraction": D("0.1")})
    assert_skipped(client, feed, broker, feed.open(), "no_conversion")


def test_a_stop_file_stops_entries_but_not_exits_and_ends_with_five(client, feed, broker):
    held = feed.open()
    client.run_once()
    client.home.stop.touch()
    signal = feed.open()
    feed.end(held)

    assert client.run_once() == 5

    assert feed.bodies(signal)[0]["reason"] == "stopped"
    assert (len(broker.orders), broker.open) == (1, {})


def test_more_positions_than_allowed_are_skipped(client, feed, broker):
    client.with_(size={"max_open": 1})
    feed.open()
    second = feed.open()
    client.run_once()
    assert feed.bodies(second)[0]["reason"] == "max_open"
    assert len(broker.orders) == 1


def test_an_open_that_ended_before_it_was_acted_on_is_skipped(client, feed, broker):
    signal = feed.open()
    client.run_once()
    late = feed.open()
    feed.end(late)
    client.run_once()
    assert feed.bodies(late)[0]["reason"] == "closed"
    assert len(feed.bodies(signal, "executed")) == 1


def test_an_end_that_overtakes_its_open_still_keeps_the_open_from_being_traded(client, feed, broker):
    client.run_once()
    feed.end("sig_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    client.run_once()
    feed.open(id="sig_01ARZ3NDEKTSV4RRFFQ69G5FAV", signal_id="sig_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert_skipped(client, feed, broker, "sig_01ARZ3NDEKTSV4RRFFQ69G5FAV", "closed")


def test_a_daily_loss_stops_entries_and_a_restart_does_not_loosen_it(client, feed, broker):
    client.with_(limits={"daily_loss": D(5)})
    signal = feed.open()
    client.run_once()
    broker.bid = D("1.09400")
    feed.end(signal)
    client.run_once()
    broker.bid = D("1.09990")

    for _ in range(2):
        later = feed.open()
        client.run_once()
        assert feed.bodies(later)[0]["reason"] == "daily_loss"
    assert len(broker.orders) == 1


def test_the_loss_of_yesterday_does_not_stop_today(client, feed, broker):
    client.with_(limits={"daily_loss": D(5)})
    signal = feed.open()
    client.run_once()
    yesterday = feed.now() - timedelta(days=1)
    broker.at = lambda: yesterday
    broker.bid = D("1.09400")
    feed.end(signal)
    client.run_once()
    broker.bid = D("1.09990")
    later = feed.open()
    client.run_once()
    assert feed.bodies(later)[0]["decision"] == "accept"


def test_a_feed_that_answers_too_late_to_execute_has_the_last_word(client, feed, broker):
    signal = feed.open()
    body = f'{{"signal_id":"{signal}","stage":"ack","late":true,"do_not_execute":true}}'
    feed.answer_once("/ack", 200, body.encode())
    client.run_once()
    assert broker.orders == []
    assert client.state.counts["failed:expired"] == 1
    assert signal not in client.state.trades


def test_a_signal_of_another_surface_is_not_even_acknowledged(client, feed, broker):
    signal = feed.open()
    client.with_(feed={"surfaces": ("stk",)}).run_once()
    assert (feed.bodies(signal), broker.orders) == ([], [])
