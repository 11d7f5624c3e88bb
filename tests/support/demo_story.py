"""A demo that runs for its tests: killed piece by piece, stopped, and kept to be looked at."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from domain.clock import Clock, parse_clock
from domain.errors import Retry
from domain.house import House
from fleet.demo_oanda import OPERATOR_ACCOUNT
from fleet.programs import FLEET
from fleet.status import Watcher, rss_mib
from fleet.supervision import Supervisor

BIN = Path(sys.executable).parent
PROGRAMS = {item.name for item in FLEET}
WITH_A_BEAT = {item.name for item in FLEET if item.beats}
STREAMS = ("decisions", "orders", "signals", "resolutions")
SURFACES = {"fx": "oanda-fx", "st": "kalshi-st", "lt": "kalshi-lt", "stk": "ibkr-stk"}
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


def pss_mib(pid: int) -> float:
    """Return the proportional set size of a process; nothing once it has gone."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(row.split()[1]) / 1024 for row in rows if row.startswith("Pss:")), 0.0)


def whole_lines(raw: bytes) -> list[Record]:
    """Return the records of JSON lines, up to the last newline."""
    return [json.loads(line) for line in raw[: raw.rfind(b"\n") + 1].splitlines()]


@dataclass
class Story:
    """A demo that ran: what was seen while it ran, and ways to read what is left."""

    home: Path
    process: "subprocess.Popen[bytes]"
    exit_code: int | None = None
    reborn: dict[str, tuple[int, int]] = field(default_factory=dict)
    outage_s: dict[str, float] = field(default_factory=dict)
    held_when_killed: dict[str, set[str]] = field(default_factory=dict)
    rss: dict[str, float] = field(default_factory=dict)
    # The most that all processes took together, with what they share counted once.
    together_mib: float = 0.0
    status: Any = None
    stop_began: datetime | None = None
    stop_ended: datetime | None = None
    fills_agreed: bool = False
    contracts_agreed: bool = False
    stocks_agreed: bool = False
    stopping_at: datetime | None = None
    # What the simulators of Kalshi and of the models said of themselves last.
    kalshi: Record = field(default_factory=dict)
    models: Record = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.house = House(home=self.home)
        self.supervisor = Supervisor(self.home)
        self.watcher = Watcher(self.house)

    @property
    def clock(self) -> Clock:
        """Return the clock that all the demo's processes share."""
        return parse_clock(self._configuration().partition('TBOT_CLOCK="')[2].partition('"')[0])

    def _configuration(self) -> str:
        return (self.home / "run" / "supervisord.conf").read_text()

    def told_by(self, simulator: str) -> Record:
        """Return what a simulator says of itself."""
        words = self._configuration().partition(f"fleet.launch {simulator} --port ")[2].split()
        with urllib.request.urlopen(f"http://127.0.0.1:{words[0]}/_sim/state", timeout=5) as answer:
            return dict(json.load(answer))

    def infos(self) -> dict[str, Record]:
        try:
            found = {info["name"]: info for info in self.supervisor.processes()}
        except Retry:
            return {}
        for name, info in found.items():
            if info["statename"] == "RUNNING":
                self.rss[name] = max(self.rss.get(name, 0.0), rss_mib(info["pid"]))
        return found

    def weigh(self) -> None:
        """Add up the proportional memory of all processes: a page that ten of them share counts a tenth for each."""
        pids = [info["pid"] for info in self.infos().values() if info["statename"] == "RUNNING"]
        self.together_mib = max(self.together_mib, sum(pss_mib(pid) for pid in pids))

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

    def kill(self, *names: str) -> None:
        """Kill processes the hard way, at once, and wait for their successors, up to the first turn of each loop."""
        before, began = {name: self.infos()[name]["pid"] for name in names}, time.monotonic()
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)

        def is_back(name: str) -> bool:
            info = self.infos().get(name, {})
            if info.get("statename") != "RUNNING" or info["pid"] in (0, before[name]):
                return False
            self.reborn[name] = (before[name], info["pid"])
            return name not in WITH_A_BEAT or self.beat(name).get("pid") == info["pid"]

        for name in names:
            self.until(f"{name} to come back", partial(is_back, name), 45)
            self.outage_s[name] = time.monotonic() - began

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
        """Return the records of a journal, read as plainly as anybody could."""
        return whole_lines(
            b"".join(path.read_bytes() for path in sorted(self.house.log(owner, stream).glob("[0-9]*.jsonl")))
        )

    def records(self, kind: str, surface: str = "fx") -> list[Record]:
        return [record for stream in STREAMS for record in self.journal(surface, stream) if record["kind"] == kind]

    def resolutions(self, surface: str) -> list[Record]:
        """Return the final resolutions: those after which nothing more comes."""
        return [one for one in self.records("resolution", surface) if not one["provisional"]]

    def open_signals(self, surface: str) -> set[str]:
        """Return the published signals that are not resolved."""
        opened = {one["signal_id"] for one in self.records("signal", surface) if one["action"] == "open"}
        return opened - {one["signal_id"] for one in self.resolutions(surface)}

    def reports(self, stage: str, *surfaces: str) -> list[Record]:
        """Return what subscribers reported, as the feed journalled it."""
        found = [one for one in self.journal("feed", "callbacks") if one["kind"] == "callback"]
        return [one for one in found if one["stage"] == stage and one["surface"] in surfaces]

    def transactions(self, account: str) -> list[Record]:
        """Return an account's transactions, from the file the venue keeps its accounts in."""
        lines = whole_lines((self.house.state / "simulator-oanda.json").read_bytes())
        return [found for line in lines if line["account"] == account for found in line["transactions"]]

    def stock_executions(self, account: str, simulator: str = "simulator-tws") -> dict[str, Record]:
        """Return an account's executions by id, without their revision, from the file the venue keeps its state in."""
        kept = json.loads((self.house.state / simulator / "venue.json").read_text())
        found = [one for one in kept["executions"] if one["account"] == account]
        return {one["exec_id"].rpartition(".")[0]: one for one in found}

    def stock_orders(self, account: str, simulator: str = "simulator-tws") -> list[Record]:
        """Return an account's orders that carry an id of ours, with what became of them."""
        kept = json.loads((self.house.state / simulator / "venue.json").read_text())
        return [one for one in kept["orders"] if one["terms"]["account"] == account and one["terms"]["ref"]]

    def venue_fills(self) -> dict[str, Record]:
        return {one["id"]: one for one in self.transactions(OPERATOR_ACCOUNT) if one["type"] == "ORDER_FILL"}

    def journal_fills(self, surface: str = "fx") -> dict[str, Record]:
        events = [event for event in self.records("order_event", surface) if Decimal(event["quantity"]) > 0]
        return {event["transaction_id"]: event for event in events}

    def never_published(self, surface: str = "fx") -> set[str]:
        """Return the signals of a surface that was killed between fill and publication and came back too late."""
        lines = (self.house.logs / f"{SURFACES[surface]}.log").read_text().splitlines()
        warnings = [json.loads(line) for line in lines if "fill_too_old_to_publish" in line]
        return {warning["signal"] for warning in warnings}

    def end(self) -> None:
        """Leave nothing running, whatever went wrong; only processes of this one home are touched."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(70)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self.alive():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
