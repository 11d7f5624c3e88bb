"""The journal and the state it adds up to, written together."""

import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from tbot_client.clock import Clock, iso
from tbot_client.journal import Journal, Record, read
from tbot_client.state import State


class Book:
    """The one place through which anything is remembered: durable first, then known."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._journal = Journal(path, lambda: iso(clock.now()))
        self.state = State(read(path))

    def write(self, *records: Record) -> None:
        """Make ``records`` durable and take them in."""
        self._journal.append(list(records))
        for record in records:
            self.state.apply(record)

    def close(self) -> None:
        self._journal.close()


def say(text: str) -> None:
    """Tell the person who started the program; standard output is kept for data."""
    print(text, file=sys.stderr, flush=True)


def day_of(moment: datetime) -> str:
    return moment.date().isoformat()


def optional(number: Decimal | None) -> str | None:
    return None if number is None else str(number)
