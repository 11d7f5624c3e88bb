"""The demo's supervisord: one a home, gone with whoever started it, stopped once and cleanly."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import filelock

from audit.words import printable
from domain.errors import Halt, Refuse, Retry
from fleet.demo_home import Demo
from fleet.lineage import die_with_parent
from fleet.supervision import Supervisor

STOP_WAIT_S = 60.0
KEPT_BYTES = 16_384
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A person wants to stop: SIGINT, SIGTERM or SIGHUP arrived."""


class Said:
    """The end of what supervisord says on its own: kept here, because on the journals' disk a full one would end it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._kept = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def text(self) -> str:
        return self._kept.decode(errors="replace").strip()

    def close(self) -> None:
        """Let go of it once supervisord has ended; what still holds the other end of the pipe is not waited for."""
        self._reader.join(1.0)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as out:
            while piece := out.read1():  # type: ignore[attr-defined]  # a pipe opened for reading is buffered
                self._kept = (self._kept + piece)[-KEPT_BYTES:]


class Fleet:
    """A running supervisord."""

    def __init__(self, process: "subprocess.Popen[bytes]", demo: Demo, said: Said) -> None:
        self._process = process
        self._demo = demo
        self._said = said

    @property
    def said(self) -> str:
        """What supervisord said besides its log, such as why it can't write that."""
        return self._said.text()

    def require_alive(self) -> None:
        """Raise Halt when supervisord has ended by itself: its children end with it."""
        code = self._process.poll()
        if code is not None:
            where = self._demo.house.logs / "supervisord.log"
            raise Halt("supervisord to run until it is told to stop", _found(code, self._said), f"read {where}")


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
    # Silent: its log says the same, and a pipe whose reader was killed must not trip it while it stops the others.
    command = [str(Path(sys.executable).parent / "supervisord"), "-n", "--silent", "-c", str(demo.config)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=demo.house.home,
        preexec_fn=_begin,
    )
    said = Said(process)
    try:
        _await_answer(demo, process, said)
        yield Fleet(process, demo, said)
    finally:
        ignore_interrupts()
        _stop(process)
        said.close()


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


def _found(code: int | None, said: Said) -> str:
    """Return how supervisord ended, with the last line it said."""
    last = said.text().rpartition("\n")[2]
    return f"exit code {code}" + (f": {printable(last)}" if last else "")


def _await_answer(demo: Demo, process: "subprocess.Popen[bytes]", said: Said) -> None:
    supervisor, deadline = Supervisor(demo.house.home), time.monotonic() + 20
    while True:
        try:
            supervisor.processes()
            return
        except Retry as error:
            if process.poll() is not None or time.monotonic() > deadline:
                said.close()
                where = demo.house.logs / "supervisord.log"
                raise Halt("supervisord to start", _found(process.poll(), said), f"read {where}") from error
            time.sleep(0.1)


def _require_no_fleet(home: Path) -> None:
    try:
        Supervisor(home).processes()
    except Retry:
        return
    raise Refuse(f"no fleet running in {home}", "a supervisord that answers", "stop it first, or give another --home")
