"""What the fleet is doing: processes from the supervisor, everything else from the journals."""

import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from audit.tally import SubscriberTally, SurfaceTally
from audit.why import sentence
from audit.words import printable
from domain.errors import Halt, Refuse, Retry
from domain.house import House
from domain.vocabulary import Action, Kind, Stage, Surface
from fleet.standing import Follower, Standing, is_in_fleet, read_beat
from fleet.supervision import Supervisor
from journal import Entry, Tail

STREAMS = ("decisions", "orders", "signals", "resolutions")
SHOWN = frozenset({Kind.SIGNAL, Kind.RESOLUTION, Kind.STATE, Kind.CALLBACK})
MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """One process: ``rss_mib`` in MiB, ``beat`` the facts of its last heartbeat, empty when it keeps none.

    ``pid`` is 0 when it is not there; then ``exit_status`` is how it ended, ``trouble`` why it could not be started,
    and ``log`` where to read on.
    """

    name: str
    state: str
    pid: int
    uptime_s: int
    rss_mib: float
    beat: dict[str, Any]
    exit_status: int | None = None
    trouble: str = ""
    log: str = ""


@dataclass(slots=True)
class FleetFacts:
    """Everything there is to show. ``events`` are (time, log, sentence), newest last; ``unreadable`` is log -> why.

    ``subscribers`` counts them together, ``each_subscriber`` by the id of a token.
    """

    processes: list[ProcessFacts] = field(default_factory=list)
    surfaces: dict[str, SurfaceTally] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    subscribers: SubscriberTally = field(default_factory=SubscriberTally)
    each_subscriber: dict[str, SubscriberTally] = field(default_factory=dict)
    events: deque[tuple[str, str, str]] = field(default_factory=lambda: deque(maxlen=12))
    unreadable: dict[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def all_running(self) -> bool:
        return bool(self.processes) and all(item.state == "RUNNING" for item in self.processes)


class Watcher:
    """Follows every journal of a home and asks its supervisor; ``look`` brings the facts up to date."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._supervisor = Supervisor(house.home)
        self.facts = FleetFacts()
        self._followers = {surface: Follower(house, surface) for surface in Surface}
        self._markets: dict[str, str] = {}
        self._tails: list[tuple[str, Tail, Callable[[Entry], None]]] = []
        for surface in Surface:
            self._tails += [self._follow(surface, stream, partial(self._of_surface, surface)) for stream in STREAMS]
        self._tails.append(self._follow("feed", "callbacks", self._of_subscribers))
        self._tails.append(self._follow("operator", "actions", self._of_operator))

    def look(self) -> FleetFacts:
        """Read what is new and return the facts."""
        for name, tail, apply in self._tails:
            self._take(name, tail, apply)
        self.facts.standings = {
            surface: follower.standing()
            for surface, follower in self._followers.items()
            if is_in_fleet(surface) or surface in self.facts.surfaces
        }
        self._ask_supervisor()
        return self.facts

    def _follow(
        self, owner: str, stream: str, apply: Callable[[Entry], None]
    ) -> tuple[str, Tail, Callable[[Entry], None]]:
        return f"{owner}/{stream}", Tail(self._house.log(owner, stream), None), apply

    def _take(self, name: str, tail: Tail, apply: Callable[[Entry], None]) -> None:
        """Take in what is new in a log; a damaged one must not hide what can be known without it."""
        if name in self.facts.unreadable:
            return
        try:
            for entry in _new(tail):
                apply(entry)
        except (Halt, Refuse) as error:
            self.facts.unreadable[name] = str(error)

    def _of_surface(self, surface: Surface, entry: Entry) -> None:
        self.facts.surfaces.setdefault(surface, SurfaceTally()).apply(entry.record)
        self._followers[surface].apply(entry)
        self._remember(entry)

    def _of_subscribers(self, entry: Entry) -> None:
        record = entry.record
        self.facts.subscribers.apply(record)
        if record["kind"] == Kind.CALLBACK:
            self.facts.each_subscriber.setdefault(record["subscriber"], SubscriberTally()).apply(record)
        self._remember(entry)

    def _of_operator(self, entry: Entry) -> None:
        for follower in self._followers.values():
            follower.ordered(entry)

    def _remember(self, entry: Entry) -> None:
        """Keep what is news to a person: not what echoes a signal, and of an end the resolution, not its close."""
        record = entry.record
        is_echo = record.get("action") == Action.CLOSE or record.get("stage") in (Stage.ACK, Stage.EXECUTED)
        if record["kind"] in SHOWN and not is_echo:
            self.facts.events.append((record["ts"], record["log"], f"{self._about(record)}{sentence(record)}"))

    def _about(self, record: Mapping[str, Any]) -> str:
        """Return what a subscriber's report is about, which stands in the signal and not in the report."""
        if record["kind"] == Kind.SIGNAL and record["action"] == Action.OPEN:
            self._markets[record["signal_id"]] = record["market"]
        if record["kind"] != Kind.CALLBACK:
            return ""
        place = f"{record.get('surface') or ''} {self._markets.get(record['signal_id'], '')}".strip()
        return printable(f"{place}: ") if place else ""

    def _ask_supervisor(self) -> None:
        try:
            self.facts.processes = [self._process(item) for item in self._supervisor.processes()]
            self.facts.problem = ""
        except Retry as error:
            self.facts.processes = []
            self.facts.problem = str(error)

    def _process(self, info: dict[str, Any]) -> ProcessFacts:
        name, pid = str(info["name"]), int(info["pid"])
        seen = str(info["statename"])
        running = seen == "RUNNING"
        return ProcessFacts(
            name=name,
            state=seen,
            pid=pid,
            uptime_s=int(info["now"] - info["start"]) if running else 0,
            rss_mib=rss_mib(pid),
            beat=read_beat(self._house.heartbeat(name)),
            exit_status=int(info["exitstatus"]) if seen == "EXITED" else None,
            trouble="" if pid else str(info.get("spawnerr", "")),
            log=_below(self._house.home, str(info.get("stdout_logfile", ""))),
        )


def collect_once(home: Path) -> FleetFacts:
    """Return the facts about a home as they are now."""
    return Watcher(House(home=home)).look()


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB, 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / MIB, 1)


def as_dict(facts: FleetFacts) -> dict[str, Any]:
    """Return the facts as plain values for JSON."""
    return {
        "processes": {p.name: _process_dict(p) for p in facts.processes},
        "surfaces": {name: _surface_facts(facts, name) for name in facts.standings | facts.surfaces},
        "subscribers": {
            "acked": facts.subscribers.acked,
            "skipped": dict(facts.subscribers.skipped),
            "executed": facts.subscribers.executed,
            "resolved": facts.subscribers.resolved,
            "realised": {unit: str(amount) for unit, amount in facts.subscribers.realised.items()},
        },
        "unreadable": facts.unreadable,
        "problem": facts.problem,
    }


def _process_dict(process: ProcessFacts) -> dict[str, Any]:
    """Return one process; where there is none, how it ended stands in place of its pid and memory."""
    if process.pid:
        return {"state": process.state, "pid": process.pid, "rss_mib": process.rss_mib}
    ended = {"exit_status": process.exit_status, "trouble": process.trouble, "log": process.log}
    return {"state": process.state, "pid": None, **ended}


def _surface_facts(facts: FleetFacts, name: str) -> dict[str, Any]:
    tally = facts.surfaces.get(name, SurfaceTally())
    realised: dict[str, dict[str, str]] = {}
    for (source, unit), amount in tally.realised.items():
        realised.setdefault(source, {})[unit] = str(amount)
    standing = facts.standings.get(name)
    return {**(standing.as_dict() if standing else {}), **surface_dict(tally), "realised": realised}


def surface_dict(tally: SurfaceTally) -> dict[str, int]:
    """Return the four counts by which a surface is judged to be alive."""
    return {
        "decisions": tally.decisions,
        "signals": tally.signals,
        "executed": tally.executed,
        "resolved": tally.resolved,
    }


def realised_text(amounts: dict[str, Decimal]) -> str:
    """Return amounts by currency as text, ``-`` when there are none."""
    return ", ".join(f"{amount:+.2f} {unit}" for unit, amount in sorted(amounts.items())) or "-"


def _new(tail: Tail) -> list[Entry]:
    found: list[Entry] = []
    while batch := tail.poll():
        found.extend(batch)
    return found


def _below(home: Path, path: str) -> str:
    """Return a path as seen from the home; one that lies elsewhere stays as it is."""
    return str(Path(path).relative_to(home)) if Path(path).is_relative_to(home) else path
