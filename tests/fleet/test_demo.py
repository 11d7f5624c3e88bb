"""One real demo, with real kills in it, and then many questions about what it left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from domain.clock import Clock, parse_clock
from domain.errors import Retry
from domain.house import House
from fleet.demo_home import OPERATOR_ACCOUNT, SUBSCRIBER_ACCOUNT
from fleet.status import Watcher, rss_mib
from fleet.supervision import Supervisor

# The whole story counts as the set-up of whichever test comes first.
pytestmark = [pytest.mark.fleet, pytest.mark.timeout(420)]

BIN = Path(sys.executable).parent
PROGRAMS = {"oanda-fx", "resolver-fx", "feed", "simulator-oanda", "demo-subscriber"}
KILLED = ("oanda-fx", "feed", "demo-subscriber", "resolver-fx")
WITH_A_BEAT = {"oanda-fx", "feed", "resolver-fx"}
MOST_MIB = 80
Record = dict[str, Any]


def environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "120"}


def command(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    line = [str(BIN / words[0]), *words[1:], "--home", str(home)]
    return subprocess.run(line, env=environment(home), capture_output=True, text=True, timeout=60)


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


def play(story: Story) -> None:
    """Let the demo live through everything that the tests below ask about."""
    fx = story.watcher.facts.surfaces
    story.until("every process to run", story.all_running, 60)
    story.until("a first resolved trade", lambda: story.watcher.look() and "fx" in fx and fx["fx"].resolved, 120)
    story.status = command(story.home, "tbot", "status", "--json")
    for name in KILLED:
        story.kill(name)
    story.watcher.look()
    resolved = fx["fx"].resolved
    story.until("a trade resolved after the kills", lambda: story.watcher.look() and fx["fx"].resolved > resolved, 90)
    reported = story.watcher.facts.subscribers
    story.until("a result of the subscriber", lambda: story.watcher.look() and reported.resolved > 0, 60)
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


def moment(record: Record) -> datetime:
    return datetime.fromisoformat(record["ts"])


def test_ctrl_c_ends_the_demo_with_0_and_leaves_no_process(story: Story) -> None:
    assert story.exit_code == 0
    assert processes_of(story.home) == {}
    assert "Traceback" not in story.output
    assert "journals verify" in story.output


def test_every_killed_process_came_back_as_another_one(story: Story) -> None:
    assert set(story.reborn) == set(KILLED)
    assert all(before != after for before, after in story.reborn.values())


def test_status_shows_the_whole_fleet_while_it_runs(story: Story) -> None:
    shown = json.loads(story.status.stdout)

    assert story.status.returncode == 0
    assert set(shown["processes"]) == PROGRAMS
    assert all(count > 0 for count in shown["surfaces"]["fx"].values())


def test_status_says_3_once_it_has_ended(story: Story) -> None:
    done = command(story.home, "tbot", "status")

    assert done.returncode == 3
    assert "start the fleet" in done.stdout


def test_every_journal_verifies(story: Story) -> None:
    done = command(story.home, "audit", "verify", "--json")
    found = json.loads(done.stdout)

    assert done.returncode == 0
    assert set(found) >= {"fx/decisions", "fx/orders", "fx/signals", "fx/resolutions", "feed/callbacks"}
    assert {name: one["problems"] for name, one in found.items() if not one["ok"]} == {}


@pytest.mark.parametrize("account", [OPERATOR_ACCOUNT, SUBSCRIBER_ACCOUNT], ids=["operator", "subscriber"])
def test_no_client_order_id_reached_the_venue_twice(story: Story, account: str) -> None:
    orders = [one for one in story.transactions(account) if one["type"] == "MARKET_ORDER"]
    ids = Counter(one["clientExtensions"]["id"] for one in orders if "clientExtensions" in one)

    assert len(ids) > 0
    assert [name for name, count in ids.items() if count > 1] == []


@pytest.mark.parametrize("account", [OPERATOR_ACCOUNT, SUBSCRIBER_ACCOUNT], ids=["operator", "subscriber"])
def test_no_signal_was_traded_twice(story: Story, account: str) -> None:
    fills = [one for one in story.transactions(account) if "tradeOpened" in one]
    ids = Counter(one["tradeOpened"]["clientExtensions"]["id"] for one in fills)

    assert len(ids) > 0
    assert set(ids.values()) == {1}


def test_the_venue_and_the_journals_tell_the_same_fills(story: Story) -> None:
    venue, journal = story.venue_fills(), story.journal_fills()
    assert story.fills_agreed
    assert story.stopping_at is not None

    missing = [venue[name]["time"] for name in venue.keys() - journal.keys()]

    assert journal.keys() <= venue.keys()
    # A protective order may still fill while the fleet goes down: the resolver takes it up when it starts again.
    assert [at for at in missing if datetime.fromisoformat(at[:26] + "Z") < story.stopping_at] == []


def test_every_fill_has_the_venues_quantity_price_and_profit(story: Story) -> None:
    venue = story.venue_fills()

    for name, event in story.journal_fills().items():
        assert Decimal(event["quantity"]) == abs(Decimal(venue[name]["units"]))
        assert Decimal(event["price"]) == Decimal(venue[name]["price"])
        assert Decimal(event["realised"]) == Decimal(venue[name]["pl"])


def test_each_execution_stands_in_the_journals_once(story: Story) -> None:
    ids = Counter(e["transaction_id"] for e in story.records("order_event") if Decimal(e["quantity"]) > 0)

    assert [name for name, count in ids.items() if count > 1] == []


def test_each_order_was_intended_before_it_was_sent_and_once(story: Story) -> None:
    intents = Counter(record["client_order_id"] for record in story.records("order_intent"))
    sent = {event["client_order_id"] for event in story.records("order_event") if event["leg"] == "entry"}

    assert set(intents.values()) == {1}
    assert sent <= set(intents)


def test_each_filled_entry_was_published_exactly_once(story: Story) -> None:
    filled = {e["signal_id"] for e in story.records("order_event") if e["leg"] == "entry" and Decimal(e["quantity"])}
    opens = Counter(s["signal_id"] for s in story.records("signal") if s["action"] == "open")
    # A surface killed between fill and publication may come back too late for anybody to follow; it says so then.
    log = (story.house.logs / "oanda-fx.log").read_text()
    too_old = {signal_id for signal_id in filled if f"fill_too_old_to_publish signal={signal_id}" in log}

    assert set(opens.values()) == {1}
    assert filled - too_old == set(opens)
    assert len(too_old) <= 1


def test_each_resolution_is_of_a_signal_that_was_opened_and_comes_once(story: Story) -> None:
    opened = {one["signal_id"] for one in story.records("signal") if one["action"] == "open"}
    resolved = Counter(one["signal_id"] for one in story.records("resolution"))

    assert set(resolved.values()) == {1}
    assert set(resolved) <= opened


def test_each_end_is_published_before_or_with_its_resolution(story: Story) -> None:
    closed = {one["signal_id"] for one in story.records("signal") if one["action"] == "close"}

    assert {one["signal_id"] for one in story.records("resolution")} <= closed


def test_each_report_of_the_subscriber_is_stored_once(story: Story) -> None:
    reports = [one for one in story.journal("feed", "callbacks") if one["kind"] == "callback"]
    names = ("subscriber", "signal_id", "stage", "rev", "fill_id")
    keys = Counter(tuple(one.get(name) for name in names) for one in reports)

    assert {one["stage"] for one in reports} == {"ack", "executed", "resolved"}
    assert [key for key, count in keys.items() if count > 1] == []
    assert [one for one in story.journal("feed", "callbacks") if one["kind"] == "callback_conflict"] == []


def test_the_subscriber_reported_the_fills_its_own_account_has(story: Story) -> None:
    fills = {one["id"]: one for one in story.transactions(SUBSCRIBER_ACCOUNT) if "tradeOpened" in one}
    reports = [one for one in story.journal("feed", "callbacks") if one.get("stage") == "executed"]

    for report in reports:
        assert Decimal(report["price"]) == Decimal(fills[report["fill_id"]]["price"])
        assert Decimal(report["quantity"]) == abs(Decimal(fills[report["fill_id"]]["units"]))


def test_stop_refuses_every_candidate_and_sends_no_entry(story: Story) -> None:
    assert story.stop_began is not None and story.stop_ended is not None
    decisions = [d for d in story.records("decision") if story.stop_began < moment(d) < story.stop_ended]
    intents = [i for i in story.records("order_intent") if story.stop_began < moment(i) < story.stop_ended]
    entries = {i["client_order_id"] for i in intents if i["leg"] == "entry"}
    events = [e for e in story.records("order_event") if e["client_order_id"] in entries]

    # A turn that had begun may still have been judged without the file; the last look kept its order in.
    first = next(i for i, decision in enumerate(decisions) if decision["code"] == "STOPPED")
    assert {decision["code"] for decision in decisions[first:]} == {"STOPPED"}
    assert len(entries) <= first
    assert {event["state"] for event in events} <= {"absent"}


def test_entries_go_on_when_the_stop_file_is_gone(story: Story) -> None:
    assert story.stop_ended is not None
    loop = 60  # seconds on the demo's clock: ten turns of its loop
    later = [d for d in story.records("decision") if (moment(d) - story.stop_ended).total_seconds() > loop]

    assert len(later) > 0
    assert "STOPPED" not in {decision["code"] for decision in later}


def test_jq_reads_as_many_records_as_verify_counts(story: Story) -> None:
    found = json.loads(command(story.home, "audit", "verify", "--json").stdout)

    for name, report in found.items():
        files = sorted(map(str, (story.house.logs / name).glob("0*.jsonl")))
        done = subprocess.run(["jq", "-c", ".seq", *files], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert [int(line) for line in done.stdout.splitlines()] == list(range(1, report["records"] + 1))


def test_duckdb_reads_as_many_records_as_verify_counts(story: Story) -> None:
    found = json.loads(command(story.home, "audit", "verify", "--json").stdout)
    query = "SELECT log, count(*) FROM read_json(?, union_by_name = true) GROUP BY log"

    rows = duckdb.execute(query, [str(story.house.logs / "*" / "*" / "0*.jsonl")]).fetchall()

    assert dict(rows) == {name: report["records"] for name, report in found.items()}


def secrets_of(home: Path) -> set[str]:
    """Return every secret value the demo was given: from env files, from account files, from the client's settings."""
    found = set()
    for path in (home / "env").glob("*.env"):
        pairs = [line.partition("=") for line in path.read_text().splitlines()]
        found |= {value for key, _, value in pairs if key.endswith(("TOKEN", "SECRET"))}
    for path in (home / "env").glob("*.json"):
        found |= {account["token"] for account in json.loads(path.read_text())}
    config = (home / "state" / "demo-subscriber" / "config.toml").read_text()
    lines = [line.partition(" = ") for line in config.splitlines()]
    return found | {json.loads(value) for key, _, value in lines if key == "token"}


def test_no_secret_stands_in_any_log(story: Story) -> None:
    secrets = secrets_of(story.home)
    files = [path for path in story.house.logs.rglob("*") if path.is_file()] + [story.home / "output"]
    contents = {path: path.read_bytes() for path in files}

    # operator's and subscriber's venue tokens, the cursor secret, the feed token
    assert len(secrets) == 4
    assert all(len(secret) >= 32 for secret in secrets)
    assert [str(path) for path, raw in contents.items() if any(secret.encode() in raw for secret in secrets)] == []


def test_files_with_secrets_are_the_owners_alone(story: Story) -> None:
    private = [*story.home.glob("env/*.env"), *story.home.glob("env/*.json"), story.house.subscribers]
    private.append(story.home / "state" / "demo-subscriber" / "config.toml")

    assert {str(path): oct(path.stat().st_mode & 0o777) for path in private if path.stat().st_mode & 0o077} == {}


def test_each_process_stays_small(story: Story, record_property: Callable[[str, object], None]) -> None:
    record_property("rss_mib", story.rss)
    print({name: f"{mib:.1f} MiB" for name, mib in story.rss.items()})

    assert set(story.rss) == PROGRAMS
    assert {name: mib for name, mib in story.rss.items() if mib >= MOST_MIB} == {}


def test_audit_report_and_why_tell_the_same_story(story: Story) -> None:
    report = json.loads(command(story.home, "audit", "report", "--json").stdout)["fx"]
    resolution = story.records("resolution")[0]
    why = command(story.home, "audit", "why", resolution["signal_id"])

    assert report["candidates"] == len(story.records("decision"))
    assert sum(one["trades"] for one in report["outcomes"]) == len(story.records("resolution"))
    assert why.returncode == 0
    for word in ("admitted by all ten gates", "intended", "filled", "published", "resolved by"):
        assert word in why.stdout
