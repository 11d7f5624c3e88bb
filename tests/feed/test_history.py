"""Cursors over time: old ones, forged ones, ones of a log that was replaced; and the property that binds them all."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.clock import iso
from domain.vocabulary import Surface
from journal import Journal

FEED = "/api/signals/feed"


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def poll(client: httpx.Client, **params: Any) -> httpx.Response:
    return client.get(FEED, params={"wait": 0, **params})


def everything(client: httpx.Client, cursor: str, limit: int = 100) -> list[str]:
    found = []
    while True:
        answer = poll(client, cursor=cursor, limit=limit)
        found += ids(answer)
        cursor = answer.json()["next_cursor"]
        if not answer.json()["has_more"]:
            return found


def test_a_cursor_older_than_memory_is_served_from_disk(stage: Any) -> None:
    publisher = stage.publisher()
    client = stage.client(stage.feed(ring_lines=4), stage.token())
    cursor = poll(client, start="head").json()["next_cursor"]
    expected = [publisher.open() for _ in range(40)]
    stage.until(lambda: len(ids(poll(client, start="oldest"))) == 40)

    assert everything(client, cursor) == expected
    assert everything(client, cursor, limit=3) == expected


def test_a_start_in_time_begins_with_the_first_line_of_that_moment(stage: Any) -> None:
    publisher = stage.publisher()
    moments, opened = [], []
    for _ in range(5):
        moments.append(stage.clock.now())
        opened.append(publisher.open())
        stage.clock.advance(60)
    client = stage.client(stage.feed(), stage.token())

    assert ids(poll(client, start=iso(moments[3]))) == opened[3:]
    assert ids(poll(client, start=iso(moments[3] + timedelta(microseconds=1)))) == opened[4:]
    assert ids(poll(client, start=iso(stage.clock.now()))) == []
    assert ids(client.get(f"{FEED}?wait=0&start={moments[0].isoformat()}")) == opened  # with a bare plus sign


@pytest.mark.proves("F2")
def test_a_cursor_beyond_retention_is_gone_and_says_how_to_go_on(stage: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed(retention_days=2)
    client = stage.client(running, stage.token())
    cursor = poll(client, start="oldest").json()["next_cursor"]
    publisher.open()
    publisher.open()
    stage.clock.advance(3 * 86_400)
    young = publisher.open()
    stage.until(lambda: running.service.logs.sources["fx/signals"].head == publisher.signals.position)

    answer = poll(client, cursor=cursor)

    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_expired")
    assert answer.json()["missed_estimate"] >= 2
    assert everything(client, answer.json()["oldest_cursor"]) == [young]
    assert everything(client, answer.json()["head_cursor"]) == []


@pytest.mark.proves("F2", "F10")
@pytest.mark.parametrize("live", [False, True], ids=["restarted", "under a running feed"])
def test_a_restored_backup_is_noticed_and_the_client_finds_its_way(stage: Any, live: bool) -> None:
    publisher = stage.publisher()
    kept = publisher.open()
    publisher.signals.close()
    folder = stage.house.log("fx", "signals")
    backup = folder.with_name("backup")
    shutil.copytree(folder, backup)
    publisher.signals = Journal.open(folder, clock=stage.clock, durable=False)
    publisher.open()
    running = stage.feed()
    client = stage.client(running, stage.token())
    cursor = poll(client, start="oldest").json()["next_cursor"]
    publisher.signals.close()
    if not live:
        stage.stop(running)
    restore(backup, folder)
    if not live:
        running = stage.feed()
        client = stage.client(running, client.headers["authorization"].removeprefix("Bearer "))
    stage.until(lambda: poll(client, cursor=cursor).status_code == 410)

    ahead = poll(client, cursor=cursor)
    assert ahead.json()["code"] == "cursor_ahead"
    assert everything(client, ahead.json()["oldest_cursor"]) == [kept]

    publisher.signals = Journal.open(folder, clock=stage.clock, durable=False)
    others = [publisher.open() for _ in range(3)]
    stage.until(lambda: poll(client, cursor=cursor).json()["code"] == "epoch_changed")
    assert everything(client, ahead.json()["oldest_cursor"]) == [kept, *others]


def restore(backup: Path, folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    for path in backup.iterdir():
        if path.is_file():
            shutil.copy(path, folder)


@pytest.mark.proves("F2", "F10")
def test_a_log_begun_anew_is_another_epoch(stage: Any) -> None:
    publisher = stage.publisher()
    publisher.open()
    running = stage.feed()
    token = stage.token()
    cursor = poll(stage.client(running, token), start="oldest").json()["next_cursor"]
    stage.stop(running)
    publisher.signals.close()
    shutil.rmtree(stage.house.log("fx", "signals"))
    stage.clock.advance(1)
    publisher.signals = Journal.open(stage.house.log("fx", "signals"), clock=stage.clock, durable=False)
    anew = [publisher.open() for _ in range(5)]
    client = stage.client(stage.feed(), token)

    answer = poll(client, cursor=cursor)

    assert (answer.status_code, answer.json()["code"]) == (410, "epoch_changed")
    assert everything(client, answer.json()["oldest_cursor"]) == anew


def test_a_cursor_survives_a_restart_and_a_new_segment(stage: Any) -> None:
    publisher = stage.publisher()
    publisher.signals.close()
    publisher.signals = Journal.open(
        stage.house.log("fx", "signals"), clock=stage.clock, durable=False, segment_bytes=5_000
    )
    running, token = stage.feed(ring_lines=3), stage.token()
    client = stage.client(running, token)
    cursor = poll(client, start="oldest").json()["next_cursor"]
    expected = [publisher.open() for _ in range(20)]
    assert len(list(stage.house.log("fx", "signals").glob("0*.jsonl"))) > 2
    stage.stop(running)

    client = stage.client(stage.feed(ring_lines=3), token)

    assert everything(client, cursor, limit=4) == expected


def test_a_damaged_log_is_refused_and_served_again_once_mended(stage: Any) -> None:
    publisher = stage.publisher()
    publisher.open()
    path = stage.house.log("fx", "signals") / "000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + b"?" + whole[201:])
    running = stage.feed()
    client = stage.client(running, stage.token())
    path.write_bytes(whole)

    assert (poll(client, start="oldest").status_code, client.get("/healthz").status_code) in ((503, 503), (200, 200))
    stage.clock.advance(11)
    stage.until(lambda: client.get("/healthz").status_code == 200)
    assert len(ids(poll(client, start="oldest"))) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.sampled_from([Surface.FX, Surface.ST])),
        st.tuples(st.just("end"), st.sampled_from([Surface.FX, Surface.ST])),
        st.tuples(st.just("private"), st.just(Surface.FX)),
        st.tuples(st.just("poll"), st.integers(1, 4)),
        st.tuples(st.just("replay"), st.integers(0, 50)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=30,
)


class Follower:
    """A client that pages with its own cursor and remembers every page it was given."""

    def __init__(self, client: httpx.Client, cursor: str) -> None:
        self.client = client
        self.cursor = cursor
        self.seen: list[bytes] = []
        self.pages: list[tuple[str, int, list[bytes]]] = []

    def poll(self, limit: int) -> bool:
        lines, answer = self.fetch(self.cursor, limit)
        if lines:
            self.pages.append((self.cursor, limit, lines))
        self.seen += lines
        self.cursor = answer["next_cursor"]
        return answer["has_more"]

    def fetch(self, cursor: str, limit: int) -> tuple[list[bytes], dict[str, Any]]:
        answer = poll(self.client, cursor=cursor, limit=limit)
        assert answer.status_code == 200, answer.text
        text = answer.content.partition(b'{"items":[')[2].partition(b'],"expired":')[0]
        return (text.replace(b'},{"ts":', b'}\n{"ts":').split(b"\n") if text else []), answer.json()


@pytest.mark.proves("F1", "F2", "F3", "F4")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_no_line_is_missed_repeated_or_changed(stage: Any, steps: list[tuple[str, Any]]) -> None:
    """F1 to F4 and F6: cursor N then N' covers exactly what lies between them, and a replay gives the same bytes."""
    tokens = stage.token(Surface.FX, Surface.ST)
    running = stage.feed(ring_lines=3)
    follower = Follower(stage.client(running, tokens), "")
    follower.cursor = poll(follower.client, start="head").json()["next_cursor"]
    written: dict[str, list[bytes]] = {}
    opened: list[str] = []
    for step, value in steps:
        if step == "restart":
            stage.stop(running)
            running = stage.feed(ring_lines=3)
            follower.client = stage.client(running, tokens)
        elif step == "poll":
            follower.poll(value)
        elif step == "replay" and follower.pages:
            cursor, limit, lines = follower.pages[value % len(follower.pages)]
            again, _ = follower.fetch(cursor, limit)
            assert again[: len(lines)] == lines
        elif step in ("open", "end", "private"):
            publish(stage, step, value, opened, written)
        settle(stage, running)

    while follower.poll(3):
        pass

    for log, lines in written.items():
        mark = f'"log":"{log}"'.encode()
        assert [line for line in follower.seen if mark in line] == lines
    assert len(follower.seen) == sum(map(len, written.values()))
    stage.stop(running)


def publish(stage: Any, step: str, surface: Surface, opened: list[str], written: dict[str, list[bytes]]) -> None:
    publisher = stage.publisher(surface)
    stage.clock.advance(0.001)
    if step == "private":
        publisher.private()
    elif step == "end" and opened:
        written.setdefault(f"{surface}/resolutions", []).append(publisher.resolve(opened[-1]).raw)
    elif step == "open":
        opened.append(publisher.open())
        last = (stage.house.log(surface, "signals") / "000001.jsonl").read_bytes().splitlines()[-1]
        written.setdefault(f"{surface}/signals", []).append(last)


def settle(stage: Any, running: Any) -> None:
    """Return when the feed has read what was written."""
    for surface, publisher in stage.publishers.items():
        for name, journal in (("signals", publisher.signals), ("resolutions", publisher.resolutions)):
            source = running.service.logs.sources[f"{surface}/{name}"]
            stage.until(lambda source=source, journal=journal: source.head.seq == journal.position.seq)
