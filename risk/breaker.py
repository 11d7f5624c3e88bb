"""What ends trading for a day, a market or a sub-strategy, as folds over what was journalled.

Every rule here only ever tightens within its span, so that a restart, which folds the same records again, is never
looser than the process it replaces.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from domain.clock import require_utc
from risk.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The daily-loss breaker of one trading day; the value itself is what is journalled when it changes."""

    day: date
    start_equity: Decimal
    tripped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOut:
    """A position that was closed by its stop."""

    market: str
    sub_strategy: str
    at: datetime

    def __post_init__(self) -> None:
        require_utc(self.at, "StopOut.at")


def roll(breaker: Breaker | None, day: date, equity: Decimal) -> Breaker:
    """Return the breaker for ``day``: a new one only if the day is later, so a clock set back releases nothing."""
    fresh = Breaker(day=day, start_equity=equity)
    return fresh if breaker is None else _join(breaker, fresh)


def trip(breaker: Breaker, equity: Decimal, limits: Limits) -> Breaker:
    """Return the breaker, tripped if it was or if the day's loss, realised and marked, has reached the limit."""
    tripped = breaker.tripped or breaker.start_equity - equity >= limits.daily_loss
    return Breaker(day=breaker.day, start_equity=breaker.start_equity, tripped=tripped)


def fold(records: Iterable[Breaker], breaker: Breaker | None = None) -> Breaker | None:
    """Return the breaker that journalled ``records`` leave behind, starting from ``breaker``."""
    for record in records:
        breaker = record if breaker is None else _join(breaker, record)
    return breaker


def cooldown_until(stopped_out_at: datetime, limits: Limits) -> datetime:
    """Return the moment until which a market rests after a stop-out."""
    return stopped_out_at + timedelta(seconds=limits.cooldown_s)


def storms(
    stop_outs: Iterable[StopOut], limits: Limits, lifted: Mapping[str, datetime] | None = None
) -> dict[str, str]:
    """Return sub-strategy -> reason for each one that was ever stopped out too often within the window.

    Only a person lifts such a suspension: ``lifted`` is sub-strategy -> moment from which stop-outs count anew.
    """
    times: dict[str, list[datetime]] = defaultdict(list)
    for stop_out in stop_outs:
        since = (lifted or {}).get(stop_out.sub_strategy)
        if since is None or stop_out.at > since:
            times[stop_out.sub_strategy].append(stop_out.at)
    reason = f"{limits.storm_stop_outs} stop-outs within {limits.storm_window_s} s"
    return {name: reason for name, moments in times.items() if _is_storm(sorted(moments), limits)}


def _join(old: Breaker, new: Breaker) -> Breaker:
    """Return the later day; of one day keep its first equity, and the trip from whichever has it."""
    if new.day != old.day:
        return max(old, new, key=lambda breaker: breaker.day)
    return Breaker(day=old.day, start_equity=old.start_equity, tripped=old.tripped or new.tripped)


def _is_storm(moments: list[datetime], limits: Limits) -> bool:
    window = timedelta(seconds=limits.storm_window_s)
    last = limits.storm_stop_outs - 1
    return any(end - start <= window for start, end in zip(moments, moments[last:], strict=False))
