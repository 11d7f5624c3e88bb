"""Polls that the protocol answers itself: on the wire they are like any other request."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from journal import NewRecord

FEED = "/api/signals/feed"


class Line:
    """One connection, read an answer at a time."""

    def __init__(self, running: Any, token: str) -> None:
        self._head = f"host: x\r\nauthorization: Bearer {token}\r\n"
        self._socket = socket.create_connection(("127.0.0.1", running.server.port), timeout=10)
        self._rest = b""

    def ask(self, query: str, *, version: str = "1.1", extra: str = "", body: str = "") -> None:
        self._socket.sendall(f"GET {FEED}?{query} HTTP/{version}\r\n{self._head}{extra}\r\n{body}".encode())

    def report(self, signal_id: str, *, extra: str = "") -> None:
        body = '{"at":"2026-03-02T09:00:00Z","decision":"accept"}'
        head = f"{self._head}{extra}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._socket.sendall(f"POST /api/signals/{signal_id}/ack HTTP/1.1\r\n{head}{body}".encode())

    def answer(self, status: int = 200) -> tuple[dict[str, str], Any]:
        """Return the headers, and the body decoded."""
        while b"\r\n\r\n" not in self._rest:
            self._take()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        assert first.startswith(f"HTTP/1.1 {status} "), head
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(headers) == len(lines)
        while len(self._rest) < int(headers["content-length"]):
            self._take()
        body, self._rest = self._rest[: int(headers["content-length"])], self._rest[int(headers["content-length"]) :]
        return headers, json.loads(body)

    def ids(self) -> list[str]:
        return [item["id"] for item in self.answer()[1]["items"]]

    def is_ended(self) -> bool:
        """Wait for the other side to end the connection; nothing may come before that."""
        return not self._rest and self._socket.recv(1) == b""

    def close(self) -> None:
        self._socket.close()

    def _take(self) -> None:
        data = self._socket.recv(65_536)
        assert data, f"the connection ended after {self._rest!r}"
        self._rest += data


@pytest.fixture
def desk(stage: Any) -> Iterator[Any]:
    lines: list[Line] = []

    def line(running: Any, token: str | None = None) -> Line:
        lines.append(Line(running, token or stage.token()))
        return lines[-1]

    stage.line = line
    yield stage
    for one in lines:
        one.close()


def test_a_connection_serves_one_poll_after_the_other(desk: Any) -> None:
    publisher = desk.publisher()
    running = desk.feed()
    line = desk.line(running)

    line.ask("start=head&wait=0")
    assert line.ids() == []
    for _ in range(3):
        line.ask("start=head&wait=20")
        running.until_waiting(1)
        signal_id = publisher.open()
        assert line.ids() == [signal_id]
    line.ask("start=oldest&wait=0")
    assert len(line.ids()) == 3


def test_requests_sent_at_once_are_answered_in_their_order(desk: Any) -> None:
    publisher = desk.publisher()
    running = desk.feed()
    line = desk.line(running)

    line.ask("start=head&wait=20")
    line.ask("start=oldest&wait=0&limit=1")
    line.ask("start=head&wait=0")
    running.until_waiting(1)
    signal_id = publisher.open()

    assert [line.ids(), line.ids(), line.ids()] == [[signal_id], [signal_id], []]


def test_a_woken_poll_carries_the_headers_of_every_answer(desk: Any) -> None:
    publisher = desk.publisher()
    running = desk.feed()
    woken, closing = desk.line(running), desk.line(running)

    woken.ask("start=head&wait=20")
    running.until_waiting(1)
    publisher.open()
    closing.ask("start=oldest&wait=0", extra="connection: close\r\n")  # goes the server's own way

    expected = closing.answer()[0]
    assert expected.pop("connection") == "close"
    assert closing.is_ended()
    headers = woken.answer()[0]
    assert headers.keys() == expected.keys()
    assert "date" in headers
    assert {**headers, "date": ""} == {**expected, "date": ""}


def test_a_report_written_in_one_piece_carries_the_same_headers_too(desk: Any) -> None:
    signal_id = desk.publisher().open()
    running = desk.feed()
    staying, closing = desk.line(running), desk.line(running)

    staying.report(signal_id)
    staying.ask("start=head&wait=0")
    headers, body = staying.answer(201)
    assert staying.ids() == []
    closing.report(signal_id, extra="connection: close\r\n")
    expected, other = closing.answer(201)

    assert expected.pop("connection") == "close"
    assert closing.is_ended()
    assert headers.keys() == expected.keys()
    assert {**headers, "date": "", "content-length": ""} == {**expected, "date": "", "content-length": ""}
    assert body.keys() == other.keys()


@pytest.mark.parametrize(
    "form",
    [{"version": "1.0"}, {"extra": "connection: close\r\n"}, {"extra": "content-length: 4\r\n", "body": "what"}],
)
def test_an_unusual_poll_waits_and_is_woken_as_well(desk: Any, form: dict[str, str]) -> None:
    publisher = desk.publisher()
    running = desk.feed()
    line = desk.line(running)

    line.ask("start=head&wait=20", **form)
    running.until_waiting(1)
    signal_id = publisher.open()

    assert line.ids() == [signal_id]


def test_a_connection_that_idles_after_a_poll_is_closed_and_one_that_goes_on_is_not(desk: Any) -> None:
    running = desk.feed(keep_alive_s=1)
    idle, busy = desk.line(running), desk.line(running)
    for line in (idle, busy):
        line.ask("start=head&wait=0")
        line.answer()

    begun = time.monotonic()
    busy.ask("start=head&wait=2")

    assert idle.is_ended()
    assert 0.5 < time.monotonic() - begun < 1.9
    assert busy.ids() == []
    assert time.monotonic() - begun >= 1.9


def test_a_poll_whose_place_has_left_the_memory_is_answered_from_the_disk(desk: Any) -> None:
    publisher = desk.publisher()
    publisher.open()
    place = publisher.signals.position.seq
    running = desk.feed(ring_lines=2)
    line, gone = desk.line(running), desk.line(running)
    for one in (line, gone):
        one.ask("start=head&wait=20&limit=3")
    running.until_waiting(2)
    gone.close()
    running.until_waiting(1)
    record = json.loads((desk.house.log("fx", "signals") / "000001.jsonl").read_bytes().splitlines()[-1])
    fields = {name: value for name, value in record.items() if name in ("signal_id", "action", "market")}
    burst = [NewRecord(kind="signal", surface="fx", mode="paper", id=f"n{at}", fields=fields) for at in range(20)]
    publisher.signals.append_many(burst)

    assert line.ids() == ["n0", "n1", "n2"]
    assert not running.service.logs.sources["fx/signals"].ring.covers(place)


def test_hundreds_that_wait_are_all_woken_and_get_the_same(desk: Any) -> None:
    publisher = desk.publisher()
    running = desk.feed()
    token = desk.token()
    lines = [desk.line(running, token) for _ in range(200)]
    for line in lines:
        line.ask("start=head&wait=50")
    running.until_waiting(200)

    signal_id = publisher.open()

    bodies = [line.answer()[1] for line in lines]
    assert [item["id"] for item in bodies[0]["items"]] == [signal_id]
    assert all(body == bodies[0] for body in bodies)
    running.until_waiting(0)


def test_a_drained_poll_says_that_its_connection_ends(desk: Any) -> None:
    running = desk.feed()
    line = desk.line(running)
    line.ask("start=head&wait=20")
    running.until_waiting(1)

    running.call(running.service.drain)

    headers, body = line.answer()
    assert headers["connection"] == "close"
    assert body["items"] == []
    assert line.is_ended()
