"""The supervisor: its configuration, its end, and what is said when it does not answer."""

import configparser
import http.server
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Misconfigured, Refuse, Retry
from fleet.envfile import write_env_file
from fleet.programs import FLEET
from fleet.supervision import LONGEST_SOCKET, Supervisor, write_config

ROOT = Path(__file__).parents[2]
SUPERVISORD = Path(sys.executable).parent / "supervisord"
# What a process looks like once its launcher has become it.
MODULES = {"feed": "-m feed", "simulator-oanda": "-m simulators.oanda"}


def until(what: str, holds: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)


class LightFleet:
    """Venue simulator and feed under a supervisord of their own: the two that start without anything to trade."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.supervisor = Supervisor(home)
        for name in ("env", "logs", "run", "state"):
            (home / name).mkdir()
        write_env_file(home / "env" / "feed.env", {"FEED_CURSOR_SECRET": "0123456789abcdef" * 2, "FEED_PORT": "0"})
        write_env_file(home / "env" / "simulator-oanda.env", {})
        accounts = [{"id": "101-001-1-001", "token": "a-token", "currency": "USD", "balance": "1000"}]
        (home / "env" / "simulator-oanda.json").write_text(json.dumps(accounts))
        self.config = write_config(home, {"simulator-oanda": ["--port", "0"]}, clock="real")
        self._leave_out(*(item.name for item in FLEET if not item.demo_only and item.name != "feed"))

    def _leave_out(self, *names: str) -> None:
        parser = configparser.RawConfigParser()
        parser.read(self.config)
        for name in names:
            parser.remove_section(f"program:{name}")
        with self.config.open("w") as file:
            parser.write(file)

    def start(self) -> "subprocess.Popen[bytes]":
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        log = (self.home / "logs" / "supervisord.out").open("ab")
        with log:
            return subprocess.Popen(
                [str(SUPERVISORD), "-n", "-c", str(self.config)],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
            )

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
        """Return name -> pids of the real processes, launchers that still wait left out."""
        lines = self.alive()
        return {name: [pid for pid, line in lines.items() if f"{mark} " in line] for name, mark in MODULES.items()}

    def feed_beats(self) -> bool:
        """Tell whether the feed that runs now has its heartbeat written: from then on a stop is known as one."""
        try:
            beat = json.loads((self.home / "run" / "feed.beat").read_text())
            running = {info["name"]: info["pid"] for info in self.supervisor.processes()}
        except (Retry, OSError, ValueError):
            return False
        return beat.get("phase") != "stopped" and beat["pid"] == running["feed"]

    def is_up(self) -> bool:
        try:
            states = {info["name"]: info["statename"] for info in self.supervisor.processes()}
        except Retry:
            return False
        return set(states.values()) == {"RUNNING"} and all(len(pids) == 1 for pids in self.workers().values())


@pytest.fixture
def short() -> Iterator[Path]:
    """Return a folder whose path leaves room for a socket."""
    home = Path(tempfile.mkdtemp(dir="/tmp", prefix="tb"))
    yield home
    shutil.rmtree(home)


@pytest.fixture
def fleet(short: Path) -> Iterator[LightFleet]:
    made = LightFleet(short)
    yield made
    for pid in made.alive():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


class RefusingServer(socketserver.ThreadingUnixStreamServer):
    """Answers whatever it is asked with one fault, as supervisord does while it stops."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))  # who is still asking could not be answered
            body = xmlrpc.client.dumps(xmlrpc.client.Fault(6, "SHUTDOWN_STATE")).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "a unix socket"

        def log_message(self, *_: object) -> None:
            pass


def test_a_supervisor_that_stops_is_told_in_words(short: Path) -> None:
    (short / "run").mkdir()
    with RefusingServer(str(short / "run" / "supervisor.sock"), RefusingServer.Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

        with pytest.raises(Retry, match="found it is stopping the fleet and itself; wait until it has ended"):
            Supervisor(short).processes()
        server.shutdown()


@pytest.mark.fleet
def test_shutdown_ends_everything(fleet: LightFleet) -> None:
    process = fleet.start()
    try:
        until("both programs to run", fleet.is_up, 40)

        fleet.supervisor.shutdown()

        assert process.wait(40) == 0
        assert fleet.alive() == {}
    finally:
        process.kill()
        process.wait()


@pytest.mark.fleet
def test_a_restart_on_purpose_is_no_crash(fleet: LightFleet) -> None:
    process = fleet.start()
    try:
        until("both programs to run", fleet.is_up, 40)
        words = [str(SUPERVISORD.parent / "supervisorctl"), "-c", str(fleet.config), "restart", "feed"]

        for _ in range(2):
            until("the feed's loop to turn", fleet.feed_beats, 40)
            assert subprocess.run(words, capture_output=True, timeout=60).returncode == 0
        until("the feed's loop to turn", fleet.feed_beats, 40)

        history = json.loads((fleet.home / "state" / "crashes" / "feed.json").read_text())
        assert history["crashes"] == []
    finally:
        process.terminate()
        process.wait(40)


@pytest.mark.fleet
def test_a_wrong_setting_stays_down_and_a_killed_program_comes_back(fleet: LightFleet) -> None:
    write_env_file(fleet.home / "env" / "feed.env", {"FEED_CURSOR_SECRET": "short"})
    process = fleet.start()

    def info(name: str) -> dict[str, Any]:
        try:
            return {one["name"]: one for one in fleet.supervisor.processes()}[name]
        except Retry:
            return {"statename": "", "exitstatus": None}

    try:
        until("the feed to end", lambda: info("feed")["statename"] == "EXITED", 40)
        until("the simulator to run", lambda: len(fleet.workers()["simulator-oanda"]) == 1, 40)
        ended, (first,) = info("feed"), fleet.workers()["simulator-oanda"]
        os.kill(first, signal.SIGKILL)
        until("it to come back", lambda: set(fleet.workers()["simulator-oanda"]) - {first}, 40)

        assert ended["exitstatus"] == 78
        assert info("feed")["start"] == ended["start"]
    finally:
        process.terminate()
        process.wait(40)


def test_a_supervisor_that_is_not_there_is_a_retry_that_says_what_to_do(short: Path) -> None:
    with pytest.raises(Retry, match="start the fleet"):
        Supervisor(short).processes()


def test_a_socket_that_nobody_listens_on_is_a_retry(short: Path) -> None:
    (short / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(short / "run" / "supervisor.sock"))

    with pytest.raises(Retry):
        Supervisor(short).processes()


def test_a_supervisor_that_stalls_is_a_retry_and_does_not_stall_who_asks(short: Path) -> None:
    (short / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(short / "run" / "supervisor.sock"))
        silent.listen()
        begun = time.monotonic()

        with pytest.raises(Retry):
            Supervisor(short, timeout_s=0.2).processes()

    assert time.monotonic() - begun < 5


DEMO_ONLY: dict[str, list[str]] = {item.name: [] for item in FLEET if item.demo_only}


def written(home: Path, **extra: list[str]) -> configparser.RawConfigParser:
    """Return the configuration of a demo with every program there is, some of them with arguments."""
    parser = configparser.RawConfigParser()
    given = DEMO_ONLY | {name.replace("_", "-"): words for name, words in extra.items()}
    parser.read(write_config(home, given, clock="real"))
    return parser


def programs_of(parser: configparser.RawConfigParser) -> dict[str, configparser.SectionProxy]:
    return {name.removeprefix("program:"): parser[name] for name in parser.sections() if name.startswith("program:")}


def test_the_written_configuration_names_its_own_home_and_every_program(tmp_path: Path) -> None:
    home = Path("/") / "h"  # never made: only the text is looked at
    text = write_config(tmp_path, {}, clock="real").read_text()
    parser = written(tmp_path, simulator_oanda=["--port", "1"], simulator_kalshi=["--port", "2"])

    programs = programs_of(parser)
    assert set(programs) == {item.name for item in FLEET}
    assert "%(here)s" not in text
    assert str(home) + "/" not in text
    assert programs["simulator-oanda"]["command"].endswith("fleet.launch simulator-oanda --port 1")
    assert programs["simulator-kalshi"]["command"].endswith("fleet.launch simulator-kalshi --port 2")
    assert f'TBOT_HOME="{tmp_path}"' in parser["supervisord"]["environment"]


def test_the_venues_start_before_those_who_ask_them_and_the_subscribers_last(tmp_path: Path) -> None:
    programs = programs_of(written(tmp_path))
    waves = [
        {name for name, section in programs.items() if int(section["priority"]) == priority}
        for priority in sorted({int(section["priority"]) for section in programs.values()})
    ]

    assert waves == [
        {f"simulator-{name}" for name in ("oanda", "kalshi", "nws", "coinbase", "models", "tws", "portal")},
        {"oanda-fx", "kalshi-st", "kalshi-lt", "ibkr-stk"},
        {"resolver-fx", "resolver-st", "resolver-lt", "resolver-stk"},
        {"feed"},
        {"demo-subscriber", "demo-subscriber-kalshi", "demo-subscriber-ibkr"},
    ]


def test_the_shipped_configuration_holds_every_program_that_is_not_of_the_demo() -> None:
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "supervisord.conf")
    programs = programs_of(parser)

    assert set(programs) == {item.name for item in FLEET if not item.demo_only}
    for name, section in programs.items():
        assert section["command"].endswith(f"-m fleet.launch {name}")
        assert section["exitcodes"] == "0,70,78"


def test_a_home_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * LONGEST_SOCKET)

    with pytest.raises(Refuse, match=str(LONGEST_SOCKET)):
        write_config(deep, {}, clock="real")


@pytest.mark.parametrize("odd", ["100%", "a;b", 'a"b'])
def test_a_home_that_supervisor_would_misread_is_refused(short: Path, odd: str) -> None:
    with pytest.raises(Refuse):
        write_config(short / odd, {}, clock="real")


def test_an_unknown_program_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="did you mean 'simulator-oanda'"):
        write_config(tmp_path, {"simulator-onda": []}, clock="real")
