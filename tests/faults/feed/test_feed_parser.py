"""Requests built to be read in two ways, or to write a line of their own into a log."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

SIGNAL = "sig_01KJPWD6M0A7Y455M94DQKKMM3"
ACK = f"/api/signals/{SIGNAL}/ack"
BODY = b'{"at":"2026-03-02T09:00:00Z","decision":"accept"}'
FORGED = "forged-by-a-stranger"
# What the answers may be. 0 is a connection closed without a word.
REFUSED = {0, 400, 401, 404, 405, 408, 411, 413, 414, 415, 417, 422, 426, 431, 501, 505}

LENGTHS = (
    b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 4",
    b"Content-Length: 4\r\nContent-Length: 5", b"Content-Length: 4\r\ncontent-length: 4", b"Content-Length: 4, 4",
    b"Content-Length: 4,5", b"Content-Length: +4", b"Content-Length: -4", b"Content-Length: 0x4",
    b"Content-Length: 4 4",
    b"Content-Length: 4_0", b"Content-Length: \xb2", b"Content-Length: 99999999999999999999999", b"Content-Length:",
    b"Content-Length : 4", b"Content-Length\t: 4", b" Content-Length: 4", b"Content-Length: 4\x00",
    b"Content-Length: 4\x0b", b"Content-Length: four", b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, x",
    b"Transfer-Encoding: x, chunked", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding: chunked\r\n chunked", b"X: y\r\n Transfer-Encoding: chunked",
    b"Transfer-Encoding: 'chunked'", b"Transfer-Encoding: chunKed\x00", b"Transfer\xffEncoding: chunked",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked;q=1", b"TRANSFER_ENCODING: chunked",
)  # fmt: skip
CHUNKS = (
    b"5;\n\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\nx", b" 5\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n", b"5\r\r\nhello\r\n0\r\n\r\n", b"\r\n0\r\n\r\n", b"0\r\nContent-Length: 4\r\n\r\n",
    b"5_0\r\nhello\r\n0\r\n\r\n", b"5\x00\r\nhello\r\n0\r\n\r\n", b"z\r\n", b"0\r\nX: a\nY: b\r\n\r\n",
)  # fmt: skip
LINES = (
    b"GET {} HTTP/0.9", b"GET {}", b"GET {} HTTP/1.1 x", b"GET {} HTTP/2.0", b"GET {} HTTP/11.1", b"GET {} http/1.1",
    b"GET  {} HTTP/1.1", b"GET\t{}\tHTTP/1.1", b"GET {} HTTP/1.1\x00", b"GET {}\x00 HTTP/1.1", b"\x00GET {} HTTP/1.1",
    b"GET {} HTTP/1", b"GET {} HTTP/1.1\r", b"get {} HTTP/1.1", b"G\x00T {} HTTP/1.1", b"GET\r\n {} HTTP/1.1",
    b"PRI * HTTP/2.0", b"CONNECT 127.0.0.1:22 HTTP/1.1", b"CONNECT {} HTTP/1.1", b"TRACE {} HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"GET * HTTP/1.1", b"GET http://other/{} HTTP/1.1", b"GET //other{} HTTP/1.1", b"GET {}#x HTTP/1.1",
    b"GET {}?\xff HTTP/1.1", b"GET \xff HTTP/1.1", b"GET {}%00 HTTP/1.1", b"GET {}%zz HTTP/1.1",
    b"GET {}%0d%0aX:1 HTTP/1.1",
    b"GET {}%0a%0d%22 HTTP/1.1", b"GET {}\\..\\..\\etc HTTP/1.1", b"GET {}/../../../../etc/passwd HTTP/1.1",
    b"GET {}/..%2f..%2fopen HTTP/1.1", b"GET {}/%2e%2e/open HTTP/1.1", b"GET {};/x HTTP/1.1", b"GET {}%c0%af HTTP/1.1",
    b"A" * 5_000 + b" {} HTTP/1.1", b"SUBSCRIBE {} HTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"M-SEARCH {} HTTP/1.1",
)  # fmt: skip
HEADERS = (
    b"X: a\r\n\tb", b"X: a\r\n b: c", b"X: a\nY: b", b"X: a\rY: b", b"X: a\x00b", b"X\x00: a", b": a", b"X", b"X y: a",
    b"X: \x7f\x1b[31mred", b"X:\x0b\x0c", b"\xff\xfe: a", b"X: \xff\xfe", b"X: " + b"a" * 40_000, b"Host: a\r\nHost: b",
    b"Expect: 100-continue", b"Expect: something",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAA\r\nSec-WebSocket-Version: 13",
    b"Connection: close, keep-alive", b"Connection: Content-Length", b"Range: bytes=0-18446744073709551615",
    b"Authorization: Bearer a\r\nAuthorization: Bearer b", b"Authorization: Bearer \xc3\xa9",
    b"Authorization: Basic " + b"A" * 9_000,
    b"Accept-Encoding: gzip;q=\xff", b"If-None-Match: \x01",
    b"Content-Type: application/json\r\nContent-Type: text/plain",
    b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: javascript", b"Cookie: " + b";" * 9_000,
    f"X: a\r\n{FORGED}".encode(), f'X: {{"event":"{FORGED}"}}'.encode(), f"X: a\n{{\"event\":\"{FORGED}\"}}".encode(),
    f"User-Agent: a\x0b\x85\u2028{FORGED}".encode(), f"X-Forwarded-For: 1.2.3.4\n{FORGED}".encode(),
)  # fmt: skip
TARGETS = (b"/api/head", b"/healthz", b"/api/signals/feed?start=head&wait=0", b"/api/signals/open")


def posts(kind: str, parts: tuple[bytes, ...], token: bytes) -> list[bytes]:
    fixed = b"POST " + ACK.encode() + b" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token
    fixed += b"\r\nContent-Type: application/json\r\n"
    smuggled = b"GET /api/head HTTP/1.1\r\nHost: x\r\nX: " + FORGED.encode() + b"\r\n\r\n"
    if kind == "lengths":
        return [
            fixed + part + b"\r\n\r\n" + rest for part in parts for rest in (b"0\r\n\r\n" + smuggled, BODY + smuggled)
        ]
    return [fixed + b"Transfer-Encoding: chunked\r\n\r\n" + part + smuggled for part in parts]


def gets(token: bytes) -> list[bytes]:
    rest = b"\r\nHost: x\r\nAuthorization: Bearer " + token + b"\r\n\r\n"
    lines = [line.replace(b"{}", TARGETS[index % 4].partition(b"?")[0]) + rest for index, line in enumerate(LINES)]
    head = b" HTTP/1.1\r\nHost: x\r\n"
    return lines + [b"GET " + target + head + one + b"\r\n\r\n" for target, one in itertools.product(TARGETS, HEADERS)]


def statuses(received: bytes) -> list[int]:
    """Return the statuses in a stream of answers; whatever else stands in it fails."""
    found = []
    while received:
        head, split, rest = received.partition(b"\r\n\r\n")
        assert split, received[:200]
        assert head.startswith(b"HTTP/1.1 "), head[:200]
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        status = int(head.split()[1])
        found.append(status)
        received = rest if status < 200 else rest[int(lines.get(b"content-length", b"0")) :]
    return found


@pytest.fixture(scope="module")
def desk(shared: Any) -> Any:
    shared.publisher().open()
    shared.up = shared.feed(FEED_HEADER_DEADLINE_S="0.3", FEED_BODY_DEADLINE_S="0.3", FEED_KEEP_ALIVE_S="1")
    shared.bearer = shared.token().encode()
    return shared


def ask_all(desk: Any, raws: list[bytes]) -> list[list[int]]:
    """Send each on a connection of its own and return the statuses of what came back until the feed closed it."""
    with ThreadPoolExecutor(32) as pool:
        return list(pool.map(lambda raw: statuses(desk.up.talk(raw, timeout_s=10)), raws))


def every_log_line(desk: Any) -> list[bytes]:
    """Return the lines of everything that is written while strangers talk: the process log and every journal."""
    lines = desk.up.log.read_bytes().split(b"\n")
    for path in desk.house.logs.rglob("*.jsonl"):
        lines += path.read_bytes().split(b"\n")
    return [line for line in lines if line]


@pytest.mark.proves("row 21", "C7")
@pytest.mark.parametrize("kind", ["lengths", "chunks", "lines and headers"])
def test_what_can_be_read_in_two_ways_is_refused_and_forges_nothing(desk: Any, kind: str, dose: Any) -> None:
    raws = {
        "lengths": lambda: posts("lengths", LENGTHS, desk.bearer),
        "chunks": lambda: posts("chunks", CHUNKS, desk.bearer),
        "lines and headers": lambda: gets(desk.bearer),
    }[kind]()
    stored = desk.callback_lines()

    for _ in range(dose(1, 5)):
        for raw, found in zip(raws, ask_all(desk, raws), strict=True):
            assert all(status < 500 for status in found), (raw[:300], found)
            if kind != "lines and headers":
                assert set(found[:1]) <= REFUSED | {100}, (raw[:300], found)

    assert desk.up.is_up()
    assert desk.callback_lines() == stored
    for line in every_log_line(desk):
        assert isinstance(json.loads(line), dict), line
        assert not line.startswith(b"forged")
        assert not any(byte < 0x20 or byte > 0x7E for byte in line), line


@pytest.mark.proves("row 21")
def test_a_refused_request_is_never_followed_by_what_was_smuggled_in_it(desk: Any) -> None:
    """Where the length is in doubt, nothing after it on the connection may be taken for a request."""
    doubtful = [part for part in LENGTHS if b"ontent" in part and b"ransfer" in part]
    raws = posts("lengths", tuple(doubtful), desk.bearer)

    answers = ask_all(desk, raws)

    assert len(raws) >= 4
    assert all(len(found) <= 1 and set(found) <= {400} for found in answers), answers


def test_there_are_two_hundred_cases(desk: Any) -> None:
    assert len(posts("lengths", LENGTHS, b"") + posts("chunks", CHUNKS, b"") + gets(b"")) >= 200
