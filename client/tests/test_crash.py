"""Kill -9 at every durable step of a trade: no doubled order, no lost report, no contradiction."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tbot_client.journal import read
from tbot_client.state import State

SCRIPT = Path(__file__).parent / "support" / "crashing.py"


@pytest.fixture
def run(client):
    """Return a function that lets a client die at a moment (0: never) and returns its exit code and moments."""
    client.write_config()
    command = [sys.executable, str(SCRIPT), str(client.home.path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def once(fatal):
        process.stdin.write(f"{fatal}\n")
        process.stdin.flush()
        *moments, code = map(int, process.stdout.readline().split())
        return code, (moments or [None])[0]

    yield once
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


def records(home, kind):
    return [
        entry for entry in map(json.loads, (home / "paper.jsonl").read_text().splitlines()) if entry["kind"] == kind
    ]


def live_through(run, fatal):
    """Die once at moment ``fatal``, then run to the end; return the moments of a life that did not reach it."""
    code, moments = run(fatal)
    if code == 0:
        return moments
    assert code == -9
    assert run(0)[0] == 0
    return None


@pytest.mark.proves("C1", "J8")
def test_a_kill_at_any_moment_of_an_entry_leaves_one_order_and_one_report_of_each_kind(client, feed, run):
    for fatal in range(1, 100):
        signal = feed.open()
        moments = live_through(run, fatal)
        assert feed.stages(signal) == ["ack", "executed"], fatal
        feed.end(signal)
        assert run(0)[0] == 0
        if moments is not None:
            break

    assert moments is not None
    assert moments >= 10
    opened = [entry["client_id"] for entry in records(client.home.path, "opened")]
    assert len(opened) == len(set(opened)) == fatal
    assert all(status != 409 for _, _, _, status in feed.reports)


@pytest.mark.proves("C1", "J8")
def test_a_kill_at_any_moment_of_an_amend_and_a_close_ends_the_position_once(client, feed, run):
    for fatal in range(1, 100):
        signal = feed.open()
        assert run(0)[0] == 0
        feed.amend(signal)
        feed.end(signal)
        moments = live_through(run, fatal)
        assert feed.stages(signal) == ["ack", "executed", "resolved"], fatal
        if moments is not None:
            break

    assert moments is not None
    closed = [entry["trade_id"] for entry in records(client.home.path, "closed")]
    assert len(closed) == len(set(closed)) == fatal
    assert State(read(client.home.journal)).trades == {}


def test_a_last_line_cut_short_is_set_aside_and_the_rest_is_kept(client, feed, broker):
    feed.open()
    client.run_once()
    with client.home.journal.open("ab") as file:
        file.write(b'{"at":"2026')
    feed.open()
    client.run_once()
    client.run_once()
    assert len(broker.orders) == 2
    assert client.home.journal.with_suffix(".torn").read_bytes() == b'{"at":"2026'
