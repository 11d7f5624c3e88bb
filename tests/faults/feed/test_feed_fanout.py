"""Many who wait at once: everybody gets everything, and too many are told when to come back."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from feed.answers import as_json
from feed.lot import Group, Lot


async def _follow(
    line: Any, wanted: int, moments: dict[str, float], took: list[float]
) -> tuple[list[str], Counter[int]]:
    """Poll from ``oldest`` until ``wanted`` signals are here; note how long each came after it was published."""
    seen: list[str] = []
    statuses: Counter[int] = Counter()
    params: dict[str, object] = {"start": "oldest"}
    while len(seen) < wanted:
        answer = await line.poll(**params, wait=20, limit=500)
        now = time.perf_counter()
        statuses[answer.status] += 1
        if answer.status != 200:
            break
        new = answer.ids
        took += [now - moments[one] for one in new]
        seen += new
        params = {"cursor": answer.json["next_cursor"]}
    line.close()
    return seen, statuses


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@pytest.mark.proves("row 14", "F1", "F3")
def test_everybody_who_waits_gets_everything_once_and_in_order(stage: Any, wire: Any, run: Any, dose: Any) -> None:
    clients, rounds = dose(200, 1_000), dose(10, 100)
    publisher, token = stage.publisher(), stage.token()
    feed = stage.feed(FEED_PARKED_TOTAL="2000")
    published: list[str] = []
    moments: dict[str, float] = {}
    took: list[float] = []

    async def scene() -> list[tuple[list[str], Counter[int]]]:
        followers = [
            asyncio.create_task(_follow(wire(feed.port, token), rounds, moments, took)) for _ in range(clients)
        ]
        for _ in range(rounds):
            await asyncio.sleep(0.1 if clients < 500 else 0.5)  # most of them are parked again by then
            before = time.perf_counter()
            published.append(publisher.open())
            moments[published[-1]] = before
        return list(await asyncio.gather(*followers))

    results = run(scene(), 110 if clients < 500 else 1_000)
    rss = feed.rss_mib
    print(
        f"{clients} clients x {rounds}: wake p50 {percentile(took, 0.5) * 1e3:.0f} ms, "
        f"p99 {percentile(took, 0.99) * 1e3:.0f} ms, RSS {rss:.0f} MiB"
    )

    assert {tuple(seen) for seen, _ in results} == {tuple(published)}
    assert sum((statuses for _, statuses in results), Counter()).keys() == {200}
    assert rss < 150


@pytest.mark.proves("row 15", "F9")
def test_those_beyond_the_limit_are_sent_away_and_the_others_are_served(
    stage: Any, wire: Any, run: Any, first_done: Any, dose: Any
) -> None:
    room, extra = dose(40, 1_000), dose(20, 500)
    publisher = stage.publisher()
    crowd, other = stage.token(), stage.token()
    feed = stage.feed(FEED_PARKED_TOTAL=str(room))

    async def scene() -> tuple[list[Any], list[Any], list[float], str]:
        lines = [wire(feed.port, crowd) for _ in range(room + extra)]
        polls = [asyncio.create_task(line.poll(start="head", wait=50)) for line in lines]
        refused, waiting = await first_done(polls, extra)
        took = []
        good = wire(feed.port, other)
        for _ in range(100):
            begun = time.perf_counter()
            assert (await good.poll(start="head", wait=0)).status == 200
            took.append(time.perf_counter() - begun)
        signal_id = publisher.open()
        return refused, list(await asyncio.gather(*waiting)), took, signal_id

    refused, served, took, signal_id = run(scene(), 100)
    print(f"while {room} wait: another token's answers p99 {percentile(took, 0.99) * 1e3:.1f} ms")

    assert {(answer.status, answer.json["code"]) for answer in refused} == {(503, "busy")}
    assert len({int(answer.headers["retry-after"]) for answer in refused}) > 1  # they do not all come back at once
    assert len(refused) == extra
    assert [answer.ids for answer in served] == [[signal_id]] * room
    assert percentile(took, 0.99) < 1


@pytest.mark.proves("row 15")
def test_a_token_that_parks_too_many_polls_loses_its_oldest_kindly(
    stage: Any, wire: Any, run: Any, first_done: Any, dose: Any
) -> None:
    room, asked = 2, dose(10, 200)
    publisher, token, other = stage.publisher(), stage.token(), stage.token()
    feed = stage.feed(FEED_PARKED_PER_TOKEN=str(room))

    async def scene() -> tuple[list[Any], list[Any], Any, str]:
        bystander = asyncio.create_task(wire(feed.port, other).poll(start="head", wait=50))
        polls = [asyncio.create_task(wire(feed.port, token).poll(start="head", wait=50)) for _ in range(asked)]
        ended, waiting = await first_done(polls, asked - room)
        signal_id = publisher.open()
        return ended, list(await asyncio.gather(*waiting)), await bystander, signal_id

    ended, served, bystander, signal_id = run(scene(), 60)

    assert [answer.ids for answer in ended] == [[]] * (asked - room)
    assert all(answer.json["next_cursor"] for answer in ended)
    assert [answer.ids for answer in served] == [[signal_id]] * room
    assert bystander.ids == [signal_id]


@pytest.mark.proves("row 15", "F9")
def test_a_token_over_its_rate_is_turned_away_and_costs_the_others_nothing(
    stage: Any, wire: Any, run: Any, dose: Any
) -> None:
    hasty, calm = stage.token(), stage.token()
    stage.publisher()
    feed = stage.feed(FEED_RATE_PER_MIN="600", FEED_BURST="20")

    async def hammer() -> Counter[int]:
        line, statuses = wire(feed.port, hasty), Counter[int]()
        for _ in range(dose(200, 5_000)):
            answer = await line.poll(start="head", wait=0)
            statuses[answer.status] += 1
            assert answer.status == 200 or int(answer.headers["retry-after"]) >= 1
        return statuses

    async def walk() -> list[float]:
        line, took = wire(feed.port, calm), []
        for _ in range(15):
            begun = time.perf_counter()
            assert (await line.poll(start="head", wait=0)).status == 200
            took.append(time.perf_counter() - begun)
        return took

    async def scene() -> tuple[list[Counter[int]], list[float]]:
        hammers = [asyncio.create_task(hammer()) for _ in range(5)]
        took = await walk()
        return list(await asyncio.gather(*hammers)), took

    statuses, took = run(scene())
    total = sum(statuses, Counter[int]())

    assert total.keys() == {200, 429}
    assert total[429] > total[200]
    assert max(took) < 1


@pytest.mark.proves("F5")
def test_a_poll_is_answered_within_two_seconds_of_its_wait(stage: Any, wire: Any, run: Any, dose: Any) -> None:
    stage.publisher()
    token = stage.token()
    feed = stage.feed(FEED_PARKED_TOTAL="2000")
    waits = [0, 0.1, 0.5, *((20, 55) if dose(0, 1) else (0.8, 1.2))]

    async def one(wait: float) -> tuple[float, float]:
        line = wire(feed.port, token)
        await line.ask("GET", "/healthz")  # the connection stands before the clock runs
        begun = time.perf_counter()
        answer = await line.poll(start="head", wait=wait)
        assert answer.ids == []
        return wait, time.perf_counter() - begun

    async def scene() -> list[tuple[float, float]]:
        return list(await asyncio.gather(*(one(wait) for wait in waits for _ in range(dose(20, 100)))))

    results = run(scene())
    worst = max(took - wait for wait, took in results)
    print(f"latest answer {worst:.2f} s after its wait")

    assert all(took > wait - 0.15 for wait, took in results)
    assert worst < 2


@pytest.mark.proves("F5")
def test_a_busy_loop_does_not_stretch_a_wait(dose: Any) -> None:
    wait_s = dose(1, 20)
    blocked = 0

    async def scene() -> float:
        loop = asyncio.get_running_loop()

        def block() -> None:
            nonlocal blocked
            blocked += 1
            time.sleep(0.04)
            loop.call_later(0.001, block)

        lot = Lot(total=10, per_token=10, empty=lambda _: as_json(200, {}))
        parked = lot.park("t", "k", Group({}, 1, frozenset(), False), wait_s)
        block()
        begun = loop.time()
        await parked.future
        return loop.time() - begun

    took = asyncio.run(scene())

    assert blocked > 10 * wait_s
    assert took < wait_s + 0.3
