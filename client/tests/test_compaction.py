"""A journal that grew long begins anew and says the same; a damaged one is not believed."""

import os
import signal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tbot_client import compact, image
from tbot_client.book import Book
from tbot_client.errors import ClientError
from tbot_client.journal import Journal, read
from tbot_client.state import State

PAIRS = st.sampled_from(["open", "amend", "end", "stop", "restart", "410", "dispute", "forge"])


def live(client, feed, broker, steps):
    """Let a client live through what the steps say."""
    signals = []
    for step in steps:
        if step == "open":
            signals.append(feed.open())
        elif step == "dispute":
            feed.answer_once("/ack", 409, b'{"code":"conflict"}')
        elif step == "410":
            feed.answer_once("/feed", 410, b'{"code":"cursor_expired"}')
        elif step == "forge":
            feed.open(market="x" * 300)
        elif step == "stop":
            client.home.stop.touch()
        elif signals:
            {"amend": feed.amend, "end": feed.end, "restart": lambda s: client.run_once()}[step](signals[-1])
    client.run_once()


def without(state, *names):
    return {name: value for name, value in vars(state).items() if name not in names}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(PAIRS, min_size=1, max_size=12), more=st.lists(PAIRS, max_size=6))
def test_the_state_after_is_the_state_before_and_goes_on_the_same(make_client, steps, more):
    from fake_broker import FakeBroker
    from fake_feed import FakeFeed

    feed, broker = FakeFeed(), FakeBroker()
    client = make_client(feed, broker)
    try:
        live(client, feed, broker, ["open", *steps])
        path = client.home.journal
        before = State(read(path))
        assert compact.compact(path, lambda: "now", most_bytes=0)
        assert vars(State(read(path))) == vars(before)
        live(client, feed, broker, more)
        after = State(read(path))
    finally:
        feed.close()

    assert image.of(after) == image.of(client.state)
    assert path.with_name("journal.jsonl.1").exists()


def test_a_start_shortens_a_long_journal_and_a_short_one_is_left_alone(client, feed, broker):
    feed.open()
    client.run_once()
    size = client.home.journal.stat().st_size

    Book(client.home.journal, client.clock).close()
    assert client.home.journal.stat().st_size == size
    book = Book(client.home.journal, client.clock, most_bytes=size - 1)
    book.write({"kind": "malformed", "what": "x"})
    book.close()

    kinds = [record["kind"] for record in read(client.home.journal)]
    assert kinds == ["image", "malformed"]
    assert vars(State(read(client.home.journal))) == vars(book.state)


@pytest.mark.parametrize("name", ["_write_durably", "link", "replace", "sync_folder"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_any_moment_of_it_leaves_a_whole_journal(client, feed, broker, name, when, monkeypatch):
    feed.open()
    client.run_once()
    path = client.home.journal
    before = image.of(State(read(path)))

    pid = os.fork()
    if pid == 0:
        die_at(name, when)
        compact.compact(path, lambda: "now", most_bytes=0)
        os._exit(0)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert image.of(State(read(path))) == before
    book = Book(path, client.clock, most_bytes=0)
    book.close()
    assert image.of(book.state) == before


def die_at(name, when):
    """Make this process kill itself before or after one of the steps of a compaction."""
    place = {"link": compact.os, "replace": type(compact.Path())}.get(name, compact)
    step = getattr(place, name)

    def deadly(*args, **kwargs):
        if when == "after":
            step(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(place, name, deadly)


@pytest.mark.parametrize("harm", ["changed", "taken out", "swapped", "doubled"])
def test_a_line_that_is_not_as_it_was_written_is_an_error_for_a_person(tmp_path, harm):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, lambda: "now")
    for number in range(4):
        journal.append([{"kind": "malformed", "what": str(number)}])
    journal.close()
    lines = path.read_bytes().splitlines(keepends=True)
    harmed = {
        "changed": [lines[0], lines[1].replace(b'"1"', b'"7"'), *lines[2:]],
        "taken out": [lines[0], *lines[2:]],
        "swapped": [lines[0], lines[2], lines[1], lines[3]],
        "doubled": [lines[0], *lines],
    }[harm]
    path.write_bytes(b"".join(harmed))

    with pytest.raises(ClientError, match="line 2 damaged"):
        list(read(path))


@pytest.mark.parametrize("size", [1, 100, 3_000_000])
def test_a_torn_end_of_any_length_is_set_aside(tmp_path, size):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, lambda: "now")
    journal.append([{"kind": "malformed", "what": "whole"}])
    journal.close()
    path.write_bytes(path.read_bytes() + b"x" * size)

    again = Journal(path, lambda: "now")
    again.append([{"kind": "malformed", "what": "next"}])
    again.close()

    assert [record["what"] for record in read(path)] == ["whole", "next"]
    assert path.with_suffix(".torn").stat().st_size == size
