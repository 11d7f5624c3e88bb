"""What happened while the client was away, told afterwards: missed, entered, closed late, still open."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from tbot_client import gap
from tbot_client.clock import iso


class Past:
    """Lets the publisher write at moments of the past; afterwards its clock is real again."""

    def __init__(self, client, feed):
        self.feed, self.client, self.real = feed, client, feed.now

    def at(self, minutes_ago):
        moment = self.real() - timedelta(minutes=minutes_ago)
        self.feed.now = lambda: moment

    def back(self):
        self.feed.now = self.real

    def leave(self, minutes_ago):
        """Make the last contact so long ago."""
        self.client.home.contact.write_text(f'{{"at":"{iso(self.real() - timedelta(minutes=minutes_ago))}"}}')


@pytest.fixture
def past(client, feed):
    return Past(client, feed)


def away(client, feed, broker, past, *, is_lost):
    """Hold one position, be away for 15 minutes in which much happens, and come back."""
    past.at(20)
    held = feed.open(expires_at=iso(past.real() + timedelta(hours=1)))
    client.with_(limits={"max_age_s": 86_400}, size={"max_open": 9})
    client.run_once()
    past.leave(16)
    past.at(14)
    missed = feed.open()
    past.at(12)
    gone = feed.open(side="sell", reference_price="1.10000", stop_loss="1.10500", take_profit="1.09000")
    past.at(8)
    feed.end(gone, exit_price="1.09450")
    feed.end(held)
    past.at(3)
    fresh = feed.open()
    past.back()
    if is_lost:
        feed.answer_once("/feed", 410, b'{"code":"cursor_expired","oldest_cursor":"c0","head_cursor":"c9"}')
    client.run_once()
    return held, missed, gone, fresh


@pytest.mark.parametrize("place", ["kept", "lost"])
def test_the_report_says_what_was_missed_closed_late_and_is_open(client, feed, broker, past, place, capsys):
    held, missed, gone, fresh = away(client, feed, broker, past, is_lost=place == "lost")

    found = gap.ask(client.home, client.config, client.clock, "")

    assert {row["signal_id"]: row["reason"] or row["here"] for row in found["missed"]} == {
        missed: "expired",
        gone: "closed" if place == "kept" else "never seen",
    }
    assert [row["signal_id"] for row in found["entered"]] == [fresh]
    assert [row["signal_id"] for row in found["closed"]] == [held]
    assert 450 < found["closed"][0]["late_s"] < 500
    assert found["open"] == [missed, fresh]
    assert next(row for row in found["missed"] if row["signal_id"] == gone)["hypothetical_bp"] == "50.0"
    told = gap.as_text(found)
    assert "hypothetical 50.0 bp before costs" in told
    assert "2 opens missed" in told
    assert "2 opens missed" in capsys.readouterr().err


def test_a_client_that_was_never_away_says_so(client, feed, broker):
    feed.open()
    client.run_once()
    client.run_once()

    assert gap.ask(client.home, client.config, client.clock, "") is None


def test_since_a_moment_asks_about_everything_since_then(client, feed, broker, past):
    past.at(5)
    signal = feed.open()
    past.back()
    client.run_once()

    found = gap.ask(client.home, client.config, client.clock, iso(past.real() - timedelta(minutes=6)))

    assert [row["signal_id"] for row in found["entered"]] == [signal]


def test_lines_that_cannot_be_believed_are_counted_and_not_told(client, feed, broker, past):
    past.at(5)
    feed.open()
    past.back()
    client.run_once()
    feed.lines[0][4] = feed.lines[0][4].replace(b"EUR_USD", b"EUR_USE")

    found = gap.ask(client.home, client.config, client.clock, iso(past.real() - timedelta(minutes=6)))

    assert (found["entered"], found["missed"], found["untrusted"]) == ([], [], 1)


def test_a_silence_during_a_run_is_an_absence_too(client, feed, broker, capsys):
    shift = [0.0]
    real = client.clock.monotonic
    client.clock.monotonic = lambda: real() + shift[0]
    with client.running():
        client.until(lambda: feed.polls)
        shift[0] = 130.0
        signal = feed.open()
        client.until(lambda: feed.stages(signal) == ["ack", "executed"])
        client.until(lambda: client.loop._contact.absence is None)

    assert client.state.absences[-1]["why"] == "silence"
    assert D(len(broker.orders)) == 1
    assert "opens missed" in capsys.readouterr().err
