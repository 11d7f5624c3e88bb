"""Whose time it is: the feed's, measured within bounds, and unmoved by what is done to this machine's clock."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from tbot_client import clock as clocks
from tbot_client.clock import Clock, ticks
from tbot_client.contact import Contact
from tbot_client.home import Home


def shown(clock):
    return clock.now() - datetime.now(UTC)


@pytest.mark.parametrize("took", [0.0, 0.2, 0.8])
def test_the_offset_is_known_within_half_of_what_the_answer_took(took):
    clock, got = Clock(), ticks()
    server = datetime.now(UTC) + timedelta(hours=3)

    clock.correct(server, got - took, got)

    assert abs(clock.offset_s - 3 * 3600) <= took / 2 + 0.05
    assert clock.bound_s == pytest.approx(took / 2, abs=0.01)


def test_an_answer_that_was_long_in_coming_does_not_spoil_a_good_measurement():
    clock, got = Clock(), ticks()
    clock.correct(datetime.now(UTC) + timedelta(seconds=100), got, got)

    clock.correct(datetime.now(UTC) + timedelta(seconds=100), got - 25, ticks())

    assert clock.offset_s == pytest.approx(100, abs=0.05)
    assert clock.bound_s == pytest.approx(0, abs=0.01)


def test_an_answer_that_contradicts_a_measurement_corrects_it():
    clock, got = Clock(), ticks()
    clock.correct(datetime.now(UTC) + timedelta(seconds=100), got, got)

    clock.correct(datetime.now(UTC) + timedelta(seconds=300), got - 25, ticks())

    assert clock.offset_s == pytest.approx(300, abs=0.5)


@pytest.mark.parametrize("step", [timedelta(days=1), timedelta(days=-1), timedelta(hours=1)])
def test_a_step_of_this_machines_clock_does_not_move_the_feeds_time(step):
    clock, now = Clock(), datetime.now(UTC)
    clock.correct(now, ticks(), ticks())

    with time_machine.travel(now + step, tick=True):
        assert abs((clock.now() - now).total_seconds()) < 5
        assert clock.stepped_s() == pytest.approx(step.total_seconds(), abs=1)
        assert clock.stepped_s() == 0.0
        assert shown(clock).total_seconds() == pytest.approx(-step.total_seconds(), abs=1)


def test_a_simulated_clock_is_neither_corrected_nor_stepped():
    clock = clocks.parse_clock("sim:2014-05-06T07:00:00Z@1")

    clock.correct(datetime.now(UTC), ticks(), ticks())

    assert clock.now().year == 2014
    assert clock.bound_s is None


@pytest.mark.parametrize("hours", [-26, -1, 1, 26])
def test_expiry_is_judged_by_the_feeds_time_whatever_this_machine_says(client, feed, broker, hours):
    real = feed.now
    feed.now = lambda: real() + timedelta(hours=hours)
    alive = feed.open()
    now = feed.now()
    iso = clocks.iso
    dead = feed.open(published_at=iso(now - timedelta(seconds=700)), expires_at=iso(now - timedelta(seconds=100)))
    client.run_once()

    assert feed.stages(alive) == ["ack", "executed"]
    assert feed.bodies(dead)[0]["reason"] == "expired"


def test_an_old_signed_open_served_with_an_old_time_is_still_expired(client, feed, broker):
    """Whoever holds the feed may lie about the time, but not about what was signed since."""
    real = feed.now
    then = real() - timedelta(days=30)
    feed.now = lambda: then
    old = feed.open()
    feed.now = real
    feed.open()
    feed.now = lambda: then + timedelta(seconds=5)

    client.run_once()

    assert feed.bodies(old)[0]["reason"] == "expired"
    assert len(broker.orders) == 1


def test_a_wrong_clock_is_said_once(client, feed, capsys):
    real = feed.now
    feed.now = lambda: real() + timedelta(seconds=30)
    with client.running():
        client.until(lambda: len(feed.polls) >= 2)

    told = capsys.readouterr().err
    assert told.count("signals are judged by the feed's") == 1
    assert "-30.0 s" in told


def test_a_clock_set_during_a_run_is_said(tmp_path, capsys, feed, client):
    contact = Contact(Home(tmp_path), client.clock, None)
    page = client_page(client)
    contact.correct(page)
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=90), tick=True):
        contact.correct(client_page(client))

    assert "was set by +90" in capsys.readouterr().err


def client_page(client):
    from tbot_client.feed import FeedClient

    feed = FeedClient(client.config)
    try:
        return feed.snapshot()
    finally:
        feed.close()
