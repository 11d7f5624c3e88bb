"""Reports while the journal cannot take them: never a success that is not on the disk, and all of it afterwards."""

import asyncio
import fcntl
import os
import resource
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from journal import verify

AT = "2026-03-02T09:00:00Z"
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def fill(number: int) -> dict[str, Any]:
    return {
        "at": AT, "fill_id": f"fill-{number:06}-{'x' * 60}", "quantity": "1", "price": "1.1",
        "ordered_quantity": "10000",
    }  # fmt: skip


class Clients:
    """Subscribers that send every report until it is taken, and note each answer."""

    def __init__(self, stage: Any, wire: Any, number: int = 8) -> None:
        self.stage, self.wire = stage, wire
        self.signals = [stage.publisher().open() for _ in range(number)]
        self.token = stage.token()
        self.statuses: Counter[int] = Counter()
        self.taken: dict[tuple[str, str], str] = {}
        self.hasty: list[Any] = []
        self.is_over = False

    async def until(self, holds: Any, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110  what is waited for is a count of answers
                await asyncio.sleep(0.01)

    async def report(self, port: int, signal_id: str, limit: int) -> None:
        line = self.wire(port, self.token)
        for number in range(limit):
            if self.is_over:
                return
            await self._until_taken(line, signal_id, number)

    async def _until_taken(self, line: Any, signal_id: str, number: int) -> None:
        while True:
            try:
                answer = await line.report(signal_id, "executed", fill(number))
            except OSError:
                await asyncio.sleep(0.1)
                continue
            self.statuses[answer.status] += 1
            if answer.status in (200, 201):
                self.taken[signal_id, fill(number)["fill_id"]] = answer.json["id"]
                return
            if answer.status == 503:
                assert answer.json["code"] == "journal"
                assert int(answer.headers["retry-after"]) >= 1
            self.hasty.append(answer.status)
            await asyncio.sleep(0.05)  # sooner than asked for, so that the fault is met often

    async def all_report(self, port: int, limit: int) -> None:
        await asyncio.gather(*(self.report(port, one, limit) for one in self.signals))

    def assert_exactly_once(self) -> None:
        """C1 and C2: what was answered with 2xx stands in the journal, once; nothing else was ever answered."""
        stored = {}
        for line in self.stage.stored():
            key = line["signal_id"], line["fill_id"]
            assert key not in stored, key
            stored[key] = line["id"]
        assert stored == self.taken
        assert set(self.statuses) <= {200, 201, 503, 0}


def audited(stage: Any) -> bool:
    return bool(verify(stage.house.log("feed", "callbacks")).ok)


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """Mount a small file system in place of the journal's folder."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.proves("row 24", "C1", "C2")
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_refuses_reports_and_loses_none(stage: Any, wire: Any, run: Any, dose: Any) -> None:
    folder = stage.house.log("feed", "callbacks")
    with full_disk(folder):
        clients = Clients(stage, wire)
        feed = stage.feed()

        async def scene() -> None:
            for _ in range(dose(2, 50)):
                before = clients.statuses[503]
                clients.is_over = False
                reports = asyncio.create_task(clients.all_report(feed.port, 20))
                try:
                    async with asyncio.timeout(20):
                        while clients.statuses[503] < before + 5:
                            _fill_up(folder)
                            await asyncio.sleep(0.01)
                finally:
                    _make_room(folder)
                enough = len(clients.taken) + 8
                await clients.until(lambda enough=enough: len(clients.taken) >= enough, 5)  # it recovers by itself
                clients.is_over = True
                await reports
                clients.signals = [stage.publisher().open() for _ in clients.signals]

        run(scene(), 600)
        print(f"full disk: {dict(clients.statuses)}")

        assert clients.statuses[503] >= 5
        clients.assert_exactly_once()
        assert audited(stage)
        feed.end()


def _fill_up(folder: Path) -> None:
    try:
        with (folder / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * 4_096)
    except OSError:  # full: what the callers wait for is that reports are refused
        pass


def _make_room(folder: Path) -> None:
    (folder / "filler").unlink(missing_ok=True)


@pytest.mark.proves("row 24", "C1", "C2", "C7")
def test_a_file_that_may_not_grow_refuses_reports_and_loses_none(stage: Any, wire: Any, run: Any, dose: Any) -> None:
    clients = Clients(stage, wire)
    feed = stage.feed()

    async def scene() -> None:
        reports = asyncio.create_task(clients.all_report(feed.port, dose(40, 4_000)))
        for _ in range(dose(3, 100)):
            await asyncio.sleep(0.1)
            before = clients.statuses[503]
            largest = max(path.stat().st_size for path in stage.house.log("feed", "callbacks").glob("0*.jsonl"))
            resource.prlimit(feed.process.pid, resource.RLIMIT_FSIZE, (largest + 700, resource.RLIM_INFINITY))
            enough = before + 5
            await clients.until(lambda enough=enough: clients.statuses[503] >= enough or reports.done(), 20)
            resource.prlimit(feed.process.pid, resource.RLIMIT_FSIZE, NO_LIMIT)
        await reports

    run(scene(), 900)
    print(f"no room to grow: {dict(clients.statuses)}")

    assert clients.statuses[503] >= 5
    clients.assert_exactly_once()
    assert audited(stage)


@pytest.mark.proves("row 24", "C1", "C2")
@pytest.mark.parametrize(
    "failure", ["before_fsync=eio@{}", "after_write=eio@{}", "before_write=enospc@{}-{}", "before_ack=sleep:0.5@{}"]
)
def test_a_disk_that_fails_is_given_up_reopened_and_loses_nothing(
    stage: Any, wire: Any, run: Any, dose: Any, failure: str, tmp_path: Path
) -> None:
    fired = tmp_path / "fired"
    clients = Clients(stage, wire)
    feed = stage.feed(TBOT_FAILPOINTS=failure.format(dose(6, 60), dose(12, 120)) + f",log={fired}")

    run(clients.all_report(feed.port, dose(10, 300)), 600)
    print(f"{failure}: {dict(clients.statuses)}, fired {len(fired.read_text().splitlines())} times")

    assert fired.read_text()
    assert clients.statuses[503] >= 1 or "sleep" in failure
    clients.assert_exactly_once()
    assert len(clients.taken) == len(clients.signals) * dose(10, 300)
    assert audited(stage)


@pytest.mark.proves("row 24", "C1", "C2")
def test_a_feed_whose_journal_somebody_else_holds_takes_no_report(stage: Any, wire: Any, run: Any) -> None:
    clients = Clients(stage, wire)
    first = stage.feed()
    run(clients.all_report(first.port, 2))
    first.kill()
    with (stage.house.log("feed", "callbacks") / ".lock").open("r+") as file:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        begun = time.monotonic()
        with pytest.raises(AssertionError, match="only writer"):
            stage.feed(first.port)
        took = time.monotonic() - begun

    run(clients.all_report(stage.feed(first.port).port, 3))

    assert 4 < took < 10
    clients.assert_exactly_once()
    assert len(clients.taken) == 3 * len(clients.signals)
