"""The command ``python -m market.calendar_source NAME``: computes an exchange's calendar and files it.

It runs as a child process once a day: exchange_calendars brings pandas, which no loop should carry.
"""

import argparse
import fcntl
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from domain.clock import parse_iso
from domain.errors import Misconfigured, Retry, TBotError
from market.calendar_file import Timetable, canonical, path_of, read, write
from market.exchange_session import Session

# A year each way: next year's sessions are asked for in December, last year's by a window of day trades in January.
SPAN = timedelta(days=366)
# Trading around the regular hours is our own rule, in New York: exchange_calendars knows regular hours only.
EXTENDED = frozenset({"XNYS"})
PRE_OPEN, POST_CLOSE, HALF_DAY_POST_CLOSE = time(4), time(20), time(17)


def main() -> int:
    """File the calendar named on the command line, unless the one there is of that day."""
    parser = argparse.ArgumentParser(prog="python -m market.calendar_source", description=__doc__)
    parser.add_argument("name", help="XNYS, or any other name that exchange_calendars knows")
    parser.add_argument("--directory", type=Path, required=True, help="where calendars are kept, e.g. state/calendars")
    parser.add_argument("--at", type=parse_iso, required=True, help="the moment it is on the asking process's clock")
    given = parser.parse_args()
    try:
        file(given.directory, given.name, given.at)
    except (TBotError, OSError, ValueError) as error:
        print(f"calendar {given.name}: {error}", file=sys.stderr)
        if isinstance(error, Misconfigured):  # in parts, for a process that names the setting it has the name from
            print(json.dumps([error.expected, error.found, error.todo]))
        return error.exit_code if isinstance(error, TBotError) else 1
    return 0


def file(directory: Path, name: str, now: datetime) -> None:
    """Compute and file a calendar; whoever asks at the same time waits here and finds it done."""
    path = path_of(directory, name)
    directory.mkdir(parents=True, exist_ok=True)
    with _alone(path.with_suffix(".lock")):
        if not _is_fresh(path, now):
            write(path, compute(name, now))


def compute(name: str, now: datetime) -> Timetable:
    """Return the calendar of the years around ``now``.

    Raises:
        Misconfigured: no such calendar, or one whose exchange closes for lunch, which we do not model.
    """
    import exchange_calendars as vendor  # noqa: PLC0415  half a second and 80 MiB, wasted when the file is fresh

    wanted = canonical(name)
    if wanted not in vendor.get_calendar_names():
        # No nearest name: XNZE, which is nearest to XNYZ, is New Zealand's.
        names = ", ".join(sorted(one for one in vendor.get_calendar_names(include_aliases=False) if one.isupper()))
        todo = f"take XNYS for New York, or one of: {names}"
        raise Misconfigured("a calendar that exchange_calendars knows", repr(name), todo)
    first, last = (now - SPAN).date(), (now + SPAN).date()
    calendar = vendor.get_calendar(wanted, start=first.isoformat(), end=last.isoformat())
    if calendar.schedule[["break_start", "break_end"]].notna().any(axis=None):
        raise Misconfigured("a calendar of an exchange without a lunch break", repr(name), "use another one")
    return Timetable(
        name=wanted,
        source=f"exchange_calendars {version('exchange_calendars')}",
        computed_at=now,
        first=first,
        last=last,
        sessions=tuple(_sessions(wanted, calendar)),
    )


def _sessions(name: str, calendar: Any) -> Iterator[Session]:
    halves = {moment.date() for moment in calendar.early_closes}
    for label, row in zip(calendar.schedule.index, calendar.schedule.itertuples(), strict=True):
        day, opens, closes = label.date(), _utc(row.open), _utc(row.close)
        is_half_day = day in halves
        before, after = opens, closes
        if name in EXTENDED:
            before = _local(day, PRE_OPEN, calendar.tz)
            after = _local(day, HALF_DAY_POST_CLOSE if is_half_day else POST_CLOSE, calendar.tz)
        yield Session(day=day, pre_open=before, open=opens, close=closes, post_close=after, is_half_day=is_half_day)


def _utc(stamp: Any) -> datetime:
    moment: datetime = stamp.to_pydatetime()
    return moment.astimezone(UTC)


def _local(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)


def _is_fresh(path: Path, now: datetime) -> bool:
    try:
        return read(path).is_fresh(now)
    except Retry:
        return False


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    raise SystemExit(main())
