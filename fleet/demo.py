"""The demo: the real fleet under real supervisord against a simulated venue, shown live or judged at the end."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from audit.logs import verify_all
from audit.tally import SubscriberTally
from domain.clock import parse_clock
from feed.token_store import load
from fleet.demo_fleet import Fleet, Interrupted, ignore_interrupts, interruptible, only_demo, supervised
from fleet.demo_home import ADDRESSES, Demo, clear, prepare
from fleet.status import FleetFacts, Watcher, surface_dict
from fleet.view import line, page
from journal.keys import Keyring

# Nobody should take the demo's results for those of a market.
SOURCES = "recorded: FX quotes, stock prices, weather, outcomes; synthetic: contract prices, forecasts"
# What every subscriber must have done by itself.
ALONE = ("received", "acked", "executed")
INTERRUPTED = 130
FAILED = 1


def run_demo(home: Path, *, seconds: float | None, as_json: bool, transport: str = "") -> int:
    """Run the demo fleet and return the exit code.

    Args:
        seconds: real seconds to run; None runs until Ctrl-C.
        as_json: show nothing, judge at the end.
        transport: which connection to IBKR the stock surface uses, ``tws`` or ``portal``.

    Raises:
        Refuse: the home is somebody's, or a fleet runs in it.
        Halt: supervisord did not start, or ended by itself.
    """
    home = home.resolve()
    try:
        with interruptible(), only_demo(home):
            return _run(prepare(home, transport), seconds=seconds, as_json=as_json)
    except Interrupted:
        print("stopped before the fleet was up", file=sys.stderr)
        return INTERRUPTED


def clear_demo(home: Path) -> int:
    """Move what the last demo left into ``demo-runs/``, so that the home can be traded from."""
    home = home.resolve()
    with only_demo(home):
        clear(home)
    print(f"{home} is free of demos; their runs are kept in {home / 'demo-runs'}")
    return 0


def _run(demo: Demo, *, seconds: float | None, as_json: bool) -> int:
    watcher = Watcher(demo.house)
    with supervised(demo) as fleet:
        interrupted = _watch(demo, watcher, fleet, seconds=seconds, quiet=as_json)
        ignore_interrupts()
        facts = watcher.look()
        memory = {process.name: process.rss_mib for process in facts.processes}
    # After the end, like the other counts: what a client acknowledges while it is stopped, it has received.
    return _finish(demo, watcher.look(), memory, _received(demo), as_json=as_json, interrupted=interrupted)


def result(
    facts: FleetFacts,
    memory: Mapping[str, float],
    received: Mapping[str, int],
    tokens: Mapping[str, str],
    *,
    verified: bool,
) -> dict[str, Any]:
    """Return what the demo proved, as plain values.

    Args:
        received: subscriber -> how many signals its own client has seen.
        tokens: subscriber -> the id of its token, under which the feed keeps its reports.
    """
    each = {name: facts.each_subscriber.get(tokens.get(name, ""), SubscriberTally()) for name in received}
    outcome: dict[str, Any] = {
        "surfaces": {name: surface_dict(tally) for name, tally in facts.surfaces.items()},
        "subscriber": _subscriber_dict(facts.subscribers, sum(received.values())),
        "subscribers": {name: _subscriber_dict(tally, received[name]) for name, tally in each.items()},
        "journals_verified": verified,
        "rss_mib": dict(memory),
    }
    return outcome | {"missing": missing(outcome)}


def _subscriber_dict(tally: SubscriberTally, received: int) -> dict[str, int]:
    return {"received": received, "acked": tally.acked, "executed": tally.executed, "resolved": tally.resolved}


def is_success(outcome: dict[str, Any]) -> bool:
    """Tell whether every count is positive and every journal verified."""
    return bool(outcome["surfaces"]) and bool(outcome["journals_verified"]) and not missing(outcome)


def missing(outcome: dict[str, Any]) -> list[str]:
    """Return what has not happened yet, such as ``fx resolved``.

    Each subscriber must have received, acknowledged and executed; resolved, any of them: a contract takes its time.
    """
    alone = {name: {what: counts[what] for what in ALONE} for name, counts in outcome["subscribers"].items()}
    groups = {**outcome["surfaces"], "subscriber": outcome["subscriber"], **alone}
    return [f"{name} {what}" for name, counts in groups.items() for what, count in counts.items() if count <= 0]


def _finish(
    demo: Demo,
    facts: FleetFacts,
    memory: Mapping[str, float],
    received: Mapping[str, int],
    *,
    as_json: bool,
    interrupted: bool,
) -> int:
    reports = verify_all(demo.house.logs, keyring=Keyring.load(demo.house.keys))
    verified = bool(reports) and all(report.ok for report in reports.values())
    tokens = {one.label: one.id for one in load(demo.house.subscribers)}
    outcome = result(facts, memory, received, tokens, verified=verified)
    if as_json:
        print(json.dumps(outcome))
        return 0 if is_success(outcome) else FAILED
    records = sum(report.records for report in reports.values())
    print(f"stopped; {len(reports)} journals with {records} records in {demo.house.logs}")
    print(f"journals {'verify' if verified else 'DO NOT VERIFY'}; look closer: .venv/bin/audit report")
    if interrupted or is_success(outcome):
        return 0 if verified or not reports else FAILED
    if verified:
        print(f"not seen yet: {', '.join(missing(outcome)) or 'any decision'}; give it longer, such as --for 60s")
    return FAILED


def _watch(demo: Demo, watcher: Watcher, fleet: Fleet, *, seconds: float | None, quiet: bool) -> bool:
    """Show the fleet until the time is over; return whether a person ended it."""
    deadline = None if seconds is None else time.monotonic() + seconds
    console = Console()
    try:
        if quiet:
            _wait(fleet, deadline)
        elif console.is_terminal:
            _show_page(demo, watcher, fleet, console, deadline)
        else:
            _show_lines(demo, watcher, fleet, deadline)
    except Interrupted:
        return True
    return False


def _show_page(demo: Demo, watcher: Watcher, fleet: Fleet, console: Console, deadline: float | None) -> None:
    # Above the page, where they can be copied from while it changes, and take none of its rows.
    _print_addresses(demo)
    with Live(console=console, auto_refresh=False, screen=False) as live:
        while _left(deadline) > 0:
            fleet.require_alive()
            title = f"T BOT demo  {_venue_time(demo)}  Ctrl-C stops it\n{SOURCES}"
            width, height = console.size
            live.update(page(watcher.look(), title=title, addresses={}, width=width, height=height - 1), refresh=True)
            time.sleep(min(0.5, max(0.0, _left(deadline))))


def _print_addresses(demo: Demo) -> None:
    for name, where in _addresses(demo).items():
        print(f"{name:14} {where}", flush=True)


def _show_lines(demo: Demo, watcher: Watcher, fleet: Fleet, deadline: float | None) -> None:
    print(SOURCES)
    _print_addresses(demo)
    while _left(deadline) > 0:
        fleet.require_alive()
        print(f"{_venue_time(demo)}  {line(watcher.look())}", flush=True)
        time.sleep(min(5.0, max(0.0, _left(deadline))))


def _wait(fleet: Fleet, deadline: float | None) -> None:
    while _left(deadline) > 0:
        fleet.require_alive()
        time.sleep(min(0.5, max(0.0, _left(deadline))))


def _left(deadline: float | None) -> float:
    return 1.0 if deadline is None else deadline - time.monotonic()


def _venue_time(demo: Demo) -> str:
    return f"{parse_clock(demo.house.clock).now():%a %Y-%m-%d %H:%M} UTC"


def _addresses(demo: Demo) -> dict[str, str]:
    home = demo.house.home
    return {
        "feed": f"{demo.feed_url}/healthz",
        **{f"venue {name}": f"{url}/_sim/state" for name, url in demo.urls.items()},
        "for a shell": f". {shlex.quote(str(home / 'run' / ADDRESSES))}",
        "journals": f"{demo.house.logs}",
        "clock": f"TBOT_CLOCK={demo.house.clock}",
        "stop entries": f"touch {demo.house.logs / 'STOP'}",
        "steer": f".venv/bin/supervisorctl -c {home / 'run' / 'supervisord.conf'} status",
    }


def _received(demo: Demo) -> dict[str, int]:
    """Ask the subscribers' own clients how many signals reached each."""
    return {home.name: _received_by(home) for home in demo.subscriber_homes}


def _received_by(home: Path) -> int:
    command = [sys.executable, "-m", "tbot_client", "status", "--json", "--home", str(home)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    try:
        return int(json.loads(answer.stdout)["counts"]["received"])
    except (ValueError, KeyError, TypeError):
        return 0
