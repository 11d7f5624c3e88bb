"""A link that loses, doubles, delays and garbles: each signal is executed once, and every report arrives once."""

import time
from collections import Counter

import pytest
from flaky_link import FAULTS, FlakyLink


@pytest.fixture
def link(feed):
    link = FlakyLink(feed.url, rate=0.2, seed=7)
    yield link
    link.close()


def publish(feed, link, polls):
    """Live through opens, amends and ends until so many polls have passed the link; return the signals."""
    signals, seen, deadline = [], 0, time.monotonic() + 60 + polls / 10
    while link.polls < polls:
        assert time.monotonic() < deadline, f"only {link.polls} polls"
        if link.polls - seen < 8:
            time.sleep(0.002)
            continue
        seen = link.polls
        signals.append(feed.open())
        if len(signals) % 2:
            feed.amend(signals[-1])
        if len(signals) > 3:
            feed.end(signals[-4])
    for signal in signals[-3:]:
        feed.end(signal)
    return signals


@pytest.mark.timeout(3600)  # the full dose takes minutes
@pytest.mark.proves("row 25", "F1", "C1")
def test_a_flaky_link_costs_time_and_nothing_else(client, feed, broker, link, dose):
    polls = dose(300, 10_000)
    client.text = client.text.replace(feed.url, link.url)
    client.with_(poll={"wait_s": 0, "retry_s": 0.05, "retry_max_s": 0.1}, size={"max_open": 1000})
    with client.running():
        client.until(lambda: link.polls > 2)
        signals = publish(feed, link, polls)
        client.until(lambda: all(len(feed.stages(signal)) >= 3 or skipped(feed, signal) for signal in signals), 60)
        client.until(lambda: not client.state.outbox, 60)

    traded = [signal for signal in signals if not skipped(feed, signal)]
    orders = Counter(order.client_id for order in broker.orders)
    assert link.polls >= polls
    assert {fault for fault in FAULTS if link.happened[fault] == 0} == set()
    assert set(orders.values()) == {1}
    assert len(orders) == len(traded) > len(signals) / 2
    assert [feed.stages(signal) for signal in traded] == [["ack", "executed", "resolved"]] * len(traded)
    assert broker.open == {}
    assert len(set(broker.closes)) == len(broker.closes) == len(traded)
    assert (client.state.disputed, client.state.counts["dropped"], client.state.distrust) == ([], 0, "")


def skipped(feed, signal):
    """Tell whether an open was skipped because its end was there first: a link this bad may be that late."""
    bodies = feed.bodies(signal, "ack")
    return bool(bodies) and bodies[-1]["decision"] == "skip" and bodies[-1]["reason"] == "closed"
