"""The text of a daily climate report (CLI), read strictly: its place, its day, its state and its high.

A report's example lines::

    CLINYC
    ...THE CENTRAL PARK NY CLIMATE SUMMARY FOR MAY 24 2023...
    VALID TODAY AS OF 0400 PM LOCAL TIME.
    TEMPERATURE (F)
     YESTERDAY
      MAXIMUM         77    205 PM  93    1972  73      4       67
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

_HEADING = re.compile(r"^CLI([A-Z0-9]{3})\s*$", re.MULTILINE)
_SUMMARY = re.compile(r"CLIMATE SUMMARY FOR\s+([A-Z]+)\s+(\d{1,2})\s+(\d{4})")
_AS_OF = re.compile(r"VALID\s+(?:TODAY\s+)?AS OF", re.IGNORECASE)
_HIGH = re.compile(r"^TEMPERATURE \(F\)\s*\n\s*(TODAY|YESTERDAY)\s*\n\s*MAXIMUM\s+(-?\d{1,3}|MM?)R?\b", re.MULTILINE)
_CORRECTED = re.compile(r"CLIMATE REPORT\W+CORRECTED|\bCC[A-Z]\s*$", re.IGNORECASE | re.MULTILINE)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one text says; ``high_f`` is None where it says that the value is missing."""

    location: str
    day: date
    high_f: Decimal | None
    is_final: bool
    is_correction: bool


def read(text: str) -> Reading:
    """Read a report.

    Raises:
        ValueError: a part is missing, or said twice in different words.
    """
    clean = text.replace("\r\n", "\n").upper()
    word, value = _one(_HIGH, clean, "a maximum under TEMPERATURE (F)")
    is_final = word == "YESTERDAY"
    if is_final and _AS_OF.search(clean):
        raise ValueError("expected a final report or one of the running day, found marks of both")
    return Reading(
        location=_one(_HEADING, clean, "a line CLI and a location")[0],
        day=_day(*_one(_SUMMARY, clean, "CLIMATE SUMMARY FOR and a day")),
        high_f=None if value.startswith("M") else Decimal(value),
        is_final=is_final,
        is_correction=_CORRECTED.search(clean) is not None,
    )


def _one(pattern: re.Pattern[str], text: str, what: str) -> tuple[str, ...]:
    found = {match.groups() for match in pattern.finditer(text)}
    if len(found) != 1:
        raise ValueError(f"expected {what}, once; found {len(found)}")
    return found.pop()


def _day(month: str, day: str, year: str) -> date:
    if month[:3] not in _MONTHS:
        raise ValueError(f"expected a month, found {month!r}")
    return date(int(year), _MONTHS.index(month[:3]) + 1, int(day))
