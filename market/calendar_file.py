"""The file an exchange's calendar is kept in: small JSON with a checksum, replaced whole or not at all.

``market.calendar_source`` writes it once a day and every loop reads it, so that no loop imports pandas for it.
"""

import json
import os
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from domain.clock import iso, parse_iso
from domain.errors import Misconfigured, Retry
from market.exchange_session import Session

VERSION = 1
FRESH = timedelta(days=1)
# The spellings in use for one and the same timetable: the other libraries and brokers know it by these.
ALIASES = {"NYSE": "XNYS", "NASDAQ": "XNYS", "XNAS": "XNYS", "ARCA": "XNYS"}
_NAME = re.compile(r"[A-Z0-9][A-Z0-9_/]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """The sessions of one exchange, oldest first, complete from ``first`` to ``last``, both included.

    ``source`` names what they were computed with, ``computed_at`` the moment on the clock of the process that asked.
    """

    name: str
    source: str
    computed_at: datetime
    first: date
    last: date
    sessions: tuple[Session, ...]

    def is_fresh(self, now: datetime) -> bool:
        """Tell whether it is of today; one from the future is of a simulated clock that has started again."""
        return abs(now - self.computed_at) < FRESH and self.covers(now)

    def covers(self, moment: datetime) -> bool:
        """Tell whether the days around ``moment`` lie inside, whatever the exchange's time zone."""
        day = moment.date()
        return self.first < day < self.last


def canonical(name: str) -> str:
    """Return the name a calendar is filed under.

    Raises:
        Misconfigured: it can be no calendar's name.
    """
    upper = name.strip().upper()
    if not _NAME.fullmatch(upper):
        raise Misconfigured("a calendar with a name such as XNYS", repr(name), "correct it")
    return ALIASES.get(upper, upper)


def path_of(directory: Path, name: str) -> Path:
    """Return where the calendar ``name`` is kept."""
    return directory / f"{canonical(name).replace('/', '-')}.json"


def read(path: Path) -> Timetable:
    """Read a calendar.

    Raises:
        Retry: the file is missing, damaged or of another version; until it is computed anew the market is closed.
    """
    try:
        raw = json.loads(path.read_bytes())
        if raw["version"] != VERSION:
            raise ValueError(f"version {raw['version']}")
        if raw["checksum"] != _checksum(raw):
            raise ValueError("a checksum of other content")
        return _timetable(raw)
    except FileNotFoundError as error:
        raise Retry("an exchange calendar", f"no file {path}", "it is computed at the next start") from error
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise Retry(
            "a whole exchange calendar", f"{error} in {path}", "remove the file; it is computed anew"
        ) from error


def write(path: Path, timetable: Timetable) -> None:
    """Replace the file, so that whoever reads it finds the old or the new one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = _content(timetable)
    content["checksum"] = _checksum(content)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.new")
    with scratch.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=0)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def _content(timetable: Timetable) -> dict[str, Any]:
    return {
        "version": VERSION,
        "name": timetable.name,
        "source": timetable.source,
        "computed_at": iso(timetable.computed_at),
        "first": timetable.first.isoformat(),
        "last": timetable.last.isoformat(),
        "sessions": [_row(session) for session in timetable.sessions],
    }


def _row(session: Session) -> str:
    """Write one session as one word a field: day, four times, and whether it is a half day."""
    times = (session.pre_open, session.open, session.close, session.post_close)
    shown = " ".join(moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in times)
    return f"{session.day.isoformat()} {shown} {'half' if session.is_half_day else 'full'}"


def _timetable(raw: dict[str, Any]) -> Timetable:
    sessions = tuple(_session(row) for row in raw["sessions"])
    if any(later.pre_open < earlier.post_close for earlier, later in pairwise(sessions)):
        raise ValueError("sessions out of order")
    return Timetable(
        name=raw["name"],
        source=raw["source"],
        computed_at=parse_iso(raw["computed_at"]),
        first=date.fromisoformat(raw["first"]),
        last=date.fromisoformat(raw["last"]),
        sessions=sessions,
    )


def _session(row: str) -> Session:
    day, pre_open, opens, closes, post_close, length = row.split(" ")
    return Session(
        day=date.fromisoformat(day),
        pre_open=parse_iso(pre_open),
        open=parse_iso(opens),
        close=parse_iso(closes),
        post_close=parse_iso(post_close),
        is_half_day=length == "half",
    )


def _checksum(content: dict[str, Any]) -> str:
    """Return the SHA-256 of everything else in the file, so that a bit that flipped moves no closing time."""
    rest = {key: value for key, value in content.items() if key != "checksum"}
    return sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
