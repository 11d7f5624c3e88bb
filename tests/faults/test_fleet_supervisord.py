"""kill -9 of supervisord, again and again: never two of one program, no orphan, nothing acknowledged lost."""

import configparser
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from audit.logs import verify_all
from domain.house import House
from fleet.demo_home import prepare
from journal import read

BIN = Path(sys.executable).parent
# What a process looks like once its launcher has become it.
MARKS = {
    "oanda-fx": "-m surfaces fx",
    "resolver-fx": "-m resolver fx",
    "feed": "-m feed",
    "simulator-oanda": "-m simulators.oanda",
}
BEATING = ("oanda-fx", "resolver-fx", "feed")
SAMPLE_S = 0.05
# How long orphans may live, and how long on a machine with no time for them.
ORPHAN_S, STARVED_S = 1.0, 5.0

pytestmark = [
    pytest.mark.fleet,
    pytest.mark.proves("row 26", "P1"),
    pytest.mark.timeout(3600),
]


def until(what, holds, seconds=40.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)


class Fleet:
    """One surface, its resolver and venue, and the feed under supervisord: what holds for these holds for all."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.house = House(home=home)
        self.config = prepare(home).config
        self.supervisor: subprocess.Popen[bytes] | None = None
        parser = configparser.RawConfigParser()
        parser.read(self.config)
        for section in parser.sections():
            if section.startswith("program:") and section.removeprefix("program:") not in MARKS:
                parser.remove_section(section)
        with self.config.open("w") as file:
            parser.write(file)

    def start(self) -> None:
        # The launcher takes a program without a heartbeat for crashed: the venue's is forgiven.
        (self.house.state / "crashes" / "simulator-oanda.json").unlink(missing_ok=True)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        with (self.home / "logs" / "supervisord.out").open("ab") as out:
            self.supervisor = subprocess.Popen(
                [str(BIN / "supervisord"), "-n", "-c", str(self.config)],
                env=environment,
                stdout=out,
                stderr=out,
                cwd=self.home,
                start_new_session=True,
            )

    def kill(self) -> None:
        self.supervisor.kill()
        self.supervisor.wait()

    def alive(self) -> dict[int, str]:
        """Return pid -> command line of everything that was given this home."""
        needle, found = f"TBOT_HOME={self.home}".encode(), {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if needle in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return {pid: line for pid, line in found.items() if line}

    def workers(self) -> dict[str, list[int]]:
        """Return program -> pids of its processes; launchers that still wait are none."""
        lines = self.alive()
        return {name: [pid for pid, line in lines.items() if f"{mark} " in line] for name, mark in MARKS.items()}

    def beat(self, name: str) -> dict:
        try:
            return json.loads(self.house.heartbeat(name).read_text())
        except (OSError, ValueError):
            return {}

    def is_up(self) -> bool:
        """Tell whether each program runs once and every loop of this generation has turned."""
        found = self.workers()
        return all(len(pids) == 1 for pids in found.values()) and all(
            self.beat(name).get("pid") == found[name][0] and self.beat(name).get("phase") != "stopped"
            for name in BEATING
        )

    def heads(self) -> dict[str, list[bytes]]:
        """Return log -> its committed lines."""
        folders = [self.house.log("fx", s) for s in ("decisions", "orders", "signals", "resolutions")]
        return {folder.name: [entry.raw for entry in read(folder)] for folder in folders if folder.exists()}

    def crashes(self) -> dict[str, int]:
        """Return program -> crashes that its launcher counts, for those with a heartbeat."""
        histories = {name: self.house.state / "crashes" / f"{name}.json" for name in BEATING}
        return {name: len(json.loads(path.read_text())["crashes"]) for name, path in histories.items()}

    def end(self) -> None:
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.terminate()
            self.supervisor.wait(60)
        for pid in self.alive():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


class Watch(threading.Thread):
    """Counts the processes of each program every 50 ms until it is stopped."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(daemon=True)
        self.fleet = fleet
        self.most: Counter[str] = Counter()
        self.samples = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(SAMPLE_S):
            for name, pids in self.fleet.workers().items():
                self.most[name] = max(self.most[name], len(pids))
            self.samples += 1

    def stop(self) -> None:
        self.done.set()
        self.join()


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    home = Path(tempfile.mkdtemp(dir="/tmp", prefix="tb"))
    made = Fleet(home)
    yield made
    made.end()
    shutil.rmtree(home)


def is_starved() -> bool:
    """Tell whether the machine has had more to do lately than it could."""
    return os.getloadavg()[0] > (os.cpu_count() or 1)


def await_end(pids: set[int]) -> None:
    """Wait until processes have ended, without looking at all the others over and over."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select.select([handle], [], [], STARVED_S)[0], f"{pid} lives on"
        finally:
            os.close(handle)


def assert_grown(before: dict[str, list[bytes]], after: dict[str, list[bytes]]) -> None:
    assert {name: after[name][: len(lines)] for name, lines in before.items()} == before


def test_one_of_each_survives_every_death_of_supervisord_and_no_record_is_lost(fleet, dose, record_property):
    fleet.start()
    until("the fleet to be up", fleet.is_up)
    watch, lived = Watch(fleet), []
    watch.start()
    for _ in range(dose(2, 50)):
        lines, orphans = fleet.heads(), {pid for pids in fleet.workers().values() for pid in pids}
        began = time.monotonic()
        fleet.kill()
        fleet.start()
        await_end(orphans)
        lived.append(time.monotonic() - began)
        until("the fleet to be up again", fleet.is_up)
        assert_grown(lines, fleet.heads())
        # Whoever ends because its supervisor did has not crashed, although nobody reads its last words.
        assert fleet.crashes() == dict.fromkeys(BEATING, 0)
    watch.stop()
    fleet.supervisor.terminate()
    code = fleet.supervisor.wait(60)

    record_property("orphans_lived_s", lived)
    print(f"orphans lived {median(lived):.2f} s, at most {max(lived):.2f} s; {watch.samples} samples")
    assert watch.samples > 0
    assert watch.most == dict.fromkeys(MARKS, 1)
    assert max(lived) <= (STARVED_S if is_starved() else ORPHAN_S)
    assert code == 0
    assert fleet.alive() == {}
    reports = verify_all(fleet.house.logs)
    assert {name: report.problems for name, report in reports.items() if not report.ok} == {}
    intents = [json.loads(line) for line in fleet.heads()["orders"] if b'"kind":"order_intent"' in line]
    assert set(Counter(intent["client_order_id"] for intent in intents).values()) <= {1}


def test_a_supervisord_that_dies_while_it_starts_leaves_no_orphan(fleet, dose):
    """The children may not even have asked yet whose children they are."""
    choice = random.Random(26)
    for _ in range(dose(3, 50)):
        fleet.start()
        until("a launcher", lambda: any("fleet.launch" in line for line in fleet.alive().values()))
        time.sleep(choice.uniform(0, 0.3))  # any moment will do: which one it is is the point
        fleet.kill()
        until("everything to end", lambda: not fleet.alive(), STARVED_S)
        for path in (fleet.house.state / "crashes").glob("*.json"):
            path.unlink()

    assert fleet.alive() == {}
