"""Requests that are far too large: refused early, and never kept in memory."""

import gzip
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

SIGNAL = "sig_01KJPWD6M0A7Y455M94DQKKMM3"
PARALLEL = 20
CHUNK = b"1000\r\n" + b"x" * 4096 + b"\r\n"


def post(token: str, body: bytes, headers: str) -> bytes:
    head = (
        f"POST /api/signals/{SIGNAL}/ack HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\n{headers}\r\n\r\n"
    )
    return head.encode() + body


def get(token: str, target: str, headers: str = "") -> bytes:
    return f"GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{headers}\r\n".encode()


def length(body: bytes) -> str:
    return f"content-length: {len(body)}\r\nconnection: close"


DEEP = b"[" * 200_000
DIGITS = b'{"rev":' + b"9" * 1_000_000 + b"}"
BOMB = gzip.compress(b'{"at":"' + b" " * 50_000_000 + b'"}')
SMALL_DEEP = b'{"at":' + b"[" * 16_000
SMALL_DIGITS = b'{"rev":' + b"9" * 16_000 + b"}"
LINES = "".join(f"x{number}: {'a' * 90}\r\n" for number in range(2_000))
MANY = "&".join(f"p{number}=1" for number in range(10_000))


def cases(token: str) -> dict[str, tuple[bytes, bool, set[int]]]:
    """Return name -> what to send first, whether to go on sending chunks, and the statuses allowed."""
    close = "connection: close\r\n"
    return {
        "300 MB announced": (post(token, b"", "content-length: 300000000"), False, {413}),
        "300 MB sent": (post(token, b"", "content-length: 300000000"), True, {413}),
        "endless chunks": (post(token, b"", "transfer-encoding: chunked"), True, {413}),
        "endless chunks on a read": (get(token, "/api/head", "transfer-encoding: chunked\r\n"), True, {200}),
        "endless chunks on a poll": (
            get(token, "/api/signals/feed?start=head&wait=20", "transfer-encoding: chunked\r\n"), True, {0, 408},
        ),
        "endless chunks, no token": (post("x", b"", "transfer-encoding: chunked"), True, {401}),
        "200 kB header": (get(token, "/api/head", f"x: {'a' * 200_000}\r\n{close}"), False, {400, 431}),
        "200 kB in many headers": (get(token, "/api/head", LINES), False, {400, 431}),
        "60 kB header at one go": (get(token, "/api/head", f"x: {'a' * 60_000}\r\n{close}"), False, {400, 431}),
        "40 kB path at one go": (get(token, "/" + "a" * 40_000, close), False, {400, 414}),
        "200 kB path": (get(token, "/" + "a" * 200_000, close), False, {400, 414}),
        "10,000 parameters": (get(token, f"/api/signals/feed?{MANY}", close), False, {400, 414}),
        "10,000 short parameters": (get(token, "/api/signals/feed?" + "a&" * 10_000, close), False, {400, 414}),
        "long cursor": (get(token, "/api/signals/feed?cursor=" + "A" * 30_000, close), False, {400, 414}),
        "gzip bomb": (post(token, BOMB, f"content-encoding: gzip\r\n{length(BOMB)}"), False, {413, 415}),
        "deep JSON": (post(token, DEEP, length(DEEP)), False, {413}),
        "deep JSON that fits": (post(token, SMALL_DEEP, length(SMALL_DEEP)), False, {404, 422}),
        "a million digits": (post(token, DIGITS, length(DIGITS)), False, {413}),
        "as many digits as fit": (post(token, SMALL_DIGITS, length(SMALL_DIGITS)), False, {404, 422}),
    }  # fmt: skip


NAMES = tuple(cases(""))


@pytest.fixture(scope="module")
def desk(shared: Any) -> Any:
    shared.publisher().open()
    shared.up = shared.feed(FEED_BODY_DEADLINE_S="1", FEED_HEADER_DEADLINE_S="1")
    shared.bearer = shared.token()
    return shared


def send(port: int, raw: bytes, is_endless: bool) -> int:
    """Send all of it (``is_endless``: chunks, until told otherwise); return the status, 0 for none."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(raw)
            while is_endless:
                connection.sendall(CHUNK)
        except (ConnectionError, TimeoutError):
            pass
        try:
            while data := connection.recv(65_536):
                received += data
        except (ConnectionError, TimeoutError):
            pass
    return int(received.split()[1]) if received.startswith(b"HTTP/1.1 ") else 0


@pytest.mark.proves("row 19", "C7")
@pytest.mark.parametrize("name", NAMES)
def test_what_is_far_too_large_is_refused_and_not_kept(desk: Any, name: str, dose: Any) -> None:
    raw, is_endless, expected = cases(desk.bearer)[name]
    feed, before, statuses = desk.up, desk.up.rss_mib, set()

    with ThreadPoolExecutor(PARALLEL) as pool:
        for _ in range(dose(1, 20)):
            statuses |= set(pool.map(lambda _: send(feed.port, raw, is_endless), range(PARALLEL)))
    grown = feed.rss_mib - before
    print(f"{name}: {sorted(statuses)}, RSS +{grown:.1f} MiB")

    # A sender that goes on after the answer may lose it to a reset: 0 stands for that, and for being cut off.
    assert statuses <= expected | ({0} if is_endless or len(raw) > 60_000 else set())
    assert statuses - {0} or expected == {0, 408}
    assert grown < 50
    assert feed.is_up()
    assert b'"ok"' in feed.talk(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
