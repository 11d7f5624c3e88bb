"""The demo that the tests of it share: started once, killed piece by piece, stopped, and kept to be looked at.

And a home for the launcher's tests.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from launch_rig import Rig

from domain.clock import Clock, parse_clock
from domain.errors import Retry
from domain.house import House
from fleet.demo_oanda import OPERATOR_ACCOUNT
from fleet.status import Watcher, rss_mib
from fleet.supervision import Supervisor

BIN = Path(sys.executable).parent
PROGRAMS = {"oanda-fx", "resolver-fx", "feed", "simulator-oanda", "demo-subscriber"}
KILLED = ("oanda-fx", "feed", "demo-subscriber", "resolver-fx")
WITH_A_BEAT = {"oanda-fx", "feed", "resolver-fx"}
Record = dict[str, Any]


def environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "120"}


def processes_of(home: Path) -> dict[int, str]:
    """Return pid -> command line of every process that was given this home."""
    needle, found = f"TBOT_HOME={home}".encode(), {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if needle in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
    return {pid: line for pid, line in found.items() if line}


@dataclass
class Story:
    """A demo that ran: what was seen while it ran, and ways to read what is left."""

    home: Path
    process: "subprocess.Popen[bytes]"
    exit_code: int | None = None
    reborn: dict[str, tuple[int, int]] = field(default_factory=dict)
    rss: dict[str, float] = field(default_factory=dict)
    status: Any = None
    stop_began: datetime | None = None
    stop_ended: datetime | None = None
    fills_agreed: bool = False
    stopping_at: datetime | None = None

    def __post_init__(self) -> None:
        self.house = House(home=self.home)
        self.supervisor = Supervisor(self.home)
        self.watcher = Watcher(self.house)

    @property
    def clock(self) -> Clock:
        """Return the clock that all the demo's processes share."""
        text = (self.home / "run" / "supervisord.conf").read_text()
        return parse_clock(text.partition('TBOT_CLOCK="')[2].partition('"')[0])

    def infos(self) -> dict[str, Record]:
        try:
            found = {info["name"]: info for info in self.supervisor.processes()}
        except Retry:
            return {}
        for name, info in found.items():
            if info["statename"] == "RUNNING":
                self.rss[name] = max(self.rss.get(name, 0.0), rss_mib(info["pid"]))
        return found

    def until(self, what: str, holds: Callable[[], object], seconds: float) -> None:
        """Look again and again until something holds, sampling the memory of all processes on the way."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert self.process.poll() is None, f"the demo ended while waiting for {what}: {self.output[-2000:]}"
            assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s: {self.output[-2000:]}"
            self.infos()
            time.sleep(0.2)

    def all_running(self) -> bool:
        infos = self.infos()
        return set(infos) == PROGRAMS and all(info["statename"] == "RUNNING" for info in infos.values())

    def kill(self, name: str) -> None:
        """Kill a process the hard way and wait for its successor, up to the first turn of its loop."""
        before = self.infos()[name]["pid"]
        os.kill(before, signal.SIGKILL)

        def is_back() -> bool:
            info = self.infos().get(name, {})
            if info.get("statename") != "RUNNING" or info["pid"] in (0, before):
                return False
            self.reborn[name] = (before, info["pid"])
            return name not in WITH_A_BEAT or self.beat(name).get("pid") == info["pid"]

        self.until(f"{name} to come back", is_back, 45)

    def beat(self, name: str) -> Record:
        try:
            return dict(json.loads(self.house.heartbeat(name).read_text()))
        except (OSError, ValueError):
            return {}

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command line of ours on this home."""
        line = [str(BIN / words[0]), *words[1:], "--home", str(self.home)]
        return subprocess.run(line, env=environment(self.home), capture_output=True, text=True, timeout=60)

    def alive(self) -> dict[int, str]:
        return processes_of(self.home)

    @property
    def output(self) -> str:
        return (self.home / "output").read_text(errors="replace")

    def journal(self, owner: str, stream: str) -> list[Record]:
        """Return the records of a journal, read as plainly as anybody could: lines of JSON up to the last newline."""
        raw = b"".join(path.read_bytes() for path in sorted(self.house.log(owner, stream).glob("[0-9]*.jsonl")))
        return [json.loads(line) for line in raw[: raw.rfind(b"\n") + 1].splitlines()]

    def records(self, kind: str) -> list[Record]:
        streams = ("decisions", "orders", "signals", "resolutions")
        return [record for stream in streams for record in self.journal("fx", stream) if record["kind"] == kind]

    def transactions(self, account: str) -> list[Record]:
        """Return an account's transactions, from the file the venue keeps its accounts in."""
        raw = (self.house.state / "simulator-oanda.json").read_bytes()
        lines = [json.loads(line) for line in raw[: raw.rfind(b"\n") + 1].splitlines()]
        return [found for line in lines if line["account"] == account for found in line["transactions"]]

    def venue_fills(self) -> dict[str, Record]:
        return {one["id"]: one for one in self.transactions(OPERATOR_ACCOUNT) if one["type"] == "ORDER_FILL"}

    def journal_fills(self) -> dict[str, Record]:
        events = [event for event in self.records("order_event") if Decimal(event["quantity"]) > 0]
        return {event["transaction_id"]: event for event in events}

    def never_published(self) -> set[str]:
        """Return the signals of a surface that was killed between fill and publication and came back too late."""
        lines = (self.house.logs / "oanda-fx.log").read_text().splitlines()
        warnings = [json.loads(line) for line in lines if "fill_too_old_to_publish" in line]
        return {warning["signal"] for warning in warnings}


def play(story: Story) -> None:
    """Let the demo live through everything that the tests below ask about."""
    fx = story.watcher.facts.surfaces
    story.until("every process to run", story.all_running, 60)
    story.until("a first resolved trade", lambda: story.watcher.look() and "fx" in fx and fx["fx"].resolved, 120)
    story.status = story.command("tbot", "status", "--json")
    for name in KILLED:
        story.kill(name)
    story.watcher.look()
    enough = fx["fx"].resolved + 3
    story.until("trades resolved after the kills", lambda: story.watcher.look() and fx["fx"].resolved >= enough, 120)
    reported = story.watcher.facts.subscribers
    story.until("results of the subscriber", lambda: story.watcher.look() and reported.resolved >= 3, 60)
    stop_and_go(story)
    story.until("the two accounts of all fills to agree", lambda: agree(story), 30)
    story.fills_agreed = True
    story.stopping_at = story.clock.now()
    story.process.send_signal(signal.SIGINT)
    story.exit_code = story.process.wait(90)


def stop_and_go(story: Story) -> None:
    stop = story.house.logs / "STOP"
    refused = story.watcher.facts.surfaces["fx"].refused
    stop.touch()
    story.stop_began = story.clock.now()
    story.until("a candidate refused with STOPPED", lambda: story.watcher.look() and refused["STOPPED"] >= 3, 60)
    story.stop_ended = story.clock.now()
    stop.unlink()
    total = story.watcher.look().surfaces["fx"].decisions - refused["STOPPED"]

    def goes_on() -> bool:
        surface = story.watcher.look().surfaces["fx"]
        return surface.decisions - surface.refused["STOPPED"] > total

    story.until("a candidate judged again", goes_on, 60)


def agree(story: Story) -> bool:
    return bool(story.venue_fills()) and story.venue_fills().keys() == story.journal_fills().keys()


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    home = Path(tempfile.mkdtemp(dir="/tmp", prefix="tb"))
    line = [str(BIN / "tbot"), "demo", "--home", str(home)]
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(line, env=environment(home), stdout=output, stderr=output, start_new_session=True)
    told = Story(home, process)
    try:
        play(told)
        yield told
    finally:
        end(process, home)
        shutil.rmtree(home)


def end(process: "subprocess.Popen[bytes]", home: Path) -> None:
    """Leave nothing running, whatever went wrong; only processes of this one home are touched."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(70)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pid in processes_of(home):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.stop()
