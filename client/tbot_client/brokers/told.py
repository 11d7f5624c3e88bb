"""A file of what a broker did with our orders, one line each, in the order in which it was learned.

Brokers that number nothing only have lists without a common order, whose entries may show up late and move out of
reach while a position is held. Here each event is written down once, so that "what is new since" has an answer over
any restart.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tbot_client.book import say
from tbot_client.brokers.port import Event, NotFilled, Opened
from tbot_client.clock import iso, parse_iso
from tbot_client.journal import GENESIS, Journal, Record, is_full, read


class Told:
    """The lines of one file; it is made with its first one, so that looking at an account leaves nothing.

    ``fold`` takes a record and its time in, and returns the event it means, if any.
    """

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._path = path
        self._now = now
        self._journal: Journal | None = None
        self._events: list[Event | None] = []
        self._seals: list[str] = []
        self._owed: list[Record] = []
        self.newest: datetime | None = None

    def fold(self, record: Record, at: datetime) -> Event | None:
        raise NotImplementedError

    def load(self) -> None:
        """Take in what the file has."""
        for record in read(self._path):
            self._take_in(record)
            self._seals.append(record["c"])

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    @property
    def last_id(self) -> str:
        """Return the place behind all that is on the disk: how many lines, and the seal of the last."""
        return f"{len(self._seals)}-{self._seals[-1] if self._seals else GENESIS}"

    def after(self, last_id: str) -> list[Event]:
        """Return what was learned after a place; everything, if the place is not one of this file."""
        return self.since_count(self._place(last_id))

    @property
    def count(self) -> int:
        """Return how many lines there are, written yet or not."""
        return len(self._events)

    def since_count(self, count: int) -> list[Event]:
        """Return what was learned after so many lines."""
        return [event for event in self._events[count:] if event is not None]

    def _place(self, last_id: str) -> int:
        count, _, seal = last_id.partition("-")
        if count.isdigit() and 0 < int(count) <= len(self._seals) and self._seals[int(count) - 1] == seal:
            return int(count)
        return 0

    def of(self, client_id: str) -> list[Event]:
        """Return what became of an entry by our id."""
        return [
            event for event in self._events if isinstance(event, Opened | NotFilled) and event.client_id == client_id
        ]

    def write(self, record: Record) -> None:
        """Make a line durable and take it in; without room it is taken in all the same, and written later.

        What is not written yet comes after `last_id`, so that after a crash it is told again.
        """
        self._owed.append(record)
        self._take_in(record)
        try:
            if self._journal is None:
                self._journal = Journal(self._path, lambda: iso(self._now()))
            while self._owed:
                self._journal.append([self._owed[0]])
                self._seals.append(self._journal.seal)
                del self._owed[0]
        except OSError as error:
            if not is_full(error):
                raise
            say(f"! {self._path.name} can't be written ({error}); to be written later")

    def _take_in(self, record: Record) -> None:
        at = parse_iso(record["time"])
        self.newest = at if self.newest is None else max(self.newest, at)
        self._events.append(self.fold(record, at))
