"""Recorded daily highs and lows of Central Park, laid on any date.

The recording is 15 whole weeks, 29 November 2025 to 13 March 2026, and repeats every 15 weeks before and after: a day
of the clock shows the recorded day a whole number of weeks away from it. Recorded dates show themselves. The phase is
fixed, so every process agrees without being told more than the date.
"""

import csv
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path

from simulators.recordings.seeded import pick

DATA = Path(__file__).parent / "data"
FIRST, DAYS = date(2025, 11, 29), 105
# the climate day of the National Weather Service keeps standard time all year
EST = timezone(timedelta(hours=-5), "EST")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClimateDay:
    """One climate day; ``source`` is its recorded date, ``forecast_f`` Open-Meteo's forecast of the high, if any."""

    day: date
    source: date
    high_f: int
    low_f: int
    forecast_f: float | None


@cache
def climate_day(day: date) -> ClimateDay:
    """Return what was recorded for a date of the clock."""
    source = FIRST + timedelta(days=(day - FIRST).days % DAYS)
    high, low = _extremes()[source]
    return ClimateDay(day=day, source=source, high_f=high, low_f=low, forecast_f=_forecasts().get(source))


def date_of(moment: datetime) -> date:
    """Return the climate day a moment belongs to."""
    return moment.astimezone(EST).date()


def midnight(day: date) -> datetime:
    """Return the moment a climate day begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=EST).astimezone(UTC)


def preliminary_report_time(day: date) -> datetime:
    """Return when the afternoon's report of a climate day is issued: SYNTHETIC, shortly after 16:30 standard time."""
    return midnight(day) + timedelta(hours=16, minutes=32 + pick(9, "afternoon report", day))


def final_report_time(day: date) -> datetime:
    """Return when the report of the finished climate day is issued: SYNTHETIC, about 01:20 standard time."""
    return midnight(day) + timedelta(hours=25, minutes=15 + pick(10, "final report", day))


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="ascii", newline="") as lines:
        return list(csv.DictReader(lines))


@cache
def _extremes() -> dict[date, tuple[int, int]]:
    rows = _rows("knyc_cli_daily.csv")
    return {date.fromisoformat(row["date"]): (int(row["high_f"]), int(row["low_f"])) for row in rows}


@cache
def _forecasts() -> dict[date, float]:
    rows = _rows("openmeteo_nyc_daily_high.csv")
    return {date.fromisoformat(row["date"]): float(row["forecast_high_f"]) for row in rows}
