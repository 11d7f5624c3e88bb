"""When the feed was last heard, and how long it was not: what a silence is measured by and an absence is known by."""

import contextlib
import json
import os
from datetime import datetime, timedelta

from tbot_client.book import Book, say
from tbot_client.clock import Clock, iso, parse_iso
from tbot_client.home import Home
from tbot_client.wire import Page

# Longer than the longest wait for news and one that has to be asked again.
ABSENT_S = 120.0
# From here a person should mend the clock of the machine, though a run does not depend on it.
WRONG_S = 2.0
JUDGED = "signals are judged by the feed's"


class Contact:
    """Silence is counted by a clock nobody sets, from the start of this run on; no wrong clock ends it or makes it."""

    def __init__(self, home: Home, clock: Clock, book: Book) -> None:
        self._home = home
        self._clock = clock
        self._book = book
        self._heard_s = clock.monotonic()
        self._heard_at = last_heard(home)
        self._is_first = True
        self._is_warned = False
        self.absence: datetime | None = None

    def silent_s(self) -> float:
        """Return for how many real seconds the feed was not heard."""
        return self._clock.monotonic() - self._heard_s

    def correct(self, page: Page) -> None:
        """Take over the feed's time, and tell of a clock that is wrong or was set."""
        step = self._clock.stepped_s() if self._clock.is_real else 0.0
        if step:
            say(f"this machine's clock was set by {step:+.1f} s while running; going on by the feed's")
        self._clock.correct(page.server_time, page.asked_s, page.got_s)
        is_wrong = self._clock.is_real and abs(self._clock.offset_s) > WRONG_S
        if is_wrong and not self._is_warned:
            ahead = f"{-self._clock.offset_s:+.1f} s"
            say(f"this machine's clock is {ahead} from the feed's; {JUDGED}")
        self._is_warned = is_wrong

    def note_absence(self, why: str = "") -> None:
        """Write an absence down when this answer ends one; ``why`` says that the place was lost as well."""
        now, before = self._clock.now(), self._heard_at
        if before is None or self.absence is not None:
            return
        # A restart is measured by the feed's clock, because the machine's may have been set since.
        away_s = (now - before).total_seconds() / self._clock.speed if self._is_first else self.silent_s()
        if why or away_s > ABSENT_S:
            why = why or ("restart" if self._is_first else "silence")
            self._book.insist({"kind": "absence", "since": iso(before), "until": iso(now), "why": why})
            self.absence = before

    def heard(self, *, is_genuine: bool, heads: dict[str, int]) -> None:
        """Remember this moment; an answer that is not the publisher's own ends no silence."""
        if not is_genuine:
            return
        self._is_first = False
        self._heard_s, self._heard_at = self._clock.monotonic(), self._clock.now()
        told = {
            "at": iso(self._heard_at),
            "offset_s": round(self._clock.offset_s, 3),
            "bound_s": None if self._clock.bound_s is None else round(self._clock.bound_s, 3),
            "heads": heads,
            "pid": os.getpid(),
        }
        partial = self._home.contact.with_suffix(".new")
        with contextlib.suppress(OSError):
            partial.write_text(json.dumps(told))
            partial.replace(self._home.contact)


def last_heard(home: Home) -> datetime | None:
    """Return when the feed was last heard, by its own clock; None if never."""
    try:
        return parse_iso(json.loads(home.contact.read_text())["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def spoken(length: timedelta) -> str:
    """Write a length of time for a person."""
    seconds = round(length.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds} s"
