"""A real feed whose logs are put back from a backup, and whose tokens are taken away, while clients wait."""

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from domain.ids import new_id
from domain.vocabulary import Surface
from feed.tokens import Scope

ROUTES = (
    "/api/signals/feed?start=oldest&wait=0", "/api/signals/open", "/api/head", "/api/keys",
    "/api/checkpoint?log=fx/signals", "/api/aggregate", "/api/signals/stream?start=head",
)  # fmt: skip


def put_back(stage: Any, copy: Path) -> None:
    """Replace the log of fx signals by an older copy, and let its surface go on writing."""
    publisher, live = stage.publisher(), stage.house.log("fx", "signals")
    publisher.end()
    live.rename(live.with_name(f"lost-{time.monotonic_ns()}"))
    shutil.copytree(copy, live)
    publisher.resume()


@pytest.mark.proves("row 17", "F1", "F2")
@pytest.mark.parametrize("how", ["while it runs", "while it is dead"])
@pytest.mark.parametrize("more", [0, 3, 12])
def test_clients_find_their_own_way_after_a_log_was_restored(
    stage: Any, wire: Any, run: Any, tmp_path: Path, how: str, more: int
) -> None:
    publisher, token, copy = stage.publisher(), stage.token(), tmp_path / "copy"
    kept = [publisher.open() for _ in range(3)]
    shutil.copytree(stage.house.log("fx", "signals"), copy)
    lost = [publisher.open() for _ in range(6)]
    feed = stage.feed()

    async def scene() -> tuple[Any, Any, list[str]]:
        nonlocal feed
        line, waiting = wire(feed.port, token), wire(feed.port, token)
        first = await line.poll(start="oldest", wait=0)
        assert first.ids == kept + lost
        parked = asyncio.create_task(waiting.poll(cursor=first.json["next_cursor"], wait=15))
        if how == "while it is dead":
            feed.kill()
            await asyncio.gather(parked, return_exceptions=True)
        await asyncio.to_thread(put_back, stage, copy)
        new = [publisher.open() for _ in range(more)]
        if how == "while it is dead":
            feed = await asyncio.to_thread(stage.feed, feed.port)
            parked = asyncio.create_task(wire(feed.port, token).poll(cursor=first.json["next_cursor"], wait=15))
        answer = await parked
        again = await wire(feed.port, token).poll(cursor=answer.json["oldest_cursor"], wait=0)
        return answer, again, new

    answer, again, new = run(scene(), 60)
    snapshot = run(_get(wire, feed.port, token, "/api/signals/open"))

    assert (answer.status, answer.json["code"]) in ((410, "cursor_ahead"), (410, "epoch_changed"))
    assert again.ids == kept + new
    assert snapshot.ids == kept + new


async def _get(wire: Any, port: int, token: str, path: str) -> Any:
    return await wire(port, token).ask("GET", path)


@pytest.mark.proves("row 32", "F8")
def test_a_token_taken_away_ends_everything_it_has_open_within_a_second(
    stage: Any, wire: Any, run: Any, dose: Any
) -> None:
    stage.publisher()
    gone, kept = stage.token(), stage.token()
    feed = stage.feed()

    async def scene() -> tuple[list[Any], float, bool]:
        polls = [asyncio.create_task(wire(feed.port, gone).poll(start="head", wait=50)) for _ in range(dose(10, 200))]
        other = asyncio.create_task(wire(feed.port, kept).poll(start="head", wait=50))
        assert (await wire(feed.port, kept).poll(start="head", wait=0)).status == 200
        await asyncio.sleep(0.3)
        begun = time.monotonic()
        await asyncio.to_thread(stage.store.revoke, gone.split("_")[1], now=stage.clock.now())
        answers = list(await asyncio.gather(*polls))
        took, is_waiting = time.monotonic() - begun, not other.done()
        other.cancel()
        return answers, took, is_waiting

    answers, took, is_waiting = run(scene(), 60)

    assert {(answer.status, answer.json["code"]) for answer in answers} == {(401, "token")}
    assert took < 1
    assert is_waiting


@pytest.mark.proves("F8", "row 32")
def test_a_token_learns_nothing_of_another_surface(stage: Any, wire: Any, run: Any) -> None:
    mine, theirs = stage.publisher(Surface.FX), stage.publisher(Surface.ST)
    mine.open()
    secret = theirs.open(thesis="only for st")
    fx, both = stage.token(Surface.FX), stage.token(Surface.FX, Surface.ST)
    operator = stage.token(Surface.FX, scopes=(Scope.ADMIN_READ,))
    feed = stage.feed()
    ack = b'{"at":"2026-03-02T09:00:00Z","decision":"accept"}'

    async def scene() -> None:
        line = wire(feed.port, fx)
        for route in ROUTES[:5]:
            answer = await line.ask("GET", route)
            assert answer.status in (200, 404)
            assert not any(word in answer.body for word in (secret.encode(), b'"st/', b'"st"', b"only for st"))
        assert (await line.ask("GET", ROUTES[5], token=operator)).json["surfaces"] == []
        unseen = await line.ask("POST", f"/api/signals/{secret}/ack", ack)
        unknown = await line.ask("POST", f"/api/signals/{new_id('sig', stage.clock.now())}/ack", ack)
        assert (unseen.status, unseen.body) == (404, unknown.body)
        log, no_log = [await line.ask("GET", f"/api/checkpoint?log={name}/signals") for name in ("st", "lt")]
        assert (log.status, log.body) == (404, no_log.body)
        surface, no_surface = [await line.poll(start="head", wait=0, surface=name) for name in ("st", "lt")]
        assert (surface.status, surface.body) == (400, no_surface.body)
        theirs_cursor = (await line.ask("GET", ROUTES[0], token=both)).json["next_cursor"]
        replayed = await line.poll(cursor=theirs_cursor, wait=0)
        assert (replayed.status, replayed.json["code"]) == (400, "cursor_filter")

    run(scene())
