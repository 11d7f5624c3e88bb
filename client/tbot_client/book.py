"""The journal and the state it adds up to, written together."""

import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from tbot_client.clock import Clock, iso
from tbot_client.compact import MOST_BYTES, compact
from tbot_client.journal import Journal, Record, read
from tbot_client.state import State


class Book:
    """The one place through which anything is remembered: durable first, then known."""

    def __init__(self, path: Path, clock: Clock, most_bytes: int = MOST_BYTES) -> None:
        self._clock = clock
        # First the journal, which sets a torn end aside; then the fold, in a shorter file if this one grew long.
        self._journal = Journal(path, self._now)
        if self._is_shortened(path, most_bytes):
            self._journal.close()
            self._journal = Journal(path, self._now)
        self.state = State(read(path))
        self._owed: list[Record] = []

    def _now(self) -> str:
        return iso(self._clock.now())

    def _is_shortened(self, path: Path, most_bytes: int) -> bool:
        try:
            return compact(path, self._now, most_bytes)
        except OSError as error:
            say(f"the journal could not be shortened ({error}); going on with the long one")
            return False

    @property
    def is_starved(self) -> bool:
        """Tell whether something was done that could not be written down yet."""
        return bool(self._owed)

    def write(self, *records: Record) -> None:
        """Make ``records`` durable and take them in; several are one line, which no crash can part."""
        self._settle()
        for record in self._append(list(records)):
            self.state.apply(record)

    def insist(self, record: Record) -> None:
        """Take ``record`` in even when it can't be written: for what lessens risk, and may not wait.

        It is written before anything else as soon as there is room. A crash before that loses it; then the feed tells
        of it again, because the cursor has not moved.
        """
        try:
            self.write(record)
        except OSError as error:
            what = f"{record['kind']} {record.get('signal_id', '')}".strip()
            say(f"! the journal can't be written ({error}); taken in all the same, to be written later: {what}")
            stamped = {"at": self._now()} | record
            self._owed.append(stamped)
            self.state.apply(stamped)

    def _settle(self) -> None:
        if self._owed:
            self._append(self._owed)
            self._owed = []

    def _append(self, records: list[Record]) -> list[Record]:
        return self._journal.append(records if len(records) == 1 else [{"kind": "all", "records": records}])

    def close(self) -> None:
        self._journal.close()


def say(text: str) -> None:
    """Tell the person who started the program; standard output is kept for data."""
    print(text, file=sys.stderr, flush=True)


def day_of(moment: datetime) -> str:
    return moment.date().isoformat()


def optional(number: Decimal | None) -> str | None:
    return None if number is None else str(number)
