"""The herd: a feed that ends while everybody waits, and everybody who then comes back."""

import asyncio
import random
import signal
import time
from collections import Counter
from typing import Any

import pytest


class Herd:
    """Clients that keep their cursor, wait as long as they are told, and note what they see and when they ask."""

    def __init__(self, wire: Any, port: int, token: str) -> None:
        self._wire, self._port, self._token = wire, port, token
        self.is_over = False
        self.asked: list[float] = []
        self.answered: list[float] = []
        self.pauses: list[int] = []
        self.waiting = self.fed = 0
        self.cursors: set[str] = set()

    async def follow(self, wanted: list[str]) -> list[str]:
        """Return everything seen, repetitions included, once the last of ``wanted`` is among it."""
        line, seen = self._wire(self._port, self._token), []
        params: dict[str, object] = {"start": "oldest"}
        while not self.is_over or wanted[-1] not in seen:
            answer = await self._ask(line, params)
            if answer is None:
                continue
            seen += answer.ids
            self.fed += bool(answer.ids)
            params = {"cursor": answer.json["next_cursor"]}
            self.cursors.add(answer.json["next_cursor"])
            if pause := answer.json["poll_after_ms"]:
                self.answered.append(time.monotonic())
                self.pauses.append(pause)
                line.close()
                await asyncio.sleep(pause / 1e3)
        return seen

    async def _ask(self, line: Any, params: dict[str, object]) -> Any:
        self.waiting += 1
        try:
            self.asked.append(time.monotonic())
            answer = await line.poll(**params, wait=20)
        except OSError:  # nobody listens: the feed is on its way
            self.asked.pop()
            answer = None
        finally:
            self.waiting -= 1
        if answer is None or answer.status == 0:
            await asyncio.sleep(random.uniform(0.2, 1.0))
            return None
        assert answer.status == 200, answer
        return answer

    def peak(self, since: float) -> int:
        """Return the largest number of requests in any whole second after ``since``."""
        return max(Counter(int(moment - since) for moment in self.asked if moment > since).values(), default=0)


@pytest.mark.proves("row 16", "F1", "F2", "F3")
def test_a_restart_answers_everybody_at_once_and_loses_nothing(stage: Any, wire: Any, run: Any, dose: Any) -> None:
    clients, restarts = dose(60, 1_000), dose(2, 20)
    publisher, token = stage.publisher(), stage.token()
    feed = stage.feed(FEED_PARKED_TOTAL="2000")
    herd = Herd(wire, feed.port, token)
    published: list[str] = []
    figures: list[tuple[float, int]] = []

    async def all_wait() -> None:
        quiet = 0
        while quiet < 5:  # each got what there was, and asked again, and for five looks nobody was on the way
            await asyncio.sleep(0.05)
            quiet = quiet + 1 if herd.waiting == herd.fed == clients else 0

    async def restart() -> None:
        current = stage.feeds[-1]
        begun = time.monotonic()
        herd.answered.clear()
        herd.fed = 0
        current.signal(signal.SIGTERM)
        assert await asyncio.to_thread(current.process.wait, 10) == 0
        published.append(publisher.open())  # just when nobody is there to serve it
        await asyncio.to_thread(stage.feed, feed.port, FEED_PARKED_TOTAL="2000")
        await all_wait()
        assert len(herd.answered) == clients
        figures.append((max(herd.answered) - begun, herd.peak(begun)))

    async def scene() -> list[list[str]]:
        published.append(publisher.open())
        followers = [asyncio.create_task(herd.follow(published)) for _ in range(clients)]
        await all_wait()
        for _ in range(restarts):
            await restart()
        published.append(publisher.open())
        herd.is_over = True
        return list(await asyncio.gather(*followers))

    results = run(scene(), 100 if clients < 500 else 3_000)
    slowest, peak = max(took for took, _ in figures), max(rate for _, rate in figures)
    print(f"{clients} clients, {restarts} restarts: last answer {slowest:.2f} s after SIGTERM, peak {peak} requests/s")

    assert {tuple(dict.fromkeys(seen)) for seen in results} == {tuple(published)}
    assert slowest < 1
    assert peak < 200
    assert len(set(herd.pauses)) > clients / 2  # each has a pause of its own
