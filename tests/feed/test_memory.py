"""What the feed keeps in memory, what it lets go of, and what it need not read again after a restart."""

import json
import random
import shutil
from typing import Any

import httpx
import pytest

from domain.vocabulary import Surface
from feed import aggregates, keepsake
from feed.board import Board
from feed.lines import public
from feed.memory import records
from feed.tokens import Scope
from journal import Journal, read

AT = "2026-03-02T09:00:00Z"
FEED = "/api/signals/feed"
DAY = 86_400


def report(client: httpx.Client, signal_id: str, stage: str, **body: Any) -> int:
    return client.post(f"/api/signals/{signal_id}/{stage}", json={"at": AT, **body}).status_code


def ack(client: httpx.Client, signal_id: str, **body: Any) -> int:
    return report(client, signal_id, "ack", **{"decision": "accept", **body})


def fill(client: httpx.Client, signal_id: str, fill_id: str = "f", price: str = "1.1003", **body: Any) -> int:
    order = {"fill_id": fill_id, "quantity": "5", "price": price, "ordered_quantity": "10"}
    return report(client, signal_id, "executed", **{**order, **body})


def end(client: httpx.Client, signal_id: str, realised: str = "1.25", **body: Any) -> int:
    outcome = {"realised": realised, "currency": "USD", "quantity": "5", "price": "1.2", "reason": "tp"}
    return report(client, signal_id, "resolved", **{**outcome, **body})


def crash(stage: Any, running: Any) -> None:
    """End a feed without the memory it writes at a clean end: what the file held before stays."""
    path = stage.house.feed_memory
    before = path.read_bytes() if path.exists() else None
    stage.stop(running)
    if before is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(before)


def tidy(running: Any) -> None:
    """Let go of what is old now, as housekeeping does every ten minutes."""
    running.call(running.service._forget)


def whole_board(stage: Any) -> Board:
    """Fold everything the logs ever held."""
    board = Board()
    for surface in (Surface.FX, Surface.ST):
        for stream in ("signals", "resolutions"):
            for entry in read(stage.house.log(surface, stream)):
                line = public(f"{surface}/{stream}", entry)
                if line is not None:
                    board.take(line, entry.ts)
    return board


def told(board: Board, signal_ids: list[str]) -> list[Any]:
    return [(board.signal(one), board.ended_at(one)) for one in signal_ids]


def recomputed(stage: Any, cohort_min: int = 1) -> str:
    """Compute the aggregates from the journals alone."""
    stored = records(read(stage.house.log("feed", "callbacks")))
    find = whole_board(stage).signal
    return json.dumps(aggregates.of_records(stored, find, cohort_min=cohort_min, now=stage.clock.now()))


def shown(stage: Any, running: Any) -> str:
    operator = stage.client(running, stage.token(scopes=(Scope.ADMIN_READ,)))
    return json.dumps(operator.get("/api/aggregate").json())


def until_read(running: Any, publisher: Any) -> None:
    for stream, journal in (("signals", publisher.signals), ("resolutions", publisher.resolutions)):
        source = running.service.logs.sources[f"{publisher.surface}/{stream}"]
        while source.head.seq < journal.position.seq:
            pass


@pytest.mark.proves("F4")
@pytest.mark.parametrize("is_clean", [True, False])
def test_a_restart_shows_the_same_without_reading_from_the_beginning(stage: Any, is_clean: bool) -> None:
    publisher = stage.publisher()
    running = stage.feed(ring_lines=5)
    token = stage.token()
    client = stage.client(running, token)
    cursor = client.get(FEED, params={"start": "head", "wait": 0}).json()["next_cursor"]
    opened = [publisher.open() for _ in range(40)]
    publisher.amend(opened[7])
    for signal_id in opened[10:30]:
        publisher.close(signal_id)
    until_read(running, publisher)
    assert ack(client, opened[0]) == 201
    before = client.get("/api/signals/open").json()
    if is_clean:
        stage.stop(running)
    else:
        crash(stage, running)
    later = publisher.open()

    again = stage.feed(ring_lines=5)
    client = stage.client(again, token)
    after = client.get("/api/signals/open").json()
    polled = client.get(FEED, params={"cursor": cursor, "wait": 0, "limit": 500}).json()

    assert again.service.logs.sources["fx/signals"].ring.base.seq > (20 if is_clean else -1)
    assert after["items"][:-1] == before["items"]
    assert after["items"][-1]["id"] == later
    assert len(polled["items"]) == 40 + 1 + 20 + 1
    assert ack(client, opened[0]) == 200
    assert told(again.service.logs.board, opened) == told(whole_board(stage), opened)
    assert len(again.service.logs.board) == len(opened) + 1


@pytest.mark.parametrize(
    "spoiling", ["not json", "cut short", "other version", "log replaced", "log cut", "callbacks replaced", "days"]
)
def test_what_was_kept_is_not_believed_when_the_logs_say_otherwise(stage: Any, spoiling: str) -> None:
    publisher = stage.publisher()
    running = stage.feed()
    token = stage.token()
    opened = [publisher.open() for _ in range(5)]
    until_read(running, publisher)
    ack(stage.client(running, token), opened[0])
    stage.stop(running)
    path = stage.house.feed_memory
    first, *parts = path.read_text().splitlines()
    kept = json.loads(first)
    kept["board"]["opens"] = []  # would be seen if it were believed
    days = 30
    if spoiling == "other version":
        kept["version"] = 0
    elif spoiling == "days":
        days = 60
    elif spoiling == "cut short":
        parts = []
    path.write_text("{" if spoiling == "not json" else "\n".join([json.dumps(kept), *parts]))
    if spoiling in ("log replaced", "log cut"):
        publisher.end()
        del stage.publishers[Surface.FX]
        shutil.rmtree(stage.house.log("fx", "signals"))
        opened = [stage.publisher().open() for _ in range(5 if spoiling == "log replaced" else 2)]
    elif spoiling == "callbacks replaced":
        shutil.rmtree(stage.house.log("feed", "callbacks"))

    again = stage.feed(retention_days=days)

    items = stage.client(again, token).get("/api/signals/open").json()["items"]
    assert [item["id"] for item in items] == opened


def test_a_memory_nobody_touched_is_believed(stage: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed()
    token = stage.token()
    publisher.open()
    until_read(running, publisher)
    stage.stop(running)
    path = stage.house.feed_memory
    first, *parts = path.read_text().splitlines()
    kept = json.loads(first)
    kept["board"]["opens"] = []
    path.write_text("\n".join([json.dumps(kept), *parts]))

    again = stage.feed()

    assert stage.client(again, token).get("/api/signals/open").json()["items"] == []


def test_signals_that_ended_long_ago_are_let_go_and_open_ones_never(stage: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed(retention_days=2)
    client = stage.client(running, stage.token())
    over, still_open = publisher.open(), publisher.open(ttl_s=900 * DAY)
    until_read(running, publisher)
    for signal_id in (over, still_open):
        assert ack(client, signal_id) == 201
    publisher.close(over)
    stage.clock.advance(3 * DAY)
    fresh = publisher.open()
    until_read(running, publisher)

    tidy(running)

    board = running.service.logs.board
    assert (board.is_known(over), board.is_known(still_open), board.is_known(fresh)) == (False, True, True)
    assert len(board) == 2
    assert [item["id"] for item in client.get("/api/signals/open").json()["items"]] == [still_open, fresh]
    assert (ack(client, over), ack(client, still_open), fill(client, still_open)) == (404, 200, 201)
    assert len(running.service.inbox.threads) == 1


@pytest.mark.proves("C6")
def test_aggregates_after_letting_go_are_those_of_the_whole_journal(stage: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed(retention_days=2, cohort_min=1)
    tokens = [stage.token() for _ in range(3)]
    clients = [stage.client(running, token) for token in tokens]
    over, parked = publisher.open(), publisher.open()
    until_read(running, publisher)
    for number, client in enumerate(clients):
        assert ack(client, over) == 201
        assert fill(client, over, price=f"1.1{number}") == 201
        assert end(client, over, realised=f"{number}.105") == 201
        assert end(client, parked) == 202
    publisher.close(over)
    publisher.close(parked)
    stage.clock.advance(3 * DAY)
    before = shown(stage, running)
    tidy(running)
    after = shown(stage, running)
    stage.stop(running)
    again = stage.feed(retention_days=2, cohort_min=1)

    assert running.service.inbox.threads == {}
    assert json.loads(before)["surfaces"][0]["parked_overdue"] == 3
    assert before == after == shown(stage, again) == recomputed(stage)
    assert again.service.inbox.threads == {}


@pytest.mark.proves("C6", "row 23")
def test_aggregates_hold_through_random_days_of_reports_crashes_and_letting_go(stage: Any, dose: Any) -> None:
    generator = random.Random(20)
    publisher = stage.publisher()
    tokens = [stage.token() for _ in range(3)]
    running = stage.feed(retention_days=1, cohort_min=1)
    clients = [stage.client(running, token) for token in tokens]
    signals: list[str] = []
    restarts = 0
    for _ in range(dose(120, 1_000)):
        step = generator.random()
        client = generator.choice(clients)
        recent = generator.choice(signals[-12:]) if signals else ""
        if step < 0.15 or not signals:
            signals.append(publisher.open())
        elif step < 0.25:
            publisher.close(recent)
        elif step < 0.40:
            ack(client, recent, rev=generator.randrange(2))
        elif step < 0.60:
            fill(client, recent, fill_id=generator.choice("ab"), rev=generator.randrange(2))
        elif step < 0.75:
            end(client, recent, realised=str(generator.randrange(-300, 300) / 100), rev=generator.randrange(2))
        elif step < 0.85:
            stage.clock.advance(generator.randrange(DAY))
        elif step < 0.93:
            tidy(running)
        else:
            restarts += 1
            crash(stage, running) if generator.random() < 0.5 else stage.stop(running)
            running = stage.feed(retention_days=1, cohort_min=1)
            clients = [stage.client(running, token) for token in tokens]
        until_read(running, publisher)
        if step > 0.75:
            assert shown(stage, running) == recomputed(stage)

    assert sum(running.service.inbox.past.counts.values()) > 20
    assert restarts > 3


def test_a_resolution_that_waits_too_long_for_its_fills_is_told_once(stage: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed(cohort_min=1)
    client = stage.client(running, stage.token())
    late, mended = publisher.open(), publisher.open()
    until_read(running, publisher)
    assert (end(client, late), end(client, mended)) == (202, 202)
    assert fill(client, mended) == 201
    stage.clock.advance(DAY)

    def overdue() -> list[dict[str, Any]]:
        lines = [entry.record for entry in read(stage.house.log("feed", "access"))]
        return [line for line in lines if line["kind"] == "callback_parked_overdue"]

    stage.until(lambda: len(overdue()) == 1)
    counted = json.loads(shown(stage, running))["surfaces"][0]["parked_overdue"]
    assert fill(client, late) == 201

    (line,) = overdue()
    stage.stop(running)
    running = stage.feed(cohort_min=1)
    stage.until(lambda: running.service._kept_state is not None)  # housekeeping has been through
    assert overdue() == [line]
    assert (line["signal_id"], line["surface"], line["mode"], counted) == (late, "fx", "paper", 1)
    assert json.loads(shown(stage, running))["surfaces"][0]["parked_overdue"] is None


def test_pages_kept_for_the_next_who_asks_are_bounded_in_bytes(stage: Any) -> None:
    publisher = stage.publisher()
    running = stage.feed()
    client = stage.client(running, stage.token())
    for _ in range(540):
        publisher.open(thesis="a cross " * 500)
    until_read(running, publisher)
    pages, cursor, sent = running.service.pages, None, 0
    for _ in range(10):
        begin = {"cursor": cursor} if cursor else {"start": "oldest"}
        page = client.get(FEED, params={**begin, "wait": 0, "limit": 500}).json()
        sent += sum(len(json.dumps(item)) for item in page["items"])
        cursor = client.get(FEED, params={**begin, "wait": 0, "limit": 1}).json()["next_cursor"]

    assert sent > 2 * 8 * 2**20
    assert 2**20 < running.call(lambda: sum(len(page.items) for page in pages._cache.values())) <= 8 * 2**20
    assert running.call(lambda: pages._cached_bytes) <= 8 * 2**20


def test_a_full_disk_keeps_the_memory_of_before(stage: Any) -> None:
    stage.publisher().open()
    running = stage.feed()
    stage.until(lambda: stage.house.feed_memory.exists())
    before = stage.house.feed_memory.read_bytes()
    blocker = stage.house.state / ".feed-memory.json.new"
    blocker.mkdir()

    stage.publisher().open()
    until_read(running, stage.publisher())
    stage.stop(running)

    assert stage.house.feed_memory.read_bytes() == before
    assert stage.house.feed_memory.stat().st_mode & 0o777 == 0o600


def test_a_journal_that_was_closed_in_the_middle_of_a_segment_change_is_still_recognised(stage: Any) -> None:
    folder = stage.house.log("fx", "signals")
    with Journal.open(folder, clock=stage.clock, durable=False, segment_bytes=2_000) as journal:
        for _ in range(20):
            journal.append("order_event", surface="fx", mode="paper", fields={"x": "y" * 100})
            at = journal.position
            assert keepsake._holds(folder, at)
            assert not keepsake._holds(folder, type(at)(at.segment, at.offset, at.seq, "0" * 64))
