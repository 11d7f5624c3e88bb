"""The demo's supervisord: one a home, gone with whoever started it, stopped once and cleanly."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import filelock

from domain.errors import Halt, Refuse, Retry
from fleet.demo_home import Demo
from fleet.lineage import die_with_parent
from fleet.supervision import Supervisor

STOP_WAIT_S = 60.0
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A person wants to stop: SIGINT, SIGTERM or SIGHUP arrived."""


class Fleet:
    """A running supervisord."""

    def __init__(self, process: "subprocess.Popen[bytes]", demo: Demo) -> None:
        self._process = process
        self._demo = demo

    def require_alive(self) -> None:
        """Raise Halt when supervisord has ended by itself: its children end with it."""
        code = self._process.poll()
        if code is not None:
            where = self._demo.house.logs / "supervisord.log"
            raise Halt("supervisord to run until it is told to stop", f"exit code {code}", f"read {where}")


@contextmanager
def only_demo(home: Path) -> Iterator[None]:
    """Hold the home for one demo at a time, and only while no other fleet runs in it.

    Raises:
        Refuse: a demo or another fleet runs there.
    """
    (home / "run").mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(home / "run" / "demo.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise Refuse(f"no demo running in {home}", "one that is", "stop it first, or give another --home") from error
    try:
        _require_no_fleet(home)
        yield
    finally:
        lock.release()


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into one ``Interrupted``, and pass over those that follow."""

    def stop(number: int, frame: FrameType | None) -> None:
        ignore_interrupts()
        raise Interrupted

    before = {number: signal.signal(number, stop) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_interrupts() -> None:
    """Let nothing cut short what is being ended."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def supervised(demo: Demo) -> Iterator[Fleet]:
    """Run supervisord in its own session, and stop it and everything under it at the end."""
    command = [str(Path(sys.executable).parent / "supervisord"), "-n", "-c", str(demo.config)]
    with (demo.house.logs / "supervisord.out").open("ab") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd=demo.house.home,
            preexec_fn=_begin,
        )
        try:
            _await_answer(demo, process)
            yield Fleet(process, demo)
        finally:
            ignore_interrupts()
            _stop(process)


def _begin() -> None:
    """Runs in the child: a demo whose terminal is gone must not trade on."""
    die_with_parent()
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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


def _require_no_fleet(home: Path) -> None:
    try:
        Supervisor(home).processes()
    except Retry:
        return
    raise Refuse(f"no fleet running in {home}", "a supervisord that answers", "stop it first, or give another --home")
