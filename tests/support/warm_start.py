"""Programs started without paying for their imports each time: forked from a process that has them behind it.

A start costs 20 ms instead of the half second that fastapi, pydantic and httpx take. What runs is the same module with
the same words, environment, folder and files, in a process of its own. At the full dose nothing is forked: every
program is started as its users start it.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARENT = Path(__file__).with_name("warm_parent.py")
# Program -> what its parent imports beforehand.
_KALSHI = "brokers.kalshi.client"
IMPORTS = {
    "feed": "feed.__main__",
    "surfaces": f"journal.process,surfaces.oanda_fx.wire,surfaces.kalshi_st.wire,surfaces.kalshi_lt.wire,{_KALSHI}",
    "resolver": f"journal.process,resolver.oanda_fx.wire,resolver.kalshi_st.wire,resolver.kalshi_lt.wire,{_KALSHI}",
    "simulators.oanda": "simulators.oanda.run",
    "tbot_client": "tbot_client.cli,tbot_client.loop,tbot_client.factory",
    "cli.tbot": "cli.tbot,audit.logs,feed.token_store,fleet.status",
    "cli.audit": "cli.audit,audit.logs,audit.report",
}
is_warm = True
_parents: dict[str, "Parent"] = {}
_making = threading.Lock()


class Parent:
    """One program's parent; asked by one thread at a time."""

    def __init__(self, imports: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PARENT), imports], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, bufsize=0,
        )  # fmt: skip
        self._asking = threading.Lock()
        assert self._process.stdout.readline() == b"0\n", imports

    def ask(self, order: dict[str, object]) -> int | None:
        with self._asking:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Forked:
    """A forked program, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, parent: Parent, order: dict[str, object]) -> None:
        self._parent = parent
        self.returncode: int | None = None
        self.pid = int(parent.ask(order))

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._parent.ask({"look": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.005)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    words: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path = ROOT, err: Path | None = None, cold=False
):
    """Start ``python words…``, ``cold`` unforked; what it says is appended to ``log``, or its errors to ``err``."""
    program = program_of(words)
    if cold or not is_warm or program is None:
        with log.open("ab") as out, (err or log).open("ab") as errors:
            return subprocess.Popen([sys.executable, *words], cwd=cwd, env=dict(env), stdout=out, stderr=errors)
    order = {"words": list(words), "env": dict(env), "cwd": str(cwd), "out": str(log), "err": str(err or log)}
    return Forked(_parent(program), order)


def run(words: Sequence[str], *, env: Mapping[str, str], cwd: Path = ROOT, timeout: float = 60):
    """Run ``python words…`` to its end; return what `subprocess.run` would."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = start(words, env=env, log=out, err=err, cwd=cwd)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        return subprocess.CompletedProcess([sys.executable, *words], code, out.read_text(), err.read_text())


def command(name: str, *words: str, env: Mapping[str, str], timeout: float = 60):
    """Run ``tbot`` or ``audit`` as their scripts do."""
    text = f"import sys; from cli.{name} import main; sys.argv[0] = {name!r}; sys.exit(main())"
    return run(["-c", text, *words], env=env, timeout=timeout)


def program_of(words: Sequence[str]) -> str | None:
    """Return the program that these words run, if its imports are known."""
    if words[0] == "-m":
        return words[1] if words[1] in IMPORTS else None
    marks = {name: (f"run_module({name!r}", f"from {name} import main;") for name in IMPORTS}
    return next((name for name, found in marks.items() if any(mark in words[1] for mark in found)), None)


def _parent(program: str) -> Parent:
    with _making:
        if program not in _parents:
            _parents[program] = Parent(IMPORTS[program])
        return _parents[program]


@atexit.register
def end_all() -> None:
    """End the parents, and with them whatever a failed test left running."""
    while _parents:
        _parents.popitem()[1].end()
