"""No room for the journal: nothing is entered without a line in it, and what is held is closed all the same."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tbot_client.book import Book
from tbot_client.brokers.paper import PaperBroker
from tbot_client.journal import Journal, read
from tbot_client.state import State

SCRIPT = Path(__file__).parents[1] / "support" / "starving.py"


def starve(client, room, *seconds):
    limit = client.home.journal.stat().st_size + room
    command = [sys.executable, str(SCRIPT), str(client.home.path), str(limit), *map(str, seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "journal can't be written" in done.stderr or "no room for the journal" in done.stderr, done.stderr
    return done


def paper(client, kind):
    records = map(json.loads, client.home.paper.read_text().splitlines())
    return [record for record in records if record["kind"] == kind]


@pytest.fixture
def holding(client, feed):
    """Hold one position on the paper broker, with a journal longer than the broker's file will be."""
    client.write_config()
    held = feed.open()
    fed(client)
    for _ in range(6):
        feed.open(market="GBP_USD", side="hold")
    fed(client)
    assert client.home.journal.stat().st_size > client.home.paper.stat().st_size + 1500
    return held


def fed(client):
    """Run once with all the room there is."""
    client.broker = PaperBroker(client.config.broker, client.home.paper, client.clock.now)
    try:
        return client.run_once()
    finally:
        client.broker.shut()


@pytest.mark.proves("J8", "row 5", "row 6")
@pytest.mark.parametrize(("room", "seconds"), [(0, ()), (400, ()), (0, (2,)), (20, (2,))])
def test_without_room_nothing_is_entered_and_what_is_held_is_closed(client, feed, holding, room, seconds):
    fresh = [feed.open() for _ in range(3)]
    feed.end(holding)
    starve(client, room, *seconds)

    intended = {record["signal_id"] for record in read(client.home.journal) if record["kind"] == "intended"}
    ordered = {f"sig_{record['client_id'][3:29]}" for record in paper(client, "opened")}
    assert ordered <= intended
    assert len(paper(client, "closed")) >= 1
    assert paper(client, "closed")[0]["trade_id"] == "1"

    assert fed(client) == 0
    for signal in fresh:
        feed.end(signal)
    assert fed(client) == 0

    assert feed.stages(holding) == ["ack", "executed", "resolved"]
    assert all(feed.stages(signal) == ["ack", "executed", "resolved"] for signal in fresh)
    assert len(paper(client, "closed")) == len(paper(client, "opened")) == 4
    assert State(read(client.home.journal)).trades == {}


class FullJournal(Journal):
    """A journal that has no room while told so; half of the line gets there each time."""

    is_full = False

    def _write(self, data):
        if not self.is_full:
            return super()._write(data)
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_was_insisted_on_is_written_first_when_there_is_room_again(client, feed, broker):
    signal = feed.open()
    client.run_once()
    book = Book(client.home.journal, client.clock)
    book._journal.close()
    book._journal = FullJournal(client.home.journal, lambda: "2026-01-01T00:00:00.000000Z")
    book._journal.is_full = True
    ending = {"kind": "ending", "signal_id": signal, "reason": "time", "price": None}
    book.insist(ending)
    with pytest.raises(OSError, match="No space"):
        book.write({"kind": "malformed", "what": "x"})
    assert book.is_starved
    assert book.state.trades[signal].end_reason == "time"

    book._journal.is_full = False
    book.write({"kind": "malformed", "what": "x"})
    book.close()

    assert [record["kind"] for record in read(client.home.journal)][-2:] == ["ending", "malformed"]
    assert vars(State(read(client.home.journal))) == vars(book.state)


def test_bytes_that_could_not_be_taken_back_are_not_glued_to_the_next_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, lambda: "now")
    journal.append([{"kind": "malformed", "what": "one"}])
    with path.open("ab") as file:
        file.write(b'{"half":')
    journal.append([{"kind": "malformed", "what": "two"}])
    journal.close()

    assert [record["what"] for record in read(path)] == ["one", "two"]
