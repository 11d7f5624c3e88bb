"""Anything may fail, in any order, with restarts in between: one position a signal, and every report arrives once."""

from collections import Counter

from fake_broker import FakeBroker
from fake_feed import FakeFeed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tbot_client.errors import Ask, Retry, Unreachable


def asked():
    return Ask("an answer", "silence", "asking")


FAULTS = {
    "none": lambda: (None, None),
    "lost before": lambda: ("before", asked()),
    "lost after": lambda: ("after", asked()),
    "not reached": lambda: ("before", Retry("an answer", "no connection")),
}
READ_FAULTS = {"none": FAULTS["none"], "not reached": FAULTS["not reached"]}
faults = st.fixed_dictionaries(
    {name: st.lists(st.sampled_from(sorted(FAULTS)), max_size=3) for name in ("place", "close")}
    | {name: st.lists(st.sampled_from(sorted(READ_FAULTS)), max_size=3) for name in ("since", "quote", "protect")}
)
answers = st.lists(
    st.tuples(st.sampled_from(["/ack", "/executed", "/resolved"]), st.sampled_from([429, 500, 503])), max_size=4
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(planned=faults, answers=answers, count=st.integers(1, 3), twice=st.booleans())
def test_a_storm_of_faults_ends_with_one_position_and_one_report_of_each_kind(
    make_client, planned, answers, count, twice
):
    feed, broker = FakeFeed(), FakeBroker()
    client = make_client(feed, broker)
    try:
        broker.faults = {name: [FAULTS[fault]() for fault in queue] for name, queue in planned.items()}
        for part, status in answers:
            feed.answer_once(part, status, headers={"Retry-After": "0"})
        signals = [feed.open() for _ in range(count)]
        until(client, lambda: all(feed.stages(signal) == ["ack", "executed"] for signal in signals))
        if twice:
            feed.lines.append(feed.lines[0])
        for signal in signals:
            feed.amend(signal)
            feed.end(signal)
        until(client, lambda: all(len(feed.stages(signal)) == 3 for signal in signals))
    finally:
        feed.close()

    assert [feed.stages(signal) for signal in signals] == [["ack", "executed", "resolved"]] * count
    assert set(Counter(order.client_id for order in broker.orders).values()) == {1}
    assert len(set(broker.closes)) == len(broker.closes)
    assert broker.open == {}
    assert client.state.disputed == []


def until(client, holds):
    for _ in range(20):
        try:
            client.run_once()
        except (Retry, Unreachable):
            continue
        if holds():
            return
    raise AssertionError("it never came to hold")
