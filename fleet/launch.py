"""The launcher: ``python -m fleet.launch <program>`` prepares a process and then becomes it.

It checks the env file, dies with its parent, makes sure that it is the only one, waits out a back-off, sets limits and
a clean environment, and execs. It works the same with nothing else of the fleet alive.
"""

import argparse
import fcntl
import json
import os
import resource
import struct
import sys
import time
from pathlib import Path

from domain.errors import Halt, Misconfigured, TBotError
from domain.house import House
from fleet import backoff
from fleet.demo_mark import require_no_demo
from fleet.envfile import clean_environment, read_env_file
from fleet.lineage import die_with_parent
from fleet.programs import FLEET, Program, program
from journal import beat, failpoints, redact

OPEN_FILES = 8192
# Longer than a graceful stop: after a supervisor was killed its children are still leaving when the next one starts.
SINGLETON_WAIT_S = 30.0
# supervisord restarts at once; what fails before the back-off (a full disk) must not be tried in a tight loop.
UNPREPARED_WAIT_S = 10.0


def main() -> int:
    """Launch the program named on the command line; return only when it could not be launched."""
    parser = argparse.ArgumentParser(prog="python -m fleet.launch", description=__doc__)
    parser.add_argument("program", help=", ".join(item.name for item in FLEET))
    parser.add_argument("extra", nargs=argparse.REMAINDER, help="arguments handed to the program")
    given = parser.parse_args()
    try:
        launch(program(given.program), given.extra)
    except TBotError as error:
        print(redact.text(f"launch {given.program}: {error}"), file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(redact.text(f"launch {given.program}: {error}"), file=sys.stderr)
        time.sleep(UNPREPARED_WAIT_S)
        return 1
    return 0


def launch(item: Program, extra: list[str]) -> None:
    """Become ``item``.

    Raises:
        Misconfigured: its env file can't be used, the home is a demo's, or it keeps crashing.
        Halt: another copy of it is running.
    """
    house = House(home=Path(os.environ.get("TBOT_HOME", ".")).resolve())
    require_no_demo(house.home, os.environ)
    own = _settings(house.home / "env" / f"{item.env}.env")
    _follow_parent(house)
    _take_singleton(house.run / f"{item.name}.lock", item.name)
    _back_off(house, item)
    _limit(item)
    environment = clean_environment(os.environ, own) | {"TBOT_HOME": str(house.home), "PYTHONUNBUFFERED": "1"}
    os.execve(sys.executable, [sys.executable, *item.command(house.home), *extra], environment)  # noqa: S606


def _settings(path: Path) -> dict[str, str]:
    """Read the program's env file, which must not ask for failures: only a test's own environment may."""
    own = read_env_file(path)
    if failpoints.KEY in own:
        raise Misconfigured(f"no {failpoints.KEY} in a fleet", f"it in {path}", "remove the line")
    return own


def _follow_parent(house: House) -> None:
    """Die with the supervisor from here on; one that is dead already left an orphan, which must not begin."""
    parent = os.getppid()
    try:
        die_with_parent()
    except OSError as error:
        raise Halt("prctl to work", str(error), "run on Linux") from error
    if os.getppid() != parent or _is_orphan(house, parent):
        raise Halt("the supervisor to be alive", "it died while launching", "start the supervisor again")


def _is_orphan(house: House, parent: int) -> bool:
    """Tell whether the supervisor died before we could ask whose child we are: then its pid file names another one."""
    if "SUPERVISOR_ENABLED" not in os.environ:
        return False
    try:
        return int((house.run / "supervisord.pid").read_text()) != parent
    except (OSError, ValueError):
        return False


def _take_singleton(path: Path, name: str) -> None:
    """Hold an OFD lock for the life of the process; the descriptor stays open across exec."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(descriptor, True)
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    deadline = time.monotonic() + SINGLETON_WAIT_S
    while not _try_lock(descriptor, wanted):
        if time.monotonic() > deadline:
            owner = path.read_text().strip() or "unknown"
            raise Halt(f"to be the only {name}", f"process {owner} running", "stop that one first")
        time.sleep(0.1)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _try_lock(descriptor: int, wanted: bytes) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
    except BlockingIOError:
        return False
    return True


def _back_off(house: House, item: Program) -> None:
    path = house.state / "crashes" / f"{item.name}.json"
    now = time.time()
    before = backoff.load(path)
    history = backoff.after_start(before, now, clean=item.beats and _ended_without_a_crash(house, item, before))
    if backoff.is_looping(history):
        raise backoff.refuse_loop(item.name, path)
    wait_s = backoff.with_jitter(backoff.delay_s(history, now))
    backoff.save(path, history)
    if wait_s > 0:
        print(f"launch {item.name}: waiting {wait_s:.1f} s after crash {len(history.crashes)}", file=sys.stderr)
        time.sleep(wait_s)


def _ended_without_a_crash(house: House, item: Program, before: backoff.History) -> bool:
    """Tell whether the last run noted its end; one that died before its first beat left that of an earlier run."""
    path = house.heartbeat(item.name)
    try:
        phase: object = json.loads(path.read_text())["phase"]
        written = path.stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return phase in beat.NO_CRASH and (before.last_start is None or written >= before.last_start)


def _limit(item: Program) -> None:
    bound = item.data_mib * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    os.umask(0o027)


if __name__ == "__main__":
    raise SystemExit(main())
