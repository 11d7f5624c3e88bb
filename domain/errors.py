"""The error tree, named by what the caller must do.

    TBotError
    ├── Retry          nothing happened; the same call may be made again later
    ├── Ask            the outcome is unknown; query by our own id before anything else
    ├── Refuse         this request is wrong or not allowed; do not repeat it unchanged
    ├── Halt           carrying on is unsafe; stop this process and call a person
    └── Misconfigured  a person must change a setting before the process can start

Every message says what was expected, what was found and what to do next. A message never holds a secret.
"""

import difflib
from collections.abc import Iterable


class TBotError(Exception):
    """Root of all errors raised on purpose."""

    exit_code = 1

    def __init__(self, expected: str, found: str, todo: str) -> None:
        super().__init__(f"expected {expected}; found {found}; {todo}")
        self.expected = expected
        self.found = found
        self.todo = todo


class Retry(TBotError):
    """Nothing happened: the call may be repeated after ``after_s`` seconds."""

    def __init__(self, expected: str, found: str, todo: str, *, after_s: float | None = None) -> None:
        super().__init__(expected, found, todo)
        self.after_s = after_s


class Ask(TBotError):
    """The outcome is unknown: ask the other side by our id, never resend blindly."""


class Refuse(TBotError):
    """The request is refused for good."""

    exit_code = 2


class Halt(TBotError):
    """The process cannot go on safely."""

    exit_code = 70


class Misconfigured(TBotError):
    """A setting is missing, unknown or wrong. 78 is sysexits' EX_CONFIG, listed in supervisord.conf."""

    exit_code = 78


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'X'?`` for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {str(near[0])!r}?" if near else ""
