"""A surface and its resolver with a home of their own.

A test turns both loops by hand (``turn``, ``until``), which is what the processes do by themselves, or starts the
processes (``start``, ``end``).
"""

import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress

import warm_start

from domain.errors import Retry
from domain.house import House
from domain.vocabulary import Kind
from journal import read
from journal.key_files import create_key

HOUSEKEEPING = frozenset({Kind.SEGMENT_START, Kind.SEGMENT_END, Kind.RECOVERY})


class Pair:
    """One home, and the two that work in it.

    Attributes:
        environ: what their env file says.
        running: module -> its process.
        books, loop, resolver: of those that are turned by hand, None while they are closed.
    """

    def __init__(self, home, surface, began, environ):
        self.home, self.surface, self.environ = home, surface, environ
        self.house = House(home=home)
        self.running = {}
        self.books = self.loop = self.resolver = self._stack = None
        for name in ("logs", "state", "run", "keys", "env"):
            (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        if not any(self.house.keys.iterdir()):
            create_key(self.house.keys, surface, began)

    # ---------------------------------------------------------------- turned by hand

    def begin(self):
        """Begin a life of both; what it opens is entered into the stack that is returned."""
        self._stack, self._stop = ExitStack(), threading.Event()
        return self._stack

    def close(self):
        """Give back what is open, as processes that are told to end do."""
        if self._stack is None:
            return
        self._stop.set()
        if self.resolver is not None:
            self.resolver.run()
        if self.loop is not None:
            self.loop.shutdown()
        self._stack.close()
        self.books = self.loop = self.resolver = self._stack = None

    def turn(self, times=1):
        for _ in range(times):
            self.loop.on_tick()
            if self.resolver is not None:
                self.resolver.on_tick()
            time.sleep(0.02)

    def until(self, condition, what, seconds=60.0):
        """Turn until ``condition`` has a true answer, and return it; Retry is no answer."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(Retry):
                if answer := condition():
                    return answer
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self.said()}"
            self.turn()

    # ---------------------------------------------------------------- as processes

    def start(self, *modules, segment_bytes=None, cold=False, **changes):
        """Start surface and resolver, or those named, as the processes they are; ``cold`` forks none from another."""
        for module in modules or ("surfaces", "resolver"):
            words, log = [*_arguments(module, segment_bytes), str(self.surface)], self.home / f"{module}.log"
            self.running[module] = warm_start.start(words, env=self.environ | changes, log=log, cold=cold)
        return self

    def end(self, number=signal.SIGTERM):
        """Send a signal to every process and return their exit codes."""
        for process in self.running.values():
            process.send_signal(number)
        codes = [process.wait(timeout=15) for process in self.running.values()]
        self.running = {}
        return codes

    def finish(self):
        self.end(signal.SIGKILL)
        self.close()

    # ---------------------------------------------------------------- what was written

    def records(self, stream, kind=None):
        """Return what a journal holds on disk, its own housekeeping left out."""
        directory = self.house.log(self.surface, stream)
        rows = [entry.record for entry in read(directory)] if directory.exists() else []
        return [row for row in rows if (row["kind"] == kind if kind else row["kind"] not in HOUSEKEEPING)]

    def decisions(self, market=None):
        found = self.records("decisions", Kind.DECISION)
        return [row for row in found if market in (None, row["candidate"]["market"])]

    def codes(self, market=None):
        return Counter(row["code"] for row in self.decisions(market))

    def signals(self, action="open"):
        stream = "resolutions" if action == "close" else "signals"
        return [row for row in self.records(stream, Kind.SIGNAL) if row["action"] == action]

    def resolutions(self):
        return self.records("resolutions", Kind.RESOLUTION)

    def said(self):
        """Return the last that the processes said, for a failing test's message."""
        return "\n".join(log.read_text()[-3000:] for log in sorted(self.home.glob("*.log")))


def _arguments(module, segment_bytes):
    """Return how python runs a module, if asked for with segments so small that they rotate within seconds."""
    if segment_bytes is None:
        return ["-m", module]
    small = f"inspect.unwrap(Journal.open.__func__).__kwdefaults__['segment_bytes'] = {segment_bytes}"
    run = f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return ["-c", f"import inspect, runpy; from journal import Journal; {small}; {run}"]
