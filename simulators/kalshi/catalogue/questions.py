"""KXFB…: one contract on each recorded question of ForecastBench."""

import hashlib
from datetime import date, datetime, timedelta
from functools import cache, lru_cache, partial
from itertools import accumulate

from simulators.kalshi.catalogue.chances import kept_open, logistic, logit
from simulators.kalshi.catalogue.codes import date_code, spoken_date
from simulators.kalshi.listing import Listing, Series
from simulators.recordings.questions import Occurrence, Question, questions, resolving_on
from simulators.recordings.seeded import normal, pick

_SOURCES = {"infer": "INF", "manifold": "MAN", "metaculus": "MET", "polymarket": "PLY"}
_CATEGORIES = {
    "climate": ("CLI", "Climate and Weather"),
    "economics": ("ECO", "Economics"),
    "entertainment": ("ENT", "Entertainment"),
    "politics": ("POL", "Politics"),
    "science": ("SCI", "Science and Technology"),
    "sports": ("SPO", "Sports"),
    "technology": ("TEC", "Science and Technology"),
    "world": ("WLD", "World"),
}
_STEP, _STEP_LOGIT = timedelta(hours=1), 0.05


def series_ticker(question: Question) -> str:
    """Return the family of a question: where it was asked and what it is about."""
    return f"KXFB{_SOURCES[question.source]}{_CATEGORIES[question.category][0]}"


@cache
def series() -> tuple[Series, ...]:
    """Return the families that hold a question."""
    kinds = {series_ticker(question): question for question in questions()}
    return tuple(
        Series(
            ticker=ticker,
            title=f"{_CATEGORIES[question.category][1]} questions of {question.source}",
            category=_CATEGORIES[question.category][1],
            frequency="custom",
            settlement_sources=(("ForecastBench", "https://www.forecastbench.org"),),
        )
        for ticker, question in sorted(kinds.items())
    )


@lru_cache(maxsize=32)
def of_day(day: date) -> tuple[Listing, ...]:
    """Return the contracts that resolve on a UTC date."""
    return tuple(_listing(day, occurrence) for occurrence in resolving_on(day))


def _listing(day: date, occurrence: Occurrence) -> Listing:
    question = occurrence.question
    family = series_ticker(question)
    # the hash keeps a ticker short where the source's own id has 66 letters
    ticker = f"{family}-{date_code(day)}-{hashlib.sha256(question.id.encode()).hexdigest()[:6].upper()}"
    determined = occurrence.resolves + timedelta(minutes=2)
    return Listing(
        ticker=ticker,
        event_ticker=ticker,
        series_ticker=family,
        title=question.text,
        event_title=question.text,
        yes_sub_title="Yes",
        no_sub_title="No",
        rules_primary=_primary(question),
        rules_secondary=_secondary(occurrence, day),
        strike_type="custom",
        floor_strike=None,
        cap_strike=None,
        open_time=occurrence.opens,
        close_time=occurrence.resolves,
        expected_expiration_time=occurrence.resolves + timedelta(hours=1),
        latest_expiration_time=occurrence.resolves + timedelta(days=7),
        determined_at=determined,
        settled_at=determined + timedelta(minutes=5),
        result="yes" if question.outcome else "no",
        expiration_value="",
        can_close_early=False,
        mutually_exclusive=False,
        fair=partial(_fair, ticker, question.freeze_price, occurrence.opens),
        half_spread=0.01 if question.source in ("polymarket", "infer") else 0.015,
        depth=100 + 50 * pick(7, "depth", ticker),
        note=_note(occurrence),
    )


def _fair(ticker: str, price: float, opens: datetime, moment: datetime) -> float:
    """Return the freeze price after a seeded walk in log odds that knows nothing of the outcome."""
    path = _walk(ticker)
    place = min(max((moment - opens) / _STEP, 0.0), len(path) - 1.001)
    left = int(place)
    shift = path[left] + (place - left) * (path[left + 1] - path[left])
    return kept_open(logistic(logit(kept_open(price)) + shift))


@lru_cache(maxsize=1024)
def _walk(ticker: str) -> tuple[float, ...]:
    steps = (_STEP_LOGIT * normal("walk", ticker, step) for step in range(48))
    return tuple(accumulate(steps, initial=0.0))


def _primary(question: Question) -> str:
    return f"If the answer to the question “{question.text}” is yes, then the market resolves to Yes."


def _secondary(occurrence: Occurrence, day: date) -> str:
    question = occurrence.question
    return (
        f"The question was asked on {question.source} and collected by ForecastBench; its answer is that of the "
        "resolution set of ForecastBench. Dates inside the question are the original ones. The contract itself was "
        f"moved by whole weeks onto this calendar and is decided on {spoken_date(day)}. Later changes of the answer "
        "are ignored. If the question was annulled at its source, the market is void and every contract is paid at "
        "its last fair price."
    )


def _note(occurrence: Occurrence) -> str:
    question = occurrence.question
    return (
        f"Recorded: text, price at the freeze before {question.due.isoformat()}, date of resolution "
        f"{question.resolved.isoformat()} (moved by {occurrence.weeks} weeks) and outcome; ForecastBench, CC BY-SA "
        f"4.0, question {question.id} of {question.source}. Synthetic: the hours, a life shortened to about a day, "
        "and a price that walks around the freeze price without knowing the outcome."
    )
