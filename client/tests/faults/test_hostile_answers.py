"""Answers that no feed gives: each is worth one more question, none is worth a trade, a report or a token."""

import contextlib
import json
import socket
import threading
import time

import pytest

from tbot_client.errors import Retry
from tbot_client.feed import FeedClient

GARBAGE = {
    "html 502": (502, b"<html>Bad Gateway</html>", {}),
    "524": (524, b"error code: 524", {}),
    "html 404": (404, b"<html>Not Found</html>", {}),
    "html 401": (401, b"<html>Log in</html>", {}),
    "html 410": (410, b"<html>Gone</html>", {}),
    "html 200": (200, b"<html>Welcome</html>", {}),
    "empty": (200, b"", {}),
    "other json": (200, b'{"ok":true}', {}),
    "a list": (200, b"[]", {}),
    "half a page": (200, b'{"items":[],"next_cur', {}),
    "deep": (200, b"[" * 200_000, {}),
    "redirect": (302, b"", {"Location": "http://127.0.0.1:9/api/signals/feed"}),
    "permanent redirect": (308, b"", {"Location": "/elsewhere"}),
    "no content": (204, b"", {}),
    "too short": (200, b'{"items":[]}', {"Content-Length": "400", "Connection": "close"}),
    "too long": (200, b'{"items":[],"server_time":"2026-01-01T00:00:00Z"}', {"Content-Length": "5"}),
}


@pytest.mark.proves("row 25")
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_instead_of_pages_and_of_answers_to_reports_changes_nothing(client, feed, broker, garbage):
    client.with_(poll={"wait_s": 0})
    with client.running():
        client.until(lambda: feed.polls)
        status, body, headers = GARBAGE[garbage]
        for part in ("/feed", "/ack", "/executed"):
            feed.answer_once(part, status, body, headers)
        signal = feed.open()
        client.until(lambda: feed.stages(signal) == ["ack", "executed"])
        client.until(lambda: not client.state.outbox)

    assert feed.script == []
    assert len(broker.orders) == 1
    assert (client.state.disputed, client.state.counts["dropped"], client.state.distrust) == ([], 0, "")


def test_a_redirect_never_takes_the_token_along(client, feed):
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.5)
        where = f"http://127.0.0.1:{trap.getsockname()[1]}/"
        feed.answer_once("/feed", 302, b"", {"Location": where})
        feed.answer_once("/ack", 307, b"", {"Location": where})
        feed.open()
        with client.running():
            client.until(lambda: not feed.script)
            with contextlib.suppress(TimeoutError):
                seen.append(trap.accept())

    assert feed.script == []
    assert seen == []


@pytest.mark.proves("row 25")
def test_an_answer_to_another_report_is_not_taken_for_ours(client, feed, broker):
    signal = feed.open()
    other = json.dumps({"signal_id": "sig_01ARZ3NDEKTSV4RRFFQ69G5FAV", "stage": "ack"}).encode()
    feed.answer_once("/ack", 201, other)
    feed.answer_once("/executed", 201, json.dumps({"signal_id": signal, "stage": "ack"}).encode())

    assert client.run_once() == 0

    assert feed.stages(signal) == ["ack", "executed"]


@pytest.mark.proves("row 25", "F10")
def test_a_page_older_than_one_taken_before_is_dropped_without_an_alarm(client, feed, broker):
    with client.running():
        client.until(lambda: feed.polls)
        stale = feed.page(0, 100, [])
        first = feed.open()
        client.until(lambda: feed.stages(first) == ["ack", "executed"])
        feed.answer_once("/feed", 200, stale)
        second = feed.open()
        client.until(lambda: feed.stages(second) == ["ack", "executed"])

    assert feed.script == []
    assert client.state.distrust == ""
    assert len(broker.orders) == 2


@pytest.mark.proves("row 25", "F3")
def test_a_page_for_another_subscriber_with_a_cursor_ahead_of_ours_hides_nothing(client, feed, broker, monkeypatch):
    monkeypatch.setattr("tbot_client.holes.PATIENCE_S", 0.5)
    held, hid = feed.open(), []
    client.run_once()
    with client.running():
        client.until(lambda: len(feed.polls) > 1)
        with feed.changed:
            feed.page = lambda start, limit, surfaces: misdirected(feed, hid)
            feed.end(held)
            hidden = feed.open()
        client.until(lambda: feed.stages(hidden) == ["ack", "executed"])
        client.until(lambda: "resolved" in feed.stages(held))

    assert len(hid) == 1
    assert [order.client_id for order, _ in broker.open.values()] == [f"tc-{hidden[4:]}-entry-1"]


def misdirected(feed, hid):
    """Answer one poll as if it came from somebody who has seen everything already."""
    del feed.page
    hid.append(len(feed.lines))
    return feed._answer([], {"next_cursor": feed.cursor(len(feed.lines), []), "has_more": False})


@pytest.mark.proves("row 18")
@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_that_drips_is_given_up(client, part, monkeypatch):
    """The pause between two bytes is short each time, so that only a bound on the whole ends it."""
    monkeypatch.setattr("tbot_client.feed.CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server, dripping(server, part) as dripped:
        client.text = client.text.replace(client.feed.url, f"http://127.0.0.1:{server.getsockname()[1]}")
        feed = FeedClient(client.config)
        began = time.monotonic()
        with pytest.raises(Retry):
            feed.report("sig_01ARZ3NDEKTSV4RRFFQ69G5FAV", "ack", "{}", timeout_s=0.5)
        took = time.monotonic() - began
        feed.close()

    assert took < 8
    assert dripped[0] > 3


@contextlib.contextmanager
def dripping(server, part):
    """Answer whoever comes one byte at a time, for as long as they listen."""
    dripped, over = [0], threading.Event()
    head = b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n"

    def drip():
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            if part == "body":
                connection.sendall(head)
            for byte in (b"X" * 10_000) if part == "body" else b"HTTP/1.1 201 Created\r\n" + b"X-Drip: 1\r\n" * 900:
                if over.wait(0.1):
                    return
                connection.sendall(bytes([byte]))
                dripped[0] += 1

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield dripped
    finally:
        over.set()
        thread.join(5)
