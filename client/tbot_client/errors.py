"""The client's error tree, named by what the caller must do, each with the exit code it ends the program with.

    ClientError          1
    ├── Retry            1   nothing happened; the same call may be made again later
    │   └── Stale        1   an answer older than one taken before
    ├── Ask              1   the outcome is unknown; query by our own id before anything else
    ├── Refused          1   the other side said no for good; `reason` is its word
    ├── Resync           1   the cursor can't be served; start again from the snapshot
    ├── HistoryChanged   1   the publisher's past is not what it was, or not signed by whom it should; no more entries
    ├── Busy             1   another process works in this home or on this account
    ├── Unreachable      4   feed or broker can't be reached, or does not accept our token
    │   └── NotThere     4   it answers, but has nothing at this address
    ├── Usage            2   an option on the command line is wrong
    └── Misconfigured   78   a person must change a setting

Every message says what was expected, what was found and what to do next, and never holds a secret.
"""

import difflib
from collections.abc import Iterable

OK, FAILURE, USAGE, DEGRADED, UNREACHABLE, STOPPED, CONFIG, INTERRUPTED = 0, 1, 2, 3, 4, 5, 78, 130


class ClientError(Exception):
    """Root of all errors raised on purpose."""

    exit_code = FAILURE

    def __init__(self, expected: str, found: str, todo: str) -> None:
        super().__init__(f"expected {expected}; found {found}; {todo}")
        self.expected = expected
        self.found = found
        self.todo = todo


class Retry(ClientError):
    """Nothing happened: the call may be repeated, after ``after_s`` seconds if the other side named a time."""

    def __init__(self, expected: str, found: str, todo: str = "trying again", *, after_s: float | None = None) -> None:
        super().__init__(expected, found, todo)
        self.after_s = after_s


class Stale(Retry):
    """An answer older than one taken before: of no use, and no harm."""


class Ask(ClientError):
    """The outcome is unknown: ask by our own id, never resend blindly."""


class Refused(ClientError):
    """The other side refused for good; ``reason`` is its own word for why."""

    def __init__(self, reason: str, expected: str, found: str, todo: str) -> None:
        super().__init__(expected, found, todo)
        self.reason = reason


class Resync(ClientError):
    """The feed can't go on from our cursor."""


class HistoryChanged(ClientError):
    """A line's bytes, a link, a head or a signature contradicts what was seen before or should be there.

    ``signer`` is ``<surface>:<key id>`` when all that is wrong is a key that the settings do not lead to.
    """

    def __init__(self, expected: str, found: str, todo: str, *, signer: str = "") -> None:
        super().__init__(expected, found, todo)
        self.signer = signer


class Busy(ClientError):
    """Another process holds the lock."""


class Unreachable(ClientError):
    """Feed or broker can't be reached or does not accept our token."""

    exit_code = UNREACHABLE


class NotThere(Unreachable):
    """The feed answers, but has nothing at this address."""


class Usage(ClientError):
    """An option on the command line is wrong."""

    exit_code = USAGE


class Misconfigured(ClientError):
    """A setting is missing, unknown or wrong."""

    exit_code = CONFIG


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""
