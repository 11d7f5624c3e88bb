"""Bracket Brier scores of the weather estimate beside climatology, a fixed normal, and the market's own quotes.

    python -m bench weather      (python -m bench.weather --data FOLDER)

Each day is scored with what was known before it: forecasts' errors are learnt from earlier days only, the market is
read at the same moment. The recorded quotes come from days of which no forecast was recorded; what stands beside them
there is persistence, yesterday's high, and it is expected to lose.
"""

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import erf, sqrt
from pathlib import Path
from typing import NamedTuple

from bench._research import data_folder, parquet
from forecast.blending import MarketWeight, blend_chances
from forecast.error_model import Error, HighErrors
from forecast.weather import Highs, distribution

CLI, FORECASTS = "weather_cli/knyc_cli_daily.parquet", "weather_cli/openmeteo_nyc_daily_high_forecast.parquet"
MARKETS, QUOTES = "kalshi_kxhighny/kxhighny_markets.parquet", "kalshi_kxhighny/kxhighny_quotes.parquet"
LEAD_HOURS = 24.0
FIRST_SCORED = 10
DAY, EST = timedelta(days=1), timedelta(hours=5)
TIGHT = Decimal("0.02")
# Hours after the climate day begins at which market and model are compared; before it, the day before yesterday's
# high is the last one known.
MOMENTS = {"day before, 17:00": -7, "07:00": 7, "12:00": 12, "16:00": 16}
CONTRACTS = "SELECT event_date, ticker, strike_type, floor_strike, cap_strike, result_from_cli FROM {}"
Bracket = tuple[int | None, int | None]
Belief = Callable[[int | None, int | None], float]


class Listed(NamedTuple):
    """A contract as recorded."""

    ticker: str
    kind: str
    floor: float | None
    cap: float | None
    result: str

    @property
    def bracket(self) -> Bracket:
        low = None if self.floor is None else int(self.floor) + (self.kind == "greater")
        return low, None if self.cap is None else int(self.cap) - (self.kind == "less")


def normal(mean: float, spread: float) -> Belief:
    """Return the chance that a normal's nearest whole degree lies in a bracket."""

    def below(limit: float) -> float:
        return 0.5 * (1.0 + erf((limit - mean) / (spread * sqrt(2.0))))

    return lambda low, high: (1.0 if high is None else below(high + 0.5)) - (0.0 if low is None else below(low - 0.5))


def of(highs: Highs) -> Belief:
    return lambda low, high: highs.between(*(None if end is None else Decimal(end) for end in (low, high)))


def brackets(middle: float) -> list[Bracket]:
    """Return a set as the venue lists it: a tail, four brackets of two degrees around ``middle``, a tail."""
    bottom = round(middle) - 4
    inner: list[Bracket] = [(low, low + 1) for low in range(bottom, bottom + 8, 2)]
    return [(None, bottom - 1), *inner, (bottom + 8, None)]


def score(belief: Belief, wanted: Sequence[Bracket], high: int) -> float:
    """Return the mean Brier score over the brackets of a day."""
    return statistics.fmean(
        (belief(low, top) - float((low is None or high >= low) and (top is None or high <= top))) ** 2
        for low, top in wanted
    )


def midnight(day: date) -> datetime:
    """Return when a climate day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + EST


def recorded_highs(folder: Path) -> dict[date, int]:
    return {day.date(): high for day, high in parquet(folder / CLI, "SELECT date, high_f FROM {} ORDER BY 1")}


def climatology(highs: dict[date, int], day: date, days: int = 30) -> Belief:
    """Return a normal through the highs of the days before the last one, which is not published yet."""
    past = [highs[day - step * DAY] for step in range(2, days + 2) if day - step * DAY in highs]
    return normal(statistics.fmean(past), max(statistics.pstdev(past), 3.0))


def show_forecasts(folder: Path) -> None:
    """Score recorded forecasts of the high: learnt errors beside fixed ones and climatology."""
    highs = recorded_highs(folder)
    forecasts = {
        day.date(): float(value)
        for day, value in parquet(folder / FORECASTS, "SELECT date, forecast_high_f FROM {} ORDER BY 1")
    }
    ours, neutral = HighErrors(), HighErrors(lambda lead_hours: Error(0.0, 2.5))
    scores: dict[str, list[float]] = {}
    for number, (day, forecast) in enumerate(sorted(forecasts.items())):
        now, wanted = midnight(day), brackets(forecast)
        beliefs = {
            "ours, errors learnt": of(distribution(forecast, ours.error(LEAD_HOURS, now), None, None, 0.0)),
            "ours, learnt from bias 0 and 2.5 °F": of(
                distribution(forecast, neutral.error(LEAD_HOURS, now), None, None, 0.0)
            ),
            "normal, fixed at bias 0 and 2.5 °F": normal(forecast, 2.5),
            "normal, fixed at bias 0 and 4 °F": normal(forecast, 4.0),
            "climatology of 30 days": climatology(highs, day),
        }
        if number >= FIRST_SCORED:
            for name, belief in beliefs.items():
                scores.setdefault(name, []).append(score(belief, wanted, highs[day]))
        for fold in (ours, neutral):
            # The report of a day is out by the next noon; by the next midnight it is history.
            fold.learn(now + DAY, LEAD_HOURS, forecast, float(highs[day]))
    count = len(next(iter(scores.values())))
    print(f"Central Park, {count} days from 5 February to 14 March 2026, six brackets a day (Brier a bracket)")
    for name, found in scores.items():
        print(f"  {name:<38} {statistics.fmean(found):.4f}")
    print("  The defaults of the first were set with these days in view; the second shows what is learnt without them.")


def persistence(highs: dict[date, int], day: date, lag: int) -> Belief | None:
    """Return a normal around the last known high, as wide as earlier changes over as many days (at least six)."""
    last = day - lag * DAY
    changes = [float(highs[d] - highs[d - lag * DAY]) for d in highs if d <= last and d - lag * DAY in highs]
    if last not in highs or len(changes) < 6:
        return None
    return normal(highs[last], max(statistics.pstdev(changes), 3.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A contract at one of the moments of the day: what each would have said, and what came of it."""

    name: str
    at: datetime
    known: datetime
    market: float
    persistence: float
    climatology: float
    outcome: float


def moments(folder: Path) -> list[Moment]:
    """Return every contract at every moment at which the market and persistence both have something to say."""
    highs, found = recorded_highs(folder), []
    listed: dict[date, list[Listed]] = {}
    for when, *contract in parquet(folder / MARKETS, CONTRACTS):
        listed.setdefault(when.date(), []).append(Listed(*contract))
    for (name, hours), day in itertools.product(MOMENTS.items(), sorted(listed)):
        now = midnight(day) + timedelta(hours=hours)
        belief, past = persistence(highs, day, 1 if hours >= 7 else 2), climatology(highs, day)
        mids = _mids(folder, day, now)
        found += [
            Moment(
                name=name, at=now, known=midnight(day) + 1.5 * DAY, market=mids[one.ticker],
                persistence=belief(*one.bracket), climatology=past(*one.bracket), outcome=float(one.result == "yes"),
            )
            for one in listed[day]
            if belief is not None and one.ticker in mids
        ]  # fmt: skip
    return sorted(found, key=lambda one: one.at)


def show_market(folder: Path) -> None:
    """Score the market's quotes, persistence, and their blend with the weight that was known at each moment."""
    found = moments(folder)
    weight, blended = MarketWeight(), []
    waiting: list[Moment] = []
    for one in found:
        for known in sorted((w for w in waiting if w.known <= one.at), key=lambda w: w.known):
            weight.learn(known.known, known.persistence, known.market, known.outcome)
        waiting = [w for w in waiting if w.known > one.at]
        blended.append(blend_chances(one.persistence, one.market, weight.weight(TIGHT, one.at)))
        waiting.append(one)
    print("\nKXHIGHNY in December 2025: the market's mid (spread up to 10 cents) beside persistence (Brier a contract)")
    print(f"  {'standard time':<20} {'n':>4} {'market':>8} {'persist.':>9} {'blend':>8} {'worse':>8} {'clim.':>8}")
    for name in (*MOMENTS, "all of them"):
        rows = [(one, chance) for one, chance in zip(found, blended, strict=True) if name in (one.name, "all of them")]
        market = statistics.fmean((one.market - one.outcome) ** 2 for one, _ in rows)
        own = statistics.fmean((one.persistence - one.outcome) ** 2 for one, _ in rows)
        past = statistics.fmean((one.climatology - one.outcome) ** 2 for one, _ in rows)
        mixed = statistics.fmean((chance - one.outcome) ** 2 for one, chance in rows)
        print(
            f"  {name:<20} {len(rows):>4} {market:>8.4f} {own:>9.4f} {mixed:>8.4f} {mixed - market:>+8.4f} {past:>8.4f}"
            f"  {'met' if mixed - market <= 0.001 else 'missed'}"
        )
    print("  The market wins at every moment. By four in the afternoon it knows the high; persistence still guesses.")


def _mids(folder: Path, day: date, now: datetime) -> dict[str, float]:
    """Return each contract's last mid before ``now`` whose spread was at most ten cents."""
    query = (
        "SELECT ticker, arg_max((yes_bid + yes_ask) / 200.0, ts) FROM {}"
        " WHERE event = ? AND ts <= ? AND yes_ask - yes_bid <= 10 GROUP BY 1"
    )
    return dict(parquet(folder / QUOTES, query, f"KXHIGHNY-{day:%y%b%d}".upper(), now))


def main() -> None:
    folder = data_folder(__doc__, CLI, FORECASTS)
    if folder is None:
        return
    show_forecasts(folder)
    if (folder / MARKETS).exists() and (folder / QUOTES).exists():
        show_market(folder)
    else:
        print(f"not present: {MARKETS}; the market's quotes are not compared")


if __name__ == "__main__":
    main()
