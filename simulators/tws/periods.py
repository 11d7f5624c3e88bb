"""Bar sizes, lengths and ends of requests for history, in the broker's words."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from simulators.ibkr.clock import NEW_YORK, local_date, moment
from simulators.ibkr.sessions import Session, session_before, session_of
from simulators.tws.refusal import Refused, invalid

DAY = 86_400
_SIZES: dict[str, int] = {
    **{f"{number} secs": number for number in (1, 5, 10, 15, 30)},
    "1 min": 60,
    **{f"{number} mins": number * 60 for number in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": 3600,
    **{f"{number} hours": number * 3600 for number in (2, 3, 4, 8)},
    "1 day": DAY,
}
# bars of so many seconds may be asked for so many seconds at once
_LONGEST = {1: 2000, 5: 10_000, 10: 14_400, 15: 14_400, 30: 28_800}
_LENGTH = re.compile(r"(\d+) ([SDWMY])\Z")
_DAYS = {"D": 1, "W": 7, "M": 30, "Y": 365}
# a month of minutes, a year of hours, twenty years of days
_MOST_BARS = 50_000
_YEAR, _MOST_YEARS = 365, 20
_FIRST_YEAR, _LAST_YEAR = 1990, 2100
_END = re.compile(r"(\d{8})([ -])(\d{2}:\d{2}(?::\d{2})?)(?: (\S+))?\Z")


def bar_seconds(text: str, request: int) -> int:
    """Return the length of a bar.

    Raises:
        Refused: no such bars are made.
    """
    wanted = {"1 sec": "1 secs", "1D": "1 day", "1 days": "1 day", "1 hours": "1 hour", "1 mins": "1 min"}
    seconds = _SIZES.get(wanted.get(text, text))
    if seconds is None:
        raise invalid(request, f"Historical data bar size setting is invalid. Legal ones are: {', '.join(_SIZES)}")
    return seconds


def _parsed(text: str, request: int) -> tuple[int, str]:
    found = _LENGTH.match(text)
    if found is None or int(found[1]) == 0:
        raise invalid(request, "Historical data query length is invalid: expected an integer and one of S, D, W, M, Y")
    return int(found[1]), found[2]


def check_length(seconds: int, text: str, request: int) -> None:
    """Refuse more bars than one request may ask for.

    Raises:
        Refused: the length cannot be read or is too long.
    """
    number, unit = _parsed(text, request)
    length = number if unit == "S" else number * _DAYS[unit] * DAY
    if unit == "S" and number > DAY:
        raise invalid(request, "Historical data requests for durations longer than 86400 seconds must be made in days")
    if unit == "D" and number > _YEAR:
        raise invalid(request, "Historical data requests for durations longer than 365 days must be made in years")
    if length > _LONGEST.get(seconds, min(_MOST_BARS * seconds, (1 if seconds < DAY else _MOST_YEARS) * _YEAR * DAY)):
        raise Refused(request, 162, "Historical Market Data Service error message:Time length exceed max.")


def moment_of(text: str, now: datetime, request: int) -> tuple[datetime, bool]:
    """Return the end of a request, and whether its zone was named; without a text it is now.

    ``YYYYMMDD-HH:MM:SS`` is UTC; with a space the zone may follow, and is New York without one.

    Raises:
        Refused: the text is no such time.
    """
    if not text:
        return now, True
    found = _END.match(text)
    try:
        if found is None or (found[2] == "-" and found[4]) or not _FIRST_YEAR <= int(text[:4]) <= _LAST_YEAR:
            raise ValueError(text)
        zone = UTC if found[2] == "-" else ZoneInfo(found[4]) if found[4] else NEW_YORK
        clock = found[3] if found[3].count(":") == 2 else f"{found[3]}:00"
        at = datetime.strptime(f"{found[1]} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=zone)
    except (ValueError, ZoneInfoNotFoundError) as exc:
        cause = "The date, time, or time-zone entered is invalid. The correct format is yyyymmdd hh:mm:ss xx/xxxx"
        raise Refused(request, 10314, f"End Date/Time: {cause}") from exc
    return at.astimezone(UTC), found[2] == "-" or bool(found[4])


def start_of(end: datetime, length: str, use_rth: bool, request: int) -> datetime:
    """Return where a request begins: seconds are seconds of trading, days are trading days."""
    number, unit = _parsed(length, request)
    if unit == "S":
        return _before(end, number, use_rth)
    if unit == "D":
        return _days_before(end, number, use_rth)
    back = end - timedelta(days=_DAYS[unit] * number)
    return midnight(back)


def midnight(at: datetime) -> datetime:
    """Return the beginning of a time's day in New York."""
    return at.astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _hours(session: Session, use_rth: bool) -> tuple[int, int]:
    return (session.open, session.close) if use_rth else (session.pre_open, session.post_close)


def _last_begun(end_ms: int, use_rth: bool) -> Session:
    session = session_of(local_date(end_ms))
    if session is not None and _hours(session, use_rth)[0] < end_ms:
        return session
    return session_before(local_date(end_ms))


def _days_before(end: datetime, days: int, use_rth: bool) -> datetime:
    session = _last_begun(int(end.timestamp() * 1000), use_rth)
    for _ in range(days - 1):
        session = session_before(session.day)
    return moment(_hours(session, use_rth)[0])


def _before(end: datetime, seconds: int, use_rth: bool) -> datetime:
    at, left = int(end.timestamp() * 1000), seconds * 1000
    session = _last_begun(at, use_rth)
    while True:
        first, last = _hours(session, use_rth)
        open_for = min(at, last) - first
        if open_for >= left:
            return moment(min(at, last) - left)
        left -= open_for
        session = session_before(session.day)
        at = _hours(session, use_rth)[1]
