"""The boundary: what strangers may send, and what they get for anything else."""

import gzip
import json
import socket
import time
from typing import Any

import httpx
import pytest

from domain.vocabulary import Surface
from feed.app import api
from feed.tokens import Scope, create

AT = "2026-03-02T09:00:00Z"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def desk(shared_stage: Any) -> Any:
    shared_stage.signal_id = shared_stage.publisher().open()
    shared_stage.up = shared_stage.feed()
    shared_stage.http = shared_stage.client(shared_stage.up, shared_stage.token())
    shared_stage.path = f"/api/signals/{shared_stage.signal_id}/ack"
    return shared_stage


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "parameter"),
        ("start=head&cursor=x", "parameter"),
        ("start=yesterday", "parameter"),
        ("start=2026-03-02T09:00:00", "parameter"),
        ("start=0001-01-01T00:00:00%2B14:00", "parameter"),
        ("start=head&start=head", "parameter"),
        ("start=head&wait=56", "parameter"),
        ("start=head&wait=-1", "parameter"),
        ("start=head&wait=nan", "parameter"),
        ("start=head&wait=1e1", "parameter"),
        ("start=head&wait=%D9%A1", "parameter"),
        ("start=head&limit=0", "parameter"),
        ("start=head&limit=501", "parameter"),
        ("start=head&limit=1.5", "parameter"),
        ("start=head&wait=1&wait=2", "parameter"),
        ("start=head&surface=zz", "parameter"),
        ("start=head&surfaces=fx", "parameter"),
        ("start=%ff", "parameter"),
        ("&".join(["surface=fx"] * 40), "parameter"),
        ("cursor=", "cursor_invalid"),
        ("cursor=hello", "cursor_invalid"),
        ("cursor=" + "A" * 200, "cursor_invalid"),
        ("cursor=" + "A" * 4000, "cursor_invalid"),
    ],
)
def test_a_bad_query_is_400(desk: Any, query: str, code: str) -> None:
    answer = desk.http.get(f"/api/signals/feed?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_cursor_holds_only_for_the_surfaces_it_was_made_for(desk: Any) -> None:
    both = desk.client(desk.up, desk.token(Surface.FX, Surface.ST))
    cursor = both.get("/api/signals/feed?start=head&wait=0").json()["next_cursor"]

    for client, extra in ((both, "&surface=fx"), (desk.http, "")):
        answer = client.get(f"/api/signals/feed?cursor={cursor}&wait=0{extra}")
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor_filter")
    assert both.get(f"/api/signals/feed?cursor={cursor}&wait=0&surface=st&surface=fx").status_code == 200


def test_every_changed_letter_of_a_cursor_is_noticed(desk: Any) -> None:
    cursor = desk.http.get("/api/signals/feed?start=head&wait=0").json()["next_cursor"]

    for index in range(0, len(cursor), 7):
        forged = cursor[:index] + ("A" if cursor[index] != "A" else "B") + cursor[index + 1 :]
        answer = desk.http.get(f"/api/signals/feed?cursor={forged}&wait=0")
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid")


@pytest.mark.parametrize(
    "path", ["/api/signals/feed?start=head&wait=0", "/api/signals/open", "/api/head", "/api/aggregate"]
)
def test_no_valid_token_is_401(desk: Any, path: str) -> None:
    unknown, _ = create()
    revoked = desk.token()
    desk.store.revoke(desk.store.list()[-1].id, now=desk.clock.now())
    early = desk.token(not_before=desk.clock.now().replace(year=2027))
    over = desk.token(expires_at=desk.clock.now())
    desk.up.call(desk.up.service.guard.refresh)

    for value in (
        "",
        "Bearer",
        f"Basic {unknown}",
        "Bearer é",
        *(f"Bearer {one}" for one in (unknown, revoked, early, over)),
    ):
        answer = httpx.get(desk.up.url + path, headers=[(b"authorization", value.encode())])
        assert (answer.status_code, answer.json()["code"]) == (401, "token")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_scope_that_is_missing_is_403(desk: Any) -> None:
    writer = desk.client(desk.up, desk.token(scopes=(Scope.CALLBACK_WRITE,)))

    assert writer.get("/api/signals/feed?start=head&wait=0").json()["code"] == "scope"
    assert writer.get("/api/head").status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/api/signals/feed/", 404),
        ("GET", "/api/signals/..%2fopen", 404),
        ("POST", "/api/signals/feed", 405),
        ("HEAD", "/api/signals/feed", 405),
        ("DELETE", "/api/signals/open", 405),
        ("GET", "/api/signals/sig_0/ack", 405),
        ("PUT", "/healthz", 405),
        ("POST", "/api/signals/sig_0/ack", 422),
        ("POST", "/api/signals/SIG_01KJPWD6M0A7Y455M94DQKKMM3/ack", 422),
        ("POST", "/api/signals/sig_01KJPWD6M0A7Y455M94DQKKMM3/nack", 404),
    ],
)
def test_wrong_paths_and_methods(desk: Any, method: str, path: str, status: int) -> None:
    answer = desk.http.request(method, path, headers=JSON)

    assert answer.status_code == status
    if status == 405:
        assert answer.headers["allow"]


def ack(rest: bytes) -> bytes:
    return b'{"at":"2026-03-02T09:00:00Z",' + rest + b"}"


@pytest.mark.proves("C7")
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"at":"\xff"}', b"[" * 16_000, b'{"a":' * 3_000,
        b'{"rev":' + b"9" * 5_000 + b"}", b'{"at":NaN}', b'{"decision":"accept"}',
        b'{"at":"2026-03-02T09:00:00","decision":"accept"}', b'{"at":1772442000,"decision":"accept"}',
        b'{"at":"0001-01-01T00:00:00+14:00","decision":"accept"}',
        ack(b'"decision":"maybe"'), ack(b'"decision":"skip"'), ack(b'"decision":"skip","reason":" "'),
        ack(b'"decision":"accept","x":1'), ack(b'"decision":"accept","rev":-1'), ack(b'"decision":"accept","rev":"0"'),
        ack(b'"decision":"accept","rev":true'), ack(b'"decision":"accept","reason":"\\ud800"'),
        b"\xef\xbb\xbf" + ack(b'"decision":"accept"'), ack(b'"decision":"accept"').decode().encode("utf-16"),
        ack(b'"decision":"skip","decision":"accept"'), ack(b'"decision":"accept","at":"2026-03-02T09:00:00Z"'),
        ack(b'"decision":"accept","rev":NaN'), ack(b'"decision":"accept","rev":-Infinity'),
        ack(b'"decision":"accept","rev":1e999'), ack(b'"decision":"accept","rev":0.' + b"0" * 15_000),
        ack(b'"decision":"accept","x":' + b"[" * 33 + b"]" * 33), b'"' + b"\\" * 16_000,
        ack(b'"decision":"accept","reason":"\\u0000"'), ack(b'"decision":"accept","reason":"' + b"x" * 201 + b'"'),
    ],
)  # fmt: skip
def test_a_malformed_report_is_422(desk: Any, body: bytes) -> None:
    before = desk.callback_lines()

    answer = desk.http.post(desk.path, content=body, headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert desk.callback_lines() == before


@pytest.mark.proves("C7")
@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-1", "0", "1e99", "1e-13", "1_0", " 1", "", "ten", "٣", 1, 1.5, None, [], "9" * 41]
)
def test_a_quantity_that_is_no_positive_decimal_string_is_422(desk: Any, value: Any) -> None:
    body = {"at": AT, "fill_id": "f", "quantity": value, "price": "1", "ordered_quantity": "1"}

    assert desk.http.post(f"/api/signals/{desk.signal_id}/executed", json=body).status_code == 422


@pytest.mark.proves("C7")
def test_a_body_that_is_not_json_is_415_and_one_too_large_413(desk: Any) -> None:
    padded = json.dumps({"at": AT, "decision": "accept", "reason": "x"}).encode() + b" " * 16_384

    def chunks() -> Any:
        yield padded[:9_000]
        yield padded[9_000:]

    assert desk.http.post(desk.path, content=b"at=1").status_code == 415
    assert desk.http.post(desk.path, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert desk.http.post(desk.path, content=padded, headers=JSON).status_code == 413
    assert desk.http.post(desk.path, content=chunks(), headers=JSON).status_code == 413
    assert desk.http.post(
        desk.path, content=padded[:16_384], headers={"content-type": "application/json; charset=utf-8"}
    ).is_success


@pytest.mark.proves("C7")
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "application/json", "content-encoding": "br"}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "application/jsonp"}, 415),
        ({"content-type": "application/json, application/json"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": 'Application/JSON ; charset="UTF-8"'}, 422),
        ({"content-type": "application/json", "content-encoding": "identity"}, 422),
    ],
)
def test_a_body_must_be_plain_json_in_utf_8(desk: Any, headers: dict[str, str], status: int) -> None:
    packed = gzip.compress(b" " * 1_000_000)  # small enough to be taken, if it were not for what it says

    assert desk.http.post(desk.path, content=packed, headers=headers).status_code == status


@pytest.mark.proves("C7")
def test_a_body_without_an_end_is_cut_off_as_soon_as_it_is_too_large(desk: Any) -> None:
    head = f"POST {desk.path} HTTP/1.1\r\nhost: x\r\nauthorization: {desk.http.headers['authorization']}\r\n"
    head += "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"

    assert b" 413 " in talk(desk.up, head.encode(), *[chunk] * 5)


def test_brackets_inside_a_text_are_no_nesting(desk: Any) -> None:
    body = ack(b'"decision":"skip","reason":"' + b"[" * 100 + b'"')

    path = f"/api/signals/{desk.publisher().open()}/ack"

    desk.until(lambda: desk.http.post(path, content=body, headers=JSON).status_code == 201)


def test_an_announced_giant_is_refused_before_it_is_sent(desk: Any) -> None:
    head = f"POST {desk.path} HTTP/1.1\r\nhost: x\r\nauthorization: {desk.http.headers['authorization']}\r\n"
    head += "content-type: application/json\r\ncontent-length: 300000000\r\n\r\n"

    assert b" 413 " in talk(desk.up, head.encode())


@pytest.mark.parametrize(
    "path", ["/api/signals/feed?start=oldest&wait=0", "/api/signals/open", "/nope", "/healthz", "/api/head"]
)
def test_every_answer_is_kept_by_nobody_and_names_no_software(desk: Any, path: str) -> None:
    headers = desk.http.get(path).headers

    assert headers["cache-control"] == "no-store"
    assert "authorization" in headers["vary"].lower()
    assert headers["x-accel-buffering"] == "no"
    assert "server" not in headers
    assert "uvicorn" not in str(headers).lower()


def test_the_schema_describes_every_route_and_is_shown_only_on_request(stage: Any) -> None:
    running = stage.feed(docs=True)

    schema = httpx.get(running.url + "/openapi.json").json()

    assert schema == api(running.service).openapi()
    assert set(schema["paths"]) == {
        "/api/signals/feed", "/api/signals/open", "/api/head", "/api/keys", "/api/checkpoint", "/api/aggregate",
        "/healthz", "/api/signals/stream",
        "/api/signals/{signal_id}/ack", "/api/signals/{signal_id}/executed", "/api/signals/{signal_id}/resolved",
    }  # fmt: skip
    body = schema["paths"]["/api/signals/{signal_id}/executed"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["additionalProperties"] is False
    assert body["schema"]["properties"]["quantity"]["type"] == "string"


def test_a_spoilt_list_of_subscribers_closes_the_door_until_it_is_mended(desk: Any) -> None:
    whole = desk.house.subscribers.read_bytes()
    desk.house.subscribers.write_bytes(whole[:-20])
    desk.up.call(desk.up.service.guard.refresh)

    shut = desk.http.get("/api/head")
    assert (shut.status_code, shut.json()["code"]) == (503, "subscribers")
    assert shut.headers["retry-after"]
    assert desk.http.get("/healthz").json()["problems"] == ["subscribers cannot be checked"]

    desk.house.subscribers.write_bytes(whole)
    desk.until(lambda: desk.http.get("/api/head").status_code == 200)


def talk(running: Any, *pieces: bytes) -> bytes:
    """Send pieces, then read until the other side ends the connection."""
    with socket.create_connection(("127.0.0.1", running.server.port), timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        found = b""
        try:
            while data := connection.recv(65_536):
                found += data
        except ConnectionResetError:
            pass
        return found


def test_a_head_or_body_that_does_not_arrive_ends_the_connection_and_a_poll_does_not(stage: Any) -> None:
    stage.publisher()
    running = stage.feed(header_deadline_s=0.2, body_deadline_s=0.2)
    token = stage.token()

    begun = time.monotonic()
    assert talk(running) == b""
    assert talk(running, b"GET / HTTP/1.1\r\nhost:") == b""
    post = (
        f"POST /api/signals/sig_01KJPWD6M0A7Y455M94DQKKMM3/ack HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    )
    late = talk(running, post.encode() + b"content-type: application/json\r\ncontent-length: 9\r\n\r\n{")
    assert late.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - begun < 5

    poll = stage.client(running, token).get("/api/signals/feed?start=head&wait=0.6")
    assert poll.status_code == 200


def test_an_endless_head_is_cut_off(desk: Any) -> None:
    assert talk(desk.up, b"GET / HTTP/1.1\r\nx: ", b"a" * 40_000).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "raw",
    [
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GARBAGE\r\n\r\n",
    ],
)
def test_ambiguous_requests_are_refused(desk: Any, raw: bytes) -> None:
    assert talk(desk.up, raw).startswith(b"HTTP/1.1 400 ")
