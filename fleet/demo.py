"""The demo: the real fleet under real supervisord against a simulated venue, shown live or judged at the end."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.live import Live

from audit.logs import verify_all
from domain.clock import parse_clock
from domain.errors import Halt, Retry
from fleet.demo_home import Demo, prepare
from fleet.status import FleetFacts, Watcher, surface_dict
from fleet.supervision import Supervisor
from fleet.view import line, page

STOP_WAIT_S = 60.0
INTERRUPTED = 130
FAILED = 1


class _Interrupted(Exception):
    """SIGINT or SIGTERM arrived."""


def run_demo(home: Path, *, seconds: float | None, as_json: bool) -> int:
    """Run the demo fleet and return the exit code.

    Args:
        seconds: real seconds to run; None runs until Ctrl-C.
        as_json: show nothing, judge at the end.
    """
    demo = prepare(home)
    watcher = Watcher(demo.house)
    with _interruptible(), _supervisord(demo):
        interrupted = _watch(demo, watcher, seconds=seconds, quiet=as_json)
        facts = watcher.look()
        memory = {process.name: process.rss_mib for process in facts.processes}
        received = _received(demo)
    return _finish(demo, watcher.look(), memory, received, as_json=as_json, interrupted=interrupted)


def result(facts: FleetFacts, memory: dict[str, float], received: int, *, verified: bool) -> dict[str, Any]:
    """Return what the demo proved, as plain values."""
    seen = facts.subscribers
    return {
        "surfaces": {name: surface_dict(tally) for name, tally in facts.surfaces.items()},
        "subscriber": {
            "received": received,
            "acked": seen.acked,
            "executed": seen.executed,
            "resolved": seen.resolved,
        },
        "journals_verified": verified,
        "rss_mib": memory,
    }


def is_success(outcome: dict[str, Any]) -> bool:
    """Tell whether every count is positive and every journal verified."""
    groups = [*outcome["surfaces"].values(), outcome["subscriber"]]
    return bool(outcome["surfaces"]) and outcome["journals_verified"] and all(n > 0 for g in groups for n in g.values())


def _finish(
    demo: Demo, facts: FleetFacts, memory: dict[str, float], received: int, *, as_json: bool, interrupted: bool
) -> int:
    reports = verify_all(demo.house.logs)
    verified = bool(reports) and all(report.ok for report in reports.values())
    outcome = result(facts, memory, received, verified=verified)
    if as_json:
        print(json.dumps(outcome))
        return 0 if is_success(outcome) else FAILED
    records = sum(report.records for report in reports.values())
    print(f"stopped; {len(reports)} journals with {records} records in {demo.house.logs}")
    print(
        f"journals {'verify' if verified else 'DO NOT VERIFY'}; look closer: audit report, audit why ID, audit verify"
    )
    if not verified:
        return FAILED
    return 0 if interrupted or is_success(outcome) else FAILED


def _watch(demo: Demo, watcher: Watcher, *, seconds: float | None, quiet: bool) -> bool:
    """Show the fleet until the time is over; return whether a person ended it."""
    deadline = None if seconds is None else time.monotonic() + seconds
    console = Console()
    try:
        if quiet:
            _wait(deadline)
        elif console.is_terminal:
            _show_page(demo, watcher, console, deadline)
        else:
            _show_lines(demo, watcher, deadline)
    except _Interrupted:
        return True
    return False


def _show_page(demo: Demo, watcher: Watcher, console: Console, deadline: float | None) -> None:
    with Live(console=console, auto_refresh=False, screen=False) as live:
        while _left(deadline) > 0:
            title = f"T BOT demo  {_venue_time(demo)}  Ctrl-C stops it"
            live.update(
                page(watcher.look(), title=title, addresses=_addresses(demo), width=console.width), refresh=True
            )
            time.sleep(min(0.5, max(0.0, _left(deadline))))


def _show_lines(demo: Demo, watcher: Watcher, deadline: float | None) -> None:
    for name, where in _addresses(demo).items():
        print(f"{name:12} {where}", flush=True)
    while _left(deadline) > 0:
        print(f"{_venue_time(demo)}  {line(watcher.look())}", flush=True)
        time.sleep(min(5.0, max(0.0, _left(deadline))))


def _wait(deadline: float | None) -> None:
    while _left(deadline) > 0:
        time.sleep(min(0.5, _left(deadline)))


def _left(deadline: float | None) -> float:
    return 1.0 if deadline is None else deadline - time.monotonic()


def _venue_time(demo: Demo) -> str:
    return f"{parse_clock(demo.house.clock).now():%a %Y-%m-%d %H:%M} UTC, recorded quotes"


def _addresses(demo: Demo) -> dict[str, str]:
    home = demo.house.home
    return {
        "feed": f"{demo.feed_url}/healthz",
        "venue": f"{demo.venue_url}/_sim/state",
        "journals": f"{demo.house.logs}",
        "stop entries": f"touch {demo.house.logs / 'STOP'}",
        "steer": f".venv/bin/supervisorctl -c {home / 'run' / 'supervisord.conf'} status",
    }


@contextmanager
def _supervisord(demo: Demo) -> Iterator[None]:
    """Run supervisord in its own session, and stop it and everything under it at the end."""
    log = (demo.house.logs / "supervisord.out").open("ab")
    command = [str(Path(sys.executable).parent / "supervisord"), "-n", "-c", str(demo.config)]
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=demo.house.home)
    try:
        _await_answer(demo, process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _await_answer(demo: Demo, process: "subprocess.Popen[bytes]") -> None:
    supervisor, deadline = Supervisor(demo.house.home), time.monotonic() + 20
    while True:
        try:
            supervisor.processes()
            return
        except Retry as error:
            if process.poll() is not None or time.monotonic() > deadline:
                where = demo.house.logs / "supervisord.out"
                raise Halt("supervisord to start", f"exit code {process.poll()}", f"read {where}") from error
            time.sleep(0.1)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into one clean stop."""

    def stop(number: int, frame: FrameType | None) -> None:
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_IGN)
        raise _Interrupted

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _received(demo: Demo) -> int:
    """Ask the subscriber's own client how many signals reached it."""
    command = [sys.executable, "-m", "tbot_client", "status", "--json", "--home", str(demo.subscriber_home)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    try:
        return int(json.loads(answer.stdout)["counts"]["received"])
    except (ValueError, KeyError, TypeError):
        return 0
