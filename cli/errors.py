"""How an error reaches a person at the terminal: one message on stderr, and an exit code that says what kind it was.

0 ok, 1 failure, 2 usage or refused, 3 degraded (something is down, or an audit found problems), 4 unreachable or not
allowed, 5 stopped, 78 a setting is wrong, 130 Ctrl-C.
"""

import sys
from collections.abc import Callable

import typer

from domain.errors import Retry, TBotError
from journal import redact

FAILURE = 1
UNREACHABLE = 4
INTERRUPTED = 130


def run(app: typer.Typer) -> None:
    """Run a command line and turn our errors into a message and an exit code."""
    raise SystemExit(guarded(lambda: app(standalone_mode=True)))


def guarded(action: Callable[[], object]) -> int:
    """Call ``action``; print an error of ours instead of a traceback, and return the exit code."""
    try:
        action()
    except Retry as error:
        print(redact.text(f"error: {error}"), file=sys.stderr)
        return UNREACHABLE
    except TBotError as error:
        print(redact.text(f"error: {error}"), file=sys.stderr)
        return error.exit_code
    except OSError as error:
        wanted = "to read and write the files of the home"
        found = redact.text(f"error: expected {wanted}; found {error}; check owner, permissions and free space")
        print(found, file=sys.stderr)
        return FAILURE
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0
