"""The long-poll: what is delivered, in which order, and when."""

import gzip
import json
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from domain.vocabulary import Surface

FEED = "/api/signals/feed"


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def poll(client: httpx.Client, **params: Any) -> httpx.Response:
    return client.get(FEED, params=params)


def in_background(function: Any, *args: Any, **kwargs: Any) -> "Future[Any]":
    pool = ThreadPoolExecutor(1)
    future = pool.submit(function, *args, **kwargs)
    pool.shutdown(wait=False)
    return future


@pytest.mark.proves("F6")
def test_items_are_the_very_bytes_on_disk(stage: Any) -> None:
    publisher = stage.publisher()
    first = publisher.open(thesis='quotes " and é and 💶')
    publisher.private()
    publisher.amend(first)
    client = stage.client(stage.feed(), stage.token())

    answer = poll(client, start="oldest", wait=0)

    lines = (stage.house.log("fx", "signals") / "000001.jsonl").read_bytes().splitlines()
    public = [line for line in lines if json.loads(line)["kind"] == "signal"]
    assert len(public) == 2
    assert answer.content.startswith(b'{"items":[' + b",".join(public) + b"],")
    assert b"strategy detail" not in answer.content


def test_an_answer_has_the_documented_fields(stage: Any) -> None:
    publisher = stage.publisher()
    publisher.open()
    client = stage.client(stage.feed(), stage.token())

    answer = poll(client, start="oldest", wait=0).json()

    expected = ["items", "expired", "next_cursor", "has_more", "logs", "server_time", "poll_after_ms"]
    assert list(answer) == expected
    head = publisher.signals.position
    assert answer["logs"]["fx/signals"] == {"seq": head.seq, "h": head.h, "sig": None}
    assert set(answer["logs"]) == {"fx/signals", "fx/resolutions"}
    assert answer["server_time"] == "2026-03-02T09:00:00.000000Z"


def test_logs_are_merged_by_time_and_each_keeps_its_order(stage: Any) -> None:
    publisher = stage.publisher()
    expected = []
    for _ in range(3):
        signal_id = publisher.open()
        stage.clock.advance(1)
        expected += [signal_id, publisher.close(signal_id).id]
        stage.clock.advance(1)
    client = stage.client(stage.feed(), stage.token())

    assert ids(poll(client, start="oldest", wait=0)) == expected


@pytest.mark.proves("F3")
def test_a_client_that_pages_sees_everything_once(stage: Any) -> None:
    publisher = stage.publisher()
    expected = [publisher.open() for _ in range(7)]
    client = stage.client(stage.feed(), stage.token())

    seen, params = [], {"start": "oldest"}
    for has_more in (True, True, True, False):
        answer = poll(client, **params, limit=2, wait=0)
        seen += ids(answer)
        params = {"cursor": answer.json()["next_cursor"]}
        assert answer.json()["has_more"] is has_more

    assert seen == expected


def test_a_waiting_client_is_woken_by_the_append_itself(stage: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed()
    client = stage.client(running, stage.token())
    waiting = in_background(poll, client, start="head", wait=20)
    running.until_waiting(1)

    begun = time.monotonic()
    signal_id = publisher.open()
    answer = waiting.result(5)

    assert ids(answer) == [signal_id]
    assert time.monotonic() - begun < 2


def test_the_log_may_come_to_be_while_a_client_waits(stage: Any) -> None:
    running = stage.feed()
    client = stage.client(running, stage.token())
    waiting = in_background(poll, client, start="head", wait=20)
    running.until_waiting(1)

    signal_id = stage.publisher().open()

    assert ids(waiting.result(5)) == [signal_id]


def test_a_private_record_wakes_nobody(stage: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed()
    client = stage.client(running, stage.token())
    waiting = in_background(poll, client, start="head", wait=20)
    running.until_waiting(1)

    position = publisher.private().position
    stage.until(lambda: running.service.logs.sources["fx/signals"].head == position)
    assert not waiting.done()

    signal_id = publisher.open()
    assert ids(waiting.result(5)) == [signal_id]


def test_a_line_the_feed_cannot_make_sense_of_is_served_all_the_same(stage: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed()
    client = stage.client(running, stage.token())
    odd = {"action": "open", "signal_id": 7, "expires_at": "soon"}

    receipt = publisher.signals.append("signal", surface="fx", mode="paper", fields=odd)
    known = publisher.open()
    stage.until(lambda: len(ids(poll(client, start="oldest", wait=0))) == 2)

    assert ids(poll(client, start="oldest", wait=0)) == [receipt.id, known]
    assert ids(client.get("/api/signals/open")) == [known]


def test_a_poll_that_ends_empty_gives_a_cursor_that_skips_nothing(stage: Any) -> None:
    publisher = stage.publisher()
    client = stage.client(stage.feed(), stage.token())

    begun = time.monotonic()
    empty = poll(client, start="head", wait="0.2")
    took = time.monotonic() - begun
    signal_id = publisher.open()

    assert ids(empty) == []
    assert took < 0.2 + 2
    assert ids(poll(client, cursor=empty.json()["next_cursor"], wait=5)) == [signal_id]


def test_all_who_wait_for_the_same_page_get_the_same_bytes(stage: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed()
    clients = [stage.client(running, stage.token()) for _ in range(10)]
    waiting = [in_background(poll, client, start="head", wait=20) for client in clients]
    running.until_waiting(10)
    assert len(running.call(running.service.poll.lot.groups)) == 1

    publisher.open()

    assert len({future.result(5).content for future in waiting}) == 1


def test_the_oldest_poll_of_a_token_makes_room_for_a_newer_one(stage: Any) -> None:
    running = stage.feed(parked_per_token=2)
    token = stage.token()
    first = in_background(poll, stage.client(running, token), start="head", wait=20)
    running.until_waiting(1)
    others = [in_background(poll, stage.client(running, token), start="head", wait=20) for _ in range(2)]

    assert ids(first.result(5)) == []
    running.until_waiting(2)
    running.call(running.service.drain)
    assert [ids(other.result(5)) for other in others] == [[], []]


def test_a_full_lot_sends_the_next_one_away(stage: Any) -> None:
    running = stage.feed(parked_total=1)
    waiting = in_background(poll, stage.client(running, stage.token()), start="head", wait=20)
    running.until_waiting(1)

    answer = poll(stage.client(running, stage.token()), start="head", wait=20)

    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) >= 1
    assert not waiting.done()


def test_a_client_that_goes_away_frees_its_place(stage: Any) -> None:
    running = stage.feed()
    with socket.create_connection(("127.0.0.1", running.server.port)) as connection:
        head = f"GET {FEED}?start=head&wait=50 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {stage.token()}\r\n\r\n"
        connection.sendall(head.encode())
        running.until_waiting(1)

    running.until_waiting(0)


def test_a_token_that_asks_too_often_is_told_when_to_come_back(stage: Any) -> None:
    client = stage.client(stage.feed(rate_per_min=6, burst=2), stage.token())

    answers = [poll(client, start="head", wait=0) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (answers[2].json()["code"], answers[2].headers["retry-after"]) == ("rate", "10")
    stage.clock.advance(10)
    assert poll(client, start="head", wait=0).status_code == 200


def test_pages_are_packed_only_when_asked_for_and_worth_it(stage: Any) -> None:
    stage.publisher().open()
    running, token = stage.feed(), stage.token()
    plain = stage.client(running, token, **{"accept-encoding": "identity"})
    packing = stage.client(running, token, **{"accept-encoding": "br, gzip"})

    with packing.stream("GET", FEED, params={"start": "oldest", "wait": 0}) as packed:
        raw = b"".join(packed.iter_raw())

    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == poll(plain, start="oldest", wait=0).content
    assert "content-encoding" not in poll(packing, start="head", wait=0).headers


@pytest.mark.proves("F7")
def test_an_open_is_flagged_once_it_must_not_be_executed_any_more(stage: Any) -> None:
    publisher = stage.publisher()
    old = publisher.open(ttl_s=600)
    stage.clock.advance(590)
    young = publisher.open(ttl_s=600)
    client = stage.client(stage.feed(), stage.token())

    assert poll(client, start="oldest", wait=0).json()["expired"] == []
    stage.clock.advance(10)
    at_ttl = poll(client, start="oldest", wait=0)
    assert at_ttl.json()["expired"] == [old]
    assert ids(at_ttl) == [old, young]


@pytest.mark.proves("F7")
@pytest.mark.parametrize("end", ["close", "resolve"])
def test_an_open_that_is_over_already_is_flagged_and_its_end_never_is(stage: Any, end: str) -> None:
    publisher = stage.publisher()
    signal_id = publisher.open()
    client = stage.client(stage.feed(), stage.token())
    ended = getattr(publisher, end)(signal_id)
    stage.until(lambda: len(ids(poll(client, start="oldest", wait=0))) == 2)

    stage.clock.advance(100_000)
    answer = poll(client, start="oldest", wait=0)

    assert ids(answer) == [signal_id, ended.id]
    assert answer.json()["expired"] == [signal_id]


@pytest.mark.proves("F8")
def test_a_token_sees_only_its_surfaces(stage: Any) -> None:
    mine = stage.publisher(Surface.FX).open()
    stage.publisher(Surface.ST).open()
    running = stage.feed()
    client = stage.client(running, stage.token(Surface.FX))
    both = stage.client(running, stage.token(Surface.FX, Surface.ST))

    assert ids(poll(client, start="oldest", wait=0)) == [mine]
    assert len(ids(poll(both, start="oldest", wait=0))) == 2
    assert ids(poll(both, start="oldest", wait=0, surface="fx")) == [mine]
    for path in (FEED + "?start=oldest&wait=0", "/api/signals/open", "/api/head"):
        content = client.get(path).content
        assert b'"st/' not in content
        assert b'"surface":"st"' not in content
    unseen = poll(client, start="oldest", wait=0, surface="st")
    no_such = poll(client, start="oldest", wait=0, surface="zz")
    assert (unseen.status_code, unseen.content) == (400, no_such.content)


def test_a_signal_of_another_surface_does_not_wake_a_filtered_poll(stage: Any) -> None:
    running = stage.feed()
    client = stage.client(running, stage.token(Surface.FX, Surface.ST))
    waiting = in_background(poll, client, start="head", wait=20, surface="fx")
    running.until_waiting(1)

    stage.publisher(Surface.ST).open()
    mine = stage.publisher(Surface.FX).open()

    assert ids(waiting.result(5)) == [mine]


def test_revoking_a_token_ends_its_waiting_poll_within_a_second(stage: Any) -> None:
    running = stage.feed()
    token = stage.token()
    waiting = in_background(poll, stage.client(running, token), start="head", wait=50)
    other = in_background(poll, stage.client(running, stage.token()), start="head", wait=50)
    running.until_waiting(2)

    begun = time.monotonic()
    stage.store.revoke(stage.store.list()[0].id, now=stage.clock.now())
    answer = waiting.result(5)

    assert (answer.status_code, answer.json()["code"]) == (401, "token")
    assert time.monotonic() - begun < 1
    assert not other.done()


def test_a_token_that_runs_out_ends_its_waiting_poll(stage: Any) -> None:
    running = stage.feed()
    token = stage.token(expires_at=stage.clock.now().replace(hour=10))
    waiting = in_background(poll, stage.client(running, token), start="head", wait=50)
    running.until_waiting(1)

    stage.clock.advance(3600)

    assert waiting.result(5).status_code == 401


def test_draining_answers_everybody_and_waits_for_nobody(stage: Any) -> None:
    running = stage.feed()
    client = stage.client(running, stage.token())
    waiting = in_background(poll, client, start="head", wait=50)
    running.until_waiting(1)

    running.call(running.service.drain)

    assert ids(waiting.result(1)) == []
    again = poll(client, cursor=waiting.result().json()["next_cursor"], wait=50)
    assert ids(again) == []
    assert 0 <= again.json()["poll_after_ms"] < 2000


def test_the_snapshot_holds_what_is_open_and_its_cursor_goes_on_from_there(stage: Any) -> None:
    publisher = stage.publisher()
    gone, kept = publisher.open(), publisher.open()
    publisher.amend(kept)
    stage.clock.advance(1)
    last_amend = publisher.amend(kept)
    publisher.close(gone)
    client = stage.client(stage.feed(), stage.token())

    snapshot = client.get("/api/signals/open")
    later = publisher.open()

    assert ids(snapshot) == [kept, last_amend.id]
    assert list(snapshot.json()) == ["items", "expired", "cursor", "logs", "server_time"]
    assert snapshot.content.count(last_amend.raw) == 1
    assert ids(poll(client, cursor=snapshot.json()["cursor"], wait=5)) == [later]


def test_an_outcome_that_was_only_seen_early_is_served_and_ends_nothing(stage: Any) -> None:
    publisher = stage.publisher()
    signal_id = publisher.open()
    seen = publisher.resolve(signal_id, provisional=True)
    running = stage.feed()
    client = stage.client(running, stage.token())
    stage.until(lambda: len(ids(poll(client, start="oldest", wait=0))) == 2)

    answer = poll(client, start="oldest", wait=0)

    assert (ids(answer), answer.json()["expired"]) == ([signal_id, seen.id], [])
    assert ids(client.get("/api/signals/open")) == [signal_id]
    assert running.service.logs.board.ended_at(signal_id) is None


def test_an_unchanged_snapshot_is_not_sent_again(stage: Any) -> None:
    publisher = stage.publisher()
    publisher.open()
    client = stage.client(stage.feed(), stage.token())
    tag = client.get("/api/signals/open").headers["etag"]

    stage.clock.advance(1)
    same = client.get("/api/signals/open", headers={"if-none-match": tag})
    stage.clock.advance(600)
    expired = client.get("/api/signals/open", headers={"if-none-match": tag})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert expired.status_code == 200
    assert len(expired.json()["expired"]) == 1
