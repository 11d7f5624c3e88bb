"""The feed as a process: its start, its end, its memory."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import warm_start

from domain import settings
from feed.config import PLACEHOLDER, PREFIX, FeedConfig

ROOT = Path(__file__).parents[2]
SECRET = "0123456789abcdef" * 2
FEED = "/api/signals/feed"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(home: Path, port: int, **env: str) -> dict[str, str]:
    values = {"FEED_CURSOR_SECRET": SECRET, "FEED_PORT": str(port), "TBOT_HOME": str(home), **env}
    kept = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return {**kept, **{key: value for key, value in values.items() if value}}


class Process:
    """``python -m feed`` in a house of its own."""

    def __init__(self, home: Path, **env: str) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "feed"],
            cwd=ROOT,
            env=environment(home, self.port, **env),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = f"http://127.0.0.1:{self.port}"

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        try:
            return httpx.get(self.url + "/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    @property
    def rss_mib(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


@pytest.fixture
def process(stage: Any) -> Iterator[Process]:
    started = Process(stage.house.home, FEED_SURFACES="fx,st", FEED_PARKED_PER_TOKEN="100", FEED_BURST="1000")
    stage.until(started.is_up)
    yield started
    started.end()


def token(stage: Any) -> str:
    """Make a token; the process has real time, so it must be valid now."""
    made, _ = stage.store.add(label="t", scopes=("feed:read",), surfaces=("fx",), now=stage.clock.now())
    return str(made)


def test_sigterm_answers_every_waiting_poll_and_ends_with_0(stage: Any, process: Process) -> None:
    headers = {"authorization": f"Bearer {token(stage)}"}
    stage.until(lambda: httpx.get(process.url + "/api/head", headers=headers).status_code == 200)
    with ThreadPoolExecutor(20) as pool:
        url = f"{process.url}{FEED}?start=head&wait=50"
        polls = [pool.submit(httpx.get, url, headers=headers, timeout=60) for _ in range(20)]
        beat = stage.house.heartbeat("feed")
        stage.until(lambda: connections(process.port) >= 20)

        begun = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        answers = [poll.result(10) for poll in polls]
        took = time.monotonic() - begun

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["items"] == [] and bool(answer.json()["next_cursor"]) for answer in answers} == {True}
    assert took < 1
    assert process.process.wait(5) == 0
    assert json.loads(beat.read_text()).keys() >= {"seq", "mono_ns", "pid"}


def connections(port: int) -> int:
    """Count the connections to a port that have been accepted."""
    wanted = f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(wanted) and row[3] == "01" for row in rows)


def test_the_process_is_small_and_beats(stage: Any, process: Process, record_property: Any) -> None:
    idle = process.rss_mib
    record_property("idle_rss_mib", round(idle, 1))
    print(f"idle RSS {idle:.1f} MiB")

    assert idle < 80
    assert json.loads(stage.house.heartbeat("feed").read_text())["pid"] == process.process.pid


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"FEED_CURSOR_SECRET": ""}, "FEED_CURSOR_SECRET"),
        ({"FEED_CURSOR_SECRET": "short"}, "at least 32"),
        ({"FEED_CURSOR_SECRET": PLACEHOLDER}, "still the example's"),
        ({"FEED_PROT": "1"}, "FEED_PORT"),
        ({"FEDE_PORT": "1"}, "FEDE_PORT"),
        ({"FEED_SURFACES": "fx,zz"}, "FEED_SURFACES"),
        ({"FEED_MAX_WAIT_S": "60"}, "FEED_MAX_WAIT_S"),
        ({"TBOT_CLOCK": "sometimes"}, "TBOT_CLOCK"),
    ],
)
def test_a_wrong_setting_ends_in_78_with_one_line(tmp_path: Path, env: dict[str, str], expected: str) -> None:
    done = warm_start.run(["-m", "feed"], env=environment(tmp_path, free_port(), **env))

    assert done.returncode == 78
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "short" not in done.stderr


def test_a_port_that_is_taken_ends_in_78_with_the_setting_to_change(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        process = Process(tmp_path, FEED_PORT=str(other.getsockname()[1]))
        try:
            _, stderr = process.process.communicate(timeout=20)
        finally:
            process.end()

    assert process.process.returncode == 78
    assert "found the port taken by another program; change FEED_PORT in env/feed.env" in stderr
    assert len(stderr.splitlines()) == 1


def test_a_second_feed_of_the_same_house_does_not_start(stage: Any, process: Process) -> None:
    second = Process(stage.house.home)
    try:
        _, stderr = second.process.communicate(timeout=20)
    finally:
        second.end()

    assert second.process.returncode not in (0, 78)
    assert len(stderr.splitlines()) == 1


def test_the_page_on_the_feed_names_every_setting() -> None:
    page = (ROOT / "docs" / "feed.md").read_text()

    missing = [key for key in settings.keys(FeedConfig, prefix=PREFIX) if key not in page]

    assert missing == []
