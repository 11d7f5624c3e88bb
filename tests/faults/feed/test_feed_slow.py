"""Connections that take their time: each kind is closed when its time is up, and nobody else notices."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

FEED = "/api/signals/feed"
HEAD = "GET /api/head HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n"
POST = (
    "POST /api/signals/sig_01KJPWD6M0A7Y455M94DQKKMM3/ack HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n"
    "content-type: application/json\r\ncontent-length: 9000\r\n\r\n"
)
# Limits in seconds at the fast dose and at the full one, which is the default of the settings.
HEADER, BODY, WRITE, KEEP_ALIVE = (0.8, 10), (1.0, 15), (1.0, 30), (1, 30)
SLACK_S = 2.0


@pytest.fixture
def limits(dose: Callable[[int, int], int]) -> dict[str, float]:
    is_full = bool(dose(0, 1))
    return {
        name: pair[is_full]
        for name, pair in (("header", HEADER), ("body", BODY), ("write", WRITE), ("keep_alive", KEEP_ALIVE))
    }


@pytest.fixture
def feed(stage: Any, limits: dict[str, float]) -> Any:
    return stage.feed(
        FEED_HEADER_DEADLINE_S=str(limits["header"]), FEED_BODY_DEADLINE_S=str(limits["body"]),
        FEED_WRITE_DEADLINE_S=str(limits["write"]), FEED_KEEP_ALIVE_S=str(limits["keep_alive"]),
        FEED_PARKED_TOTAL="2000",
    )  # fmt: skip


@contextmanager
def good_client(stage: Any, feed: Any, wire: Any, run: Any) -> Iterator[list[float]]:
    """Ask over and over in a thread of its own; yield how long each answer took."""
    token, took, is_over = stage.token(), [], threading.Event()

    async def ask() -> None:
        line = wire(feed.port, token)
        while not is_over.is_set():
            begun = time.perf_counter()
            assert (await line.poll(start="head", wait=0)).status == 200
            took.append(time.perf_counter() - begun)
            await asyncio.sleep(0.02)

    thread = threading.Thread(target=run, args=(ask(), 600))
    thread.start()
    try:
        yield took
    finally:
        is_over.set()
        thread.join()


class Slow:
    """Many sockets that send a byte now and then and note when they were closed."""

    def __init__(self, port: int, number: int, begin: bytes, stack: ExitStack, drip: bytes = b"") -> None:
        self.drip = drip
        self.begun: dict[socket.socket, float] = {}
        self.closed: list[float] = []
        self.first: list[bytes] = []
        for _ in range(number):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(begin)
            one.setblocking(False)
            self.begun[one] = time.monotonic()

    def run(self, longest: float) -> None:
        """Go on until all are closed; those still open after ``longest`` fail the test."""
        deadline = time.monotonic() + longest
        received: dict[socket.socket, bytes] = {}
        while self.begun:
            assert time.monotonic() < deadline, f"{len(self.begun)} are still open after {longest} s"
            for one in list(self.begun):
                self._step(one, received)
            time.sleep(0.05)
        self.first = list(received.values())

    def _step(self, one: socket.socket, received: dict[socket.socket, bytes]) -> None:
        try:
            if self.drip:
                one.send(self.drip)
            data = one.recv(65_536)
            received[one] = received.get(one, b"") + data
            is_closed = not data
        except BlockingIOError:
            return
        except ConnectionError:
            is_closed = True
        if is_closed:
            self.closed.append(time.monotonic() - self.begun.pop(one))


@pytest.mark.proves("row 18", "F9")
@pytest.mark.parametrize("kind", ["silent", "header drip", "body drip", "idle keep-alive", "idle after pipelining"])
def test_a_slow_connection_is_closed_in_time(
    stage: Any, feed: Any, wire: Any, run: Any, dose: Any, limits: dict[str, float], kind: str
) -> None:
    token = stage.token()
    head = HEAD.format(token).encode()
    begin, drip, limit = {
        "silent": (b"", b"", limits["header"]),
        "header drip": (head, b"a", limits["header"]),
        "body drip": (POST.format(token).encode(), b" ", limits["body"]),
        "idle keep-alive": (head + b"\r\n", b"", limits["keep_alive"]),
        "idle after pipelining": (head + b"\r\n" + head + b"\r\n" + head, b"", limits["header"]),
    }[kind]

    with ExitStack() as stack, good_client(stage, feed, wire, run) as took:
        slow = Slow(feed.port, dose(20, 500), begin, stack, drip)
        slow.run(limit + SLACK_S + 5)

    print(f"{kind}: closed after {min(slow.closed):.1f} to {max(slow.closed):.1f} s, good client {max(took):.2f} s")
    assert max(slow.closed) < limit + SLACK_S
    assert min(slow.closed) > limit * 0.8
    assert sorted(took)[int(len(took) * 0.99)] < 1
    if kind == "body drip":
        assert all(data.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 404 ")) for data in slow.first)


def page(token: str, limit: int) -> bytes:
    asked = f"GET {FEED}?start=oldest&wait=0&limit={limit} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
    return asked.encode()


def deaf(port: int, stack: ExitStack) -> socket.socket:
    """Connect with hardly any room for what comes back."""
    one = stack.enter_context(socket.socket())
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    one.connect(("127.0.0.1", port))
    return one


@pytest.mark.proves("row 18", "F9")
def test_who_does_not_read_loses_the_connection(
    stage: Any, feed: Any, wire: Any, run: Any, wait_until: Any, dose: Any, limits: dict[str, float]
) -> None:
    publisher, token = stage.publisher(), stage.token()
    for _ in range(400):
        publisher.open(thesis="t" * 2_000)
    number, before = dose(10, 500), connections(feed.process.pid)

    with ExitStack() as stack, good_client(stage, feed, wire, run) as took:
        for _ in range(number):
            deaf(feed.port, stack).sendall(page(token, 400) * 20)
        begun = time.monotonic()
        wait_until("all connections being open", lambda: connections(feed.process.pid) >= before + number * 0.9)
        limit = limits["write"] + SLACK_S
        wait_until("their end", lambda: connections(feed.process.pid) <= before + 2, limit + 5)
        closed, rss = time.monotonic() - begun, feed.rss_mib

    print(f"{number} that do not read: closed after {closed:.1f} s, RSS {rss:.0f} MiB, good client {max(took):.2f} s")
    assert closed < limit
    assert sorted(took)[int(len(took) * 0.99)] < 1


@pytest.mark.proves("row 18")
def test_who_leaves_a_little_unread_loses_the_connection_too(
    stage: Any, feed: Any, wait_until: Any, dose: Any, limits: dict[str, float]
) -> None:
    """Less than makes the server pause: the answer counts as sent, and closing waits for what is left of it."""
    publisher, token = stage.publisher(), stage.token()
    for _ in range(20):
        publisher.open(thesis="t" * 2_000)
    before = connections(feed.process.pid)

    with ExitStack() as stack:
        for _ in range(dose(1, 20)):
            fill(deaf(feed.port, stack), page(token, 20), feed.port)
        wait_until("their end", lambda: connections(feed.process.pid) <= before, sum(limits.values()) + SLACK_S)


def fill(one: socket.socket, request: bytes, port: int) -> None:
    """Ask again and again until the kernel no longer takes a whole answer (some 45 kB) from the server."""
    while True:
        before, deadline = queued(port, one), time.monotonic() + 0.2
        one.sendall(request)
        while queued(port, one) < before + 40_000:
            if time.monotonic() > deadline:
                return
            time.sleep(0.005)


def queued(port: int, one: socket.socket) -> int:
    """Return the bytes that wait in the kernel to be read by ``one``, on the server's side."""
    peer = one.getsockname()[1]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (queue,) = [row[4] for row in rows if row[1].endswith(f":{port:04X}") and row[2].endswith(f":{peer:04X}")]
    return int(queue.partition(":")[0], 16)


def connections(pid: int) -> int:
    """Count the sockets a process holds."""

    links = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except OSError:  # closed meanwhile
            continue
    return sum(link.startswith("socket:") for link in links)


@pytest.mark.proves("row 18")
def test_a_half_closed_poll_frees_its_place(
    stage: Any, feed: Any, wire: Any, run: Any, wait_until: Any, dose: Any
) -> None:
    token, before = stage.token(), connections(feed.process.pid)
    poll = f"GET {FEED}?start=head&wait=50 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n".encode()

    with ExitStack() as stack:
        for _ in range(dose(20, 500)):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", feed.port)))
            one.sendall(poll)
            one.shutdown(socket.SHUT_WR)
        wait_until("the end of all half-closed connections", lambda: connections(feed.process.pid) <= before + 1, 10)


@pytest.mark.proves("row 18", "F5")
def test_no_deadline_cuts_a_long_poll(stage: Any, feed: Any, wire: Any, run: Any, dose: Any) -> None:
    publisher, token, wait = stage.publisher(), stage.token(), dose(2, 55)

    async def scene() -> tuple[Any, Any, str]:
        line = wire(feed.port, token)
        empty = await line.poll(start="head", wait=wait)
        signal_id = publisher.open()
        return empty, await line.poll(cursor=empty.json["next_cursor"], wait=wait), signal_id

    empty, full, signal_id = run(scene(), 200)

    assert empty.ids == []
    assert full.ids == [signal_id]
