"""The feed falls silent while positions are held: hold, flatten or tighten, once, and by no wrong clock."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from tbot_client.brokers.port import Quote
from tbot_client.config import Limits
from tbot_client.contact import Contact
from tbot_client.deadman import policy, tighter
from tbot_client.errors import Retry
from tbot_client.journal import read


class Silence:
    """A client that held a position when its feed went away; time is moved by hand."""

    def __init__(self, client, feed, broker, **limits):
        self.client, self.feed, self.broker = client, feed, broker
        client.with_(limits={"dead_man_s": 600.0, **limits})
        self.signal = feed.open()
        client.run_once()
        feed.script += [("/api/", 503, {}, b'{"code":"busy"}')] * 1000
        self.shift = 0.0
        real = client.clock.monotonic
        client.clock.monotonic = lambda: real() + self.shift

    def fall(self, seconds):
        self.shift += seconds

    def records(self, kind):
        return [record for record in read(self.client.home.journal) if record["kind"] == kind]


def quiet(client, feed, broker, **limits):
    return Silence(client, feed, broker, **limits)


def test_flatten_closes_what_is_held_once_and_tells_the_publisher_when_it_is_back(client, feed, broker, capsys):
    silence = quiet(client, feed, broker, dead_man="flatten")
    with client.running():
        silence.fall(599)
        client.loop._clock.sleep(0.6)
        assert broker.open
        silence.fall(2)
        client.until(lambda: not broker.open)
        feed.script.clear()
        client.until(lambda: "resolved" in feed.stages(silence.signal))

    assert broker.closes == ["1"]
    assert [record["policy"] for record in silence.records("dead_man")] == ["flatten"]
    assert feed.bodies(silence.signal, "resolved")[0]["reason"] == "dead_man"
    assert "no word from the feed for 60" in capsys.readouterr().err


def test_hold_leaves_the_orders_at_the_broker_as_they_are_and_says_so_once(client, feed, broker, capsys):
    silence = quiet(client, feed, broker)
    with client.running():
        silence.fall(601)
        client.until(lambda: silence.records("dead_man"))
        silence.fall(601)
        client.loop._clock.sleep(0.6)

    assert (len(broker.open), broker.closes, broker.protections) == (1, [], [])
    assert capsys.readouterr().err.count("dead_man = hold") == 1


def test_tighten_brings_the_stop_closer_once(client, feed, broker):
    silence = quiet(client, feed, broker, dead_man="tighten")
    with client.running():
        silence.fall(601)
        client.until(lambda: broker.protections)
        silence.fall(601)
        client.loop._clock.sleep(0.6)

    ((_, levels),) = broker.protections
    assert levels.stop == D("1.09745")
    assert levels.target == D("1.11000")


def test_a_restart_into_the_silence_acts_too_and_enters_nothing(client, feed, broker):
    silence = quiet(client, feed, broker, dead_man="flatten")
    with client.running():
        client.loop._clock.sleep(0.3)
    assert broker.open
    with client.running():
        silence.fall(601)
        client.until(lambda: not broker.open)

    assert len(broker.orders) == 1


def test_a_broker_that_is_away_as_well_is_tried_until_it_is_back(client, feed, broker):
    silence = quiet(client, feed, broker, dead_man="flatten")
    broker.faults["close"] = [("before", Retry("an answer", "no connection"))] * 3
    broker.faults["since"] = [("before", Retry("an answer", "no connection"))] * 3
    with client.running():
        silence.fall(601)
        client.until(lambda: not broker.open)

    assert broker.faults["close"] == []
    assert broker.closes == ["1"]


def test_a_stop_file_and_a_mistrusted_history_do_not_keep_it_from_closing(client, feed, broker):
    silence = quiet(client, feed, broker, dead_man="flatten")
    client.home.stop.touch()
    with client.running():
        client.loop._witness.distrust(Retry("a past", "another"))
        silence.fall(601)
        client.until(lambda: not broker.open)

    assert broker.closes == ["1"]


@pytest.mark.parametrize("step", [timedelta(days=1), timedelta(days=-1)])
def test_a_wrong_clock_of_this_machine_triggers_nothing(client, feed, broker, step):
    silence = quiet(client, feed, broker, dead_man="flatten")
    feed.script.clear()
    real = client.clock.now
    with client.running():
        client.until(lambda: feed.polls)
        client.clock.now = lambda: real() + step
        polls = len(feed.polls)
        client.until(lambda: len(feed.polls) > polls + 1)

    assert broker.open
    assert silence.records("dead_man") == []


def test_answers_that_are_not_the_publishers_own_do_not_break_the_silence(client, feed, broker):
    silence = quiet(client, feed, broker, dead_man="flatten")
    feed.script.clear()
    feed.head_sig = lambda h: None
    feed.open()
    with client.running():
        client.until(lambda: feed.polls)
        silence.fall(601)
        client.until(lambda: not broker.open)

    assert broker.closes == ["1"]


@pytest.mark.parametrize(
    ("side", "entry", "stop", "bid", "ask", "expected"),
    [
        ("buy", "1.10", "1.09", "1.1000", "1.1001", "1.09500"),
        ("buy", "1.10", "1.09", "1.1080", "1.1081", "1.10"),
        ("buy", "1.10", "1.105", "1.1080", "1.1081", "1.10650"),
        ("buy", "1.10", "1.09", "1.0850", "1.0851", "1.09"),
        ("sell", "1.10", "1.11", "1.0999", "1.1000", "1.10500"),
        ("sell", "1.10", "1.11", "1.0920", "1.0921", "1.10"),
    ],
)
def test_a_stop_only_ever_comes_closer(client, feed, broker, side, entry, stop, bid, ask, expected):
    feed.open()
    client.run_once()
    (trade,) = client.state.trades.values()
    trade.side, trade.price, trade.stop, trade.trailing = side, D(entry), D(stop), D("0.004")

    levels = tighter(trade, Quote(bid=D(bid), ask=D(ask), tradeable=True, home_rate=None))

    assert levels.stop == D(expected)
    assert (levels.stop - D(stop)) * (1 if side == "buy" else -1) >= 0
    assert levels.trailing == D("0.002")


@pytest.mark.parametrize(
    ("chosen", "asked", "expected"),
    [
        ("hold", "flatten", "hold"),
        ("flatten", "", "flatten"),
        ("signal", "tighten", "tighten"),
        ("signal", "", "hold"),
        ("signal", "sell everything", "hold"),
    ],
)
def test_the_subscriber_chooses_or_leaves_it_to_the_signal(client, feed, broker, chosen, asked, expected):
    feed.open(dead_man=asked)
    client.run_once()
    (trade,) = client.state.trades.values()

    assert policy(Limits(dead_man=chosen), trade) == expected


def test_silence_is_counted_from_the_start_of_a_run(client, feed):
    feed.open()
    client.run_once()
    client.home.contact.write_text('{"at":"2001-01-01T00:00:00.000000Z"}')

    assert Contact(client.home, client.clock, None).silent_s() < 5
