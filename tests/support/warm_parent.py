"""A process that has a program's imports behind it and forks the program on request, for `warm_start`.

    python warm_parent.py MODULE

Reads one JSON object a line: ``{"words": […], "env": {…}, "cwd": …, "out": …, "err": …}`` answers the child's pid,
``{"look": pid}`` its exit code (negative: the signal) or null while it runs. It ends with its input, and what it
started with it. The words are what would follow ``python``: ``-m module …`` or ``-c text …``.
"""

import contextlib
import importlib
import json
import os
import runpy
import signal
import sys
from typing import Any


class Leave(BaseException):
    """Unwinds a child out of the loop of its parent."""


def serve() -> None:
    running: set[int] = set()
    # Not buffered: a child must not inherit half of the parent's input.
    with os.fdopen(os.dup(0), "rb", buffering=0) as requests:
        for line in iter(requests.readline, b""):
            order = json.loads(line)
            if "look" in order:
                answer = look(order["look"], running)
            else:
                answer = os.fork()
                if answer == 0:
                    become(order)
                    requests.close()
                    raise Leave(order["words"])
                running.add(answer)
            os.write(1, json.dumps(answer).encode() + b"\n")
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def look(pid: int, running: set[int]) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        return None
    running.discard(pid)
    return os.waitstatus_to_exitcode(status)


def become(order: dict[str, Any]) -> None:
    """Take on the environment, the place and the files that a process of its own would have been given."""
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    for target, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
        flags = os.O_RDONLY if target == 0 else os.O_WRONLY | os.O_APPEND | os.O_CREAT
        found = os.open(path, flags, 0o600)
        os.dup2(found, target)
        os.close(found)


def run(words: list[str]) -> None:
    kind, what, *rest = words
    sys.argv = ["-c", *rest] if kind == "-c" else [what, *rest]
    if kind == "-c":
        exec(what, {"__name__": "__main__"})  # noqa: S102  a test's own text, as `python -c` would run it
    else:
        runpy.run_module(what, run_name="__main__", alter_sys=True)


def main() -> None:
    for name in sys.argv[1].split(","):
        with contextlib.suppress(SystemExit):
            importlib.import_module(name)
        sys.modules.pop(name, None) if name.endswith("__main__") else None
    os.write(1, b"0\n")
    words = None
    try:
        serve()
    except Leave as left:
        (words,) = left.args
    # Run here, below no frame of the parent's: the program ends as it would alone, by leaving the interpreter.
    if words:
        run(words)


if __name__ == "__main__":
    main()
