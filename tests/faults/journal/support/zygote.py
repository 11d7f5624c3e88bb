"""A process that has the journal imported and forks writers on request: a start costs 2 ms instead of 200.

Reads one JSON object a line: ``{"run": name, "args": {…}}`` answers the child's pid, ``{"wait": pid}`` its exit code
(negative: the signal). At the end of its input it kills what it started.
"""

import ctypes
import json
import os
import signal
import sys

import lock_turns
import writers

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Leave nothing running behind a test that was killed itself."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def child(name: str, args: dict[str, object]) -> None:
    """Run one function of `writers` and leave without the parent's clean-up."""
    die_with_parent()
    code = 70
    try:
        (getattr(writers, name, None) or getattr(lock_turns, name))(**args)
        code = 0
    except Exception as error:  # noqa: BLE001  a test reads the name of what ended the child
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def serve() -> None:
    running: set[int] = set()
    # Not buffered: a child must not inherit half of the parent's input.
    with os.fdopen(os.dup(0), "rb", buffering=0) as requests:
        for line in iter(requests.readline, b""):
            order = json.loads(line)
            if "wait" in order:
                answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
                running.discard(order["wait"])
            else:
                answer = os.fork()
                if answer == 0:
                    child(order["run"], order["args"])
                running.add(answer)
            os.write(1, b"%d\n" % answer)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    die_with_parent()
    serve()
