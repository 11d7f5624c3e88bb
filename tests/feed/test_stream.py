"""The stream: the same signals as the poll, one event each, over one connection."""

import contextlib
import json
import queue
import shutil
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from domain.vocabulary import Surface
from feed.tokens import Scope

STREAM = "/api/signals/stream"
FEED = "/api/signals/feed"


@dataclass(frozen=True)
class Event:
    name: str
    data: str
    id: str
    retry: str


class Listener:
    """Reads events in a thread of its own, as they come."""

    def __init__(self, running: Any, token: str, query: str = "start=oldest", **headers: str) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.heartbeats = 0
        self.is_closed = threading.Event()
        self._client = httpx.Client(base_url=running.url, headers={"authorization": f"Bearer {token}", **headers})
        self._context = self._client.stream("GET", f"{STREAM}?{query}", timeout=20)
        self.answer = self._context.__enter__()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for line in self.answer.iter_lines():
                name, _, value = line.partition(": ")
                if line and not name:
                    self.heartbeats += 1
                elif line:
                    fields[name] = value
                elif fields:
                    words = [fields.get(key, "") for key in ("event", "data", "id", "retry")]
                    self.events.put(Event(*words))
                    fields = {}
        except (httpx.TransportError, httpx.StreamError):
            pass
        self.is_closed.set()

    def next(self) -> Event:
        return self.events.get(timeout=10)

    def until(self, *names: str) -> Event:
        """Return the next event with one of these names."""
        while (event := self.next()).name not in names:
            pass
        return event

    def items(self, number: int) -> list[Event]:
        return [self.until("item", "expired") for _ in range(number)]

    def close(self) -> None:
        # Closing alone would wait for the thread that reads.
        with contextlib.suppress(OSError):
            self.answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._context.__exit__(None, None, None)
        self._client.close()


@pytest.fixture
def listen(stage: Any) -> Any:
    opened: list[Listener] = []

    def begin(running: Any, token: str, query: str = "start=oldest", **headers: str) -> Listener:
        opened.append(Listener(running, token, query, **headers))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


@pytest.mark.proves("F6")
def test_items_are_the_very_bytes_on_disk_between_heads(stage: Any, listen: Any) -> None:
    publisher = stage.publisher()
    first = publisher.open(thesis='quotes " and é and 💶')
    publisher.private()
    publisher.amend(first)
    listener = listen(stage.feed(), stage.token())

    events = [listener.next() for _ in range(4)]

    lines = (stage.house.log("fx", "signals") / "000001.jsonl").read_text().splitlines()
    public = [line for line in lines if json.loads(line)["kind"] == "signal"]
    assert [event.name for event in events] == ["heads", "item", "item", "heads"]
    assert [event.data for event in events[1:3]] == public
    head = publisher.signals.position
    assert json.loads(events[3].data)["logs"]["fx/signals"] == {"seq": head.seq, "h": head.h, "sig": None}
    assert listener.answer.headers["content-type"] == "text/event-stream"
    assert listener.answer.headers["x-accel-buffering"] == "no"
    assert listener.answer.headers["cache-control"] == "no-store"


@pytest.mark.proves("F3")
def test_after_every_event_the_rest_comes_without_gap_or_repetition(stage: Any, listen: Any) -> None:
    fx, st = stage.publisher(), stage.publisher(Surface.ST)
    for _ in range(3):
        signal_id = fx.open()
        st.open()
        stage.clock.advance(1)
        fx.private()
        fx.close(signal_id)
        stage.clock.advance(1)
    running = stage.feed()
    token = stage.token(Surface.FX, Surface.ST)
    client = stage.client(running, token)
    whole = listen(running, token, "start=oldest&limit=2").items(9)
    expected = [json.loads(event.data)["id"] for event in whole]

    for index, event in enumerate(whole[:-1]):
        again = listen(running, token, "start=head", **{"last-event-id": event.id}).items(8 - index)
        polled = client.get(FEED, params={"cursor": event.id, "wait": 0}).json()["items"]

        assert [json.loads(one.data)["id"] for one in again] == expected[index + 1 :]
        assert [one["id"] for one in polled] == expected[index + 1 :]


def test_a_limit_is_what_comes_between_two_heads_and_not_an_end(stage: Any, listen: Any) -> None:
    publisher = stage.publisher()
    for _ in range(5):
        publisher.open()
    running = stage.feed()
    token = stage.token()

    listener = listen(running, token, "start=oldest&limit=2")

    names = [listener.next().name for _ in range(9)]
    assert names == ["heads", "item", "item", "heads", "item", "item", "heads", "item", "heads"]
    publisher.open()
    assert listener.next().name == "item"


def test_news_come_as_they_are_written_and_a_poll_takes_over_from_the_heads(stage: Any, listen: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed()
    token = stage.token()
    listener = listen(running, token, "start=head")
    assert listener.next().name == "heads"

    ids = [publisher.open() for _ in range(3)]
    seen = [json.loads(event.data)["id"] for event in listener.items(3)]
    cursor = listener.until("heads").id
    later = publisher.open()
    stage.until(lambda: running.service.logs.sources["fx/signals"].head.seq == publisher.signals.position.seq)
    polled = stage.client(running, token).get(FEED, params={"cursor": cursor, "wait": 0}).json()["items"]

    assert seen == ids
    assert [item["id"] for item in polled] == [later]


@pytest.mark.proves("F7")
def test_an_open_that_must_not_be_executed_has_another_name(stage: Any, listen: Any) -> None:
    publisher = stage.publisher()
    old = publisher.open()
    stage.clock.advance(600)
    over = publisher.open()
    publisher.close(over)
    live = publisher.open()
    listener = listen(stage.feed(), stage.token())

    events = listener.items(4)

    names = {json.loads(event.data)["id"]: event.name for event in events}
    assert (names[old], names[over], names[live]) == ("expired", "expired", "item")
    assert [event.name for event in events if json.loads(event.data)["action"] == "close"] == ["item"]


@pytest.mark.proves("F8")
def test_a_stream_shows_only_the_surfaces_of_its_token(stage: Any, listen: Any) -> None:
    fx, st = stage.publisher(), stage.publisher(Surface.ST)
    running = stage.feed()
    listener = listen(running, stage.token())
    st.open()
    mine = fx.open()

    events = [listener.next() for _ in range(3)]

    assert [event.name for event in events] == ["heads", "item", "heads"]
    assert json.loads(events[1].data)["id"] == mine
    assert set(json.loads(events[2].data)["logs"]) == {"fx/signals", "fx/resolutions"}


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {}, 400),
        ("start=head&cursor=x", {}, 400),
        ("start=head&wait=1", {}, 400),
        ("start=head&limit=0", {}, 400),
        ("start=head&surface=st", {}, 400),
        ("start=head", {"last-event-id": "made up"}, 400),
        ("start=head", {"authorization": "Bearer nobody"}, 401),
    ],
)
def test_what_is_wrong_is_said_before_the_stream_begins(stage: Any, query: str, headers: Any, status: int) -> None:
    client = stage.client(stage.feed(), stage.token())

    answer = client.get(f"{STREAM}?{query}", headers=headers)

    assert answer.status_code == status
    assert answer.json()["code"]
    assert client.post(f"{STREAM}?start=head").status_code == 405
    writer = stage.client(stage.running[0], stage.token(scopes=(Scope.CALLBACK_WRITE,)))
    assert writer.get(f"{STREAM}?start=head").status_code == 403


@pytest.mark.proves("F2")
def test_a_cursor_that_is_too_old_is_410_before_the_stream_begins(stage: Any) -> None:
    publisher = stage.publisher()
    publisher.open()
    running = stage.feed(retention_days=1)
    client = stage.client(running, stage.token())
    cursor = client.get(FEED, params={"start": "oldest", "wait": 0, "limit": 1}).json()["next_cursor"]
    publisher.open()
    stage.clock.advance(2 * 86_400)
    publisher.open()
    stage.until(lambda: client.get(f"{STREAM}?cursor={cursor}").status_code == 410)

    answer = client.get(f"{STREAM}?start=head", headers={"last-event-id": cursor})

    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_expired")
    assert answer.json()["oldest_cursor"]


@pytest.mark.proves("F2", "F10")
def test_a_log_that_was_replaced_ends_the_stream_with_the_way_on(stage: Any, listen: Any) -> None:
    publisher = stage.publisher()
    publisher.open()
    running = stage.feed()
    token = stage.token()
    listener = listen(running, token)
    listener.items(1)
    publisher.end()
    shutil.rmtree(stage.house.log("fx", "signals"))
    del stage.publishers[Surface.FX]
    fresh = stage.publisher()
    signal_id = fresh.open()

    event = listener.until("gone")

    assert json.loads(event.data)["code"] in ("epoch_changed", "cursor_ahead")
    assert listener.is_closed.wait(5)
    assert len(running.service.streams) == 0
    again = listen(running, token, f"cursor={json.loads(event.data)['oldest_cursor']}")
    assert json.loads(again.items(1)[0].data)["id"] == signal_id


@pytest.mark.parametrize("change", ["revoked", "surfaces", "expired"])
def test_a_token_that_changes_ends_its_stream_within_a_second(stage: Any, listen: Any, change: str) -> None:
    running = stage.feed()
    listener = listen(running, stage.token())
    listener.next()
    begun = time.monotonic()
    if change == "expired":
        content = json.loads(stage.house.subscribers.read_text())
        content[0]["expires_at"] = stage.clock.now().isoformat()
        stage.house.subscribers.write_text(json.dumps(content))
    elif change == "surfaces":
        content = json.loads(stage.house.subscribers.read_text())
        content[0]["surfaces"] = ["st"]
        stage.house.subscribers.write_text(json.dumps(content))
    else:
        stage.store.revoke(stage.store.list()[0].id, now=stage.clock.now())

    event = listener.until("end")

    assert time.monotonic() - begun < 1.5
    assert json.loads(event.data)["code"] == ("cursor_filter" if change == "surfaces" else "token")
    assert listener.is_closed.wait(5)


def test_a_feed_that_ends_says_when_to_come_back(stage: Any, listen: Any) -> None:
    running = stage.feed()
    tokens = [stage.token() for _ in range(5)]
    listeners = [listen(running, token) for token in tokens]
    for listener in listeners:
        listener.next()

    stage.stop(running)
    events = [listener.until("restart") for listener in listeners]

    waits = {int(event.retry) for event in events}
    assert all(1_000 <= wait <= 16_000 for wait in waits)
    assert len(waits) > 1
    assert all(listener.is_closed.wait(5) for listener in listeners)


def test_the_oldest_stream_of_a_token_makes_room_and_all_count_together(stage: Any, listen: Any) -> None:
    running = stage.feed(streams_per_token=2, parked_total=3)
    token = stage.token()
    first, second, third = (listen(running, token) for _ in range(3))
    other = stage.token()
    listen(running, other).next()

    full = stage.client(running, stage.token()).get(f"{STREAM}?start=head")
    no_room = stage.client(running, stage.token()).get(f"{FEED}?start=head&wait=5")

    assert json.loads(first.until("end").data)["code"] == "replaced"
    assert (second.next().name, third.next().name) == ("heads", "heads")
    assert (full.status_code, no_room.status_code) == (503, 503)
    assert full.headers["retry-after"]


def test_a_quiet_stream_says_that_it_is_there(stage: Any, listen: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed()
    running.service.streams.heartbeat_s = 0.05
    listener = listen(running, stage.token(), "start=head")
    first = listener.next()

    stage.until(lambda: listener.heartbeats >= 3)
    publisher.private()
    moved = listener.next()

    assert (first.name, moved.name) == ("heads", "heads")
    assert moved.id != first.id
    assert json.loads(moved.data)["logs"]["fx/signals"]["seq"] == publisher.signals.position.seq


def test_a_stream_whose_reader_left_frees_its_place(stage: Any) -> None:
    running = stage.feed()
    one = Listener(running, stage.token())
    one.next()
    assert running.call(lambda: (len(running.service.streams), running.service.poll.lot.held)) == (1, 1)

    one.close()

    stage.until(lambda: running.call(lambda: (len(running.service.streams), running.service.poll.lot.held)) == (0, 0))


def test_a_reader_that_does_not_read_is_cut_off(stage: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed(write_deadline_s=0.3)
    token = stage.token()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", running.server.port))
        slow.sendall(f"GET {STREAM}?start=head HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n".encode())
        stage.until(lambda: len(running.service.streams) == 1)
        wide = "x" * 50_000
        for _ in range(200):
            publisher.open(thesis=wide)

        stage.until(lambda: len(running.service.streams) == 0)

    good = Listener(running, token, "start=oldest&limit=500")
    assert len(good.items(200)) == 200
    good.close()
