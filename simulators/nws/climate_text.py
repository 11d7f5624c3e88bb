"""The text of a climate report, laid out as the office prints it.

Normals, records and last year's values are not recorded here: they read MM, the service's own mark for a missing value.
"""

from datetime import date, datetime
from typing import Protocol

from simulators.nws.place import NEW_YORK, OFFICE_STATION, Station
from simulators.recordings.climate import EST

_RULE = "." * 64
# not strftime's %a and %b, which follow the machine's language
_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


class Report(Protocol):
    """What the text is made of."""

    @property
    def day(self) -> date: ...
    @property
    def issued(self) -> datetime: ...
    @property
    def final(self) -> bool: ...
    @property
    def correction(self) -> bool: ...
    @property
    def high_f(self) -> int: ...
    @property
    def low_f(self) -> int: ...
    @property
    def high_at(self) -> datetime: ...
    @property
    def low_at(self) -> datetime: ...
    @property
    def rain_in(self) -> str: ...


def climate_text(report: Report, place: Station, warmer_f: int = 0) -> str:
    """Return the whole product, headings included."""
    lines = [
        *_headings(report, place),
        *_opening(report, place),
        *_temperatures(report, warmer_f),
        "",
        "PRECIPITATION (IN)",
        f"  {_word(report):<15}{report.rain_in:>6}          MM     MM     MM      MM     MM",
        "",
        _RULE,
        "",
        "-  INDICATES NEGATIVE NUMBERS.",
        "R  INDICATES RECORD WAS SET OR TIED.",
        "MM INDICATES DATA IS MISSING.",
        "T  INDICATES TRACE AMOUNT.",
        "",
        "$$",
        "",
    ]
    return "\n".join(lines)


def _headings(report: Report, place: Station) -> list[str]:
    local = report.issued.astimezone(NEW_YORK)
    when = f"{_clock(local)} {local.tzname()} {_DAYS[local.weekday()]} {_spoken(local.date())}"
    title = "CLIMATE REPORT...CORRECTED" if report.correction else "CLIMATE REPORT"
    mark = " CCA" if report.correction else ""
    head = f"CDUS41 {OFFICE_STATION} {report.issued:%d%H%M}{mark}"
    return [
        "000",
        head,
        f"CLI{place.climate_id}",
        "",
        title,
        "NATIONAL WEATHER SERVICE NEW YORK, NY",
        when,
        "",
        _RULE,
        "",
    ]


def _opening(report: Report, place: Station) -> list[str]:
    lines = [f"...THE {place.title} CLIMATE SUMMARY FOR {_spoken(report.day)}..."]
    if not report.final:
        lines.append("VALID TODAY AS OF 0400 PM LOCAL TIME.")
    return [
        *lines,
        "",
        "CLIMATE NORMAL PERIOD 1991 TO 2020",
        f"CLIMATE RECORD PERIOD 1869 TO {report.day.year}",
        "",
        "WEATHER ITEM   OBSERVED TIME   RECORD YEAR NORMAL DEPARTURE LAST",
        "                VALUE   (LST)  VALUE       VALUE  FROM      YEAR",
        "                                                  NORMAL",
        _RULE,
    ]


def _temperatures(report: Report, warmer_f: int) -> list[str]:
    high, low = report.high_f + warmer_f, report.low_f + warmer_f
    average = (high + low + 1) // 2
    return [
        "TEMPERATURE (F)",
        f" {_word(report)}",
        _reading("MAXIMUM", high, _clock(report.high_at.astimezone(EST))),
        _reading("MINIMUM", low, _clock(report.low_at.astimezone(EST))),
        f"  {'AVERAGE':<11}{average:>5}                        MM     MM       MM",
    ]


def _reading(name: str, value: int, clock: str) -> str:
    return f"  {name:<11}{value:>5}   {clock:>7}  MM    MM     MM     MM       MM"


def _word(report: Report) -> str:
    return "YESTERDAY" if report.final else "TODAY"


def _clock(moment: datetime) -> str:
    hour = moment.hour % 12 or 12
    return f"{hour}{moment.minute:02} {'AM' if moment.hour < 12 else 'PM'}"


def _spoken(day: date) -> str:
    return f"{_MONTHS[day.month - 1]} {day.day} {day.year}"
