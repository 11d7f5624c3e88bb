"""Resolved questions of prediction markets, laid on the weeks of the clock.

Each question resolves once a week, on its real weekday: its dates are moved by whole weeks, and in every week it is
moved by one week more. Its life is SHORTENED: between the recorded freeze and the recorded resolution lie 31 days in
the middle of the set, on the clock 18 to 42 seeded hours, from Fridays to Mondays 29 to 67. The hour of resolution is
seeded, from 06:00 to 22:00 UTC; only the date is recorded. A run longer than a week meets the same questions again.
"""

import csv
import gzip
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from simulators.recordings.seeded import share

DATA = Path(__file__).parent / "data"
_FIRST_HOUR, _HOURS = 6, 16
_SHORTEST_HOURS, _SPREAD_HOURS = 18, 24
# few questions came out on Fridays and at weekends: there, longer lives keep as many open
_THIN, _LONGER = 80, 1.6
WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question as recorded; ``due`` is the date of its question set, ``resolved`` when it came out as ``outcome``."""

    id: str
    source: str
    category: str
    due: date
    resolved: date
    freeze_price: float
    outcome: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """A question in one week of the clock; ``weeks`` is how far its dates were moved."""

    question: Question
    weeks: int
    opens: datetime
    resolves: datetime


@cache
def questions() -> tuple[Question, ...]:
    """Return every recorded question, in the order of the file."""
    with gzip.open(DATA / "forecastbench_questions.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        return tuple(_question(row) for row in csv.DictReader(lines))


def _question(row: dict[str, str]) -> Question:
    return Question(
        id=row["question_id"],
        source=row["source"],
        category=row["category"],
        due=date.fromisoformat(row["due_date"]),
        resolved=date.fromisoformat(row["resolution_date"]),
        freeze_price=float(row["freeze_price"]),
        outcome=row["outcome"] == "1",
        text=row["question"],
    )


@cache
def _by_weekday() -> dict[int, list[Question]]:
    days: dict[int, list[Question]] = {weekday: [] for weekday in range(7)}
    for question in questions():
        days[question.resolved.weekday()].append(question)
    return days


@cache
def resolving_on(day: date) -> tuple[Occurrence, ...]:
    """Return the questions that resolve on a UTC date of the clock, in the order of their resolution."""
    found = [_occurrence(question, day) for question in _by_weekday()[day.weekday()]]
    return tuple(sorted(found, key=lambda occurrence: occurrence.resolves))


def _occurrence(question: Question, day: date) -> Occurrence:
    start = datetime(day.year, day.month, day.day, _FIRST_HOUR, tzinfo=UTC)
    resolves = start + timedelta(seconds=int(share("hour", question.id, day) * _HOURS * 3600))
    hours = _SHORTEST_HOURS + _SPREAD_HOURS * share("life", question.id, day)
    if len(_by_weekday()[day.weekday()]) < _THIN:
        hours *= _LONGER
    life = timedelta(minutes=int(hours * 60))
    opens = (resolves - life).replace(second=0)
    weeks = (day - question.resolved).days // 7
    return Occurrence(question=question, weeks=weeks, opens=opens, resolves=resolves)
