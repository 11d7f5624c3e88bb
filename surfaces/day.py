"""The trading day and the daily-loss breaker of a surface."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import structlog

from domain.operation import Cooldown, Suspension
from domain.performance import DayPerformance
from domain.quotes import Quote
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import ExitReason
from risk.breaker import Breaker, StopOut, cooldown_until, roll, storms, trip
from risk.limits import Limits
from surfaces.books import Books
from surfaces.snapshot import exposures, unmarked

log = structlog.get_logger()
STOP_OUTS = frozenset({ExitReason.STOP_LOSS, ExitReason.TRAILING_STOP})


def close_the_day(
    books: Books,
    today: date,
    equity: Decimal,
    quotes: Mapping[str, Quote],
    day_start: Callable[[date], datetime],
) -> None:
    """Write what the last trading day left behind, once a later one has begun, and never twice.

    A process that was away at the change of days writes it with the marks it finds, which is as near as anyone gets;
    what was realised since then belongs to a later day.

    Args:
        equity: realised and marked by ``quotes``, in home currency.
    """
    fold, known = books.fold, books.fold.day
    if known is None or known.day >= today or (fold.told is not None and fold.told.day >= known.day):
        return
    bankroll, ended = fold.bankroll, day_start(today)
    balance = bankroll.balance_before(ended)
    equity -= bankroll.balance - balance
    start = _start(books, known, day_start(known.day))
    over = _ended_before(books, ended)
    books.performed(
        DayPerformance(
            day=known.day,
            equity=equity,
            balance=balance,
            unrealised=equity - balance,
            realised=balance - start.balance,
            profit=equity - start.equity,
            positions=len(fold.positions()),
            exposure=sum((one.notional for one in exposures(books) if one.status == "open"), Decimal(0)),
            trades=over - start.ended,
            currency=bankroll.currency,
            unmarked=unmarked(books, quotes),
            ended=over,
            capital=bankroll.initial,
        )
    )


class _Start(NamedTuple):
    """What a day's figures are counted from."""

    equity: Decimal
    balance: Decimal
    ended: int


def _start(books: Books, known: Breaker, began: datetime) -> _Start:
    """Return where the last day told ended, money set aside or taken away since included.

    So every profit and every trade is in exactly one day, those too that were written after their day was told. Before
    the first day told, or one told without this, a day is counted from how it began.
    """
    told, bankroll = books.fold.told, books.fold.bankroll
    if told is None or told.capital is None or told.ended is None:
        return _Start(known.start_equity, bankroll.balance_before(began), _ended_before(books, began))
    added = bankroll.initial - told.capital
    return _Start(told.equity + added, told.balance + added, told.ended)


def _ended_before(books: Books, moment: datetime) -> int:
    return sum(resolution.resolved_at < moment for resolution in books.fold.resolutions.values())


def mind_the_day(books: Books, limits: Limits, today: date, equity: Decimal, *, began: datetime | None) -> None:
    """Begin a new trading day when there is one, and trip its breaker when the loss reaches the limit.

    A process that was not there when the day began can't tell what was lost since then, so it starts the day with
    whatever is higher: today's equity, or what was realised until the day began.

    Args:
        equity: realised and marked, in home currency.
        began: when the day began, for a process that may not have been there; None for one that was.
    """
    known, start = books.fold.day, equity
    if began is not None:
        start = max(start, books.fold.bankroll.balance_before(began))
    day = trip(roll(known, today, start), equity, limits)
    if day == known:
        return
    if day.tripped:
        log.error("breaker_tripped", loss=str(day.start_equity - equity), limit=str(limits.daily_loss))
    books.day_changed(day)


def cool_down(books: Books, limits: Limits, settings: SurfaceSettings) -> None:
    """Write the cooldown of every stop-out that has none yet, and rest a sub-strategy in a storm of stop-outs."""
    fold = books.fold
    fresh = [r for r in fold.resolutions.values() if r.reason in STOP_OUTS and r.signal_id not in fold.cooled_signals]
    for resolution in fresh:
        until = cooldown_until(resolution.resolved_at, limits)
        books.cooled(
            Cooldown(market=resolution.market, until=until, reason=resolution.reason, signal_id=resolution.signal_id)
        )
    if fresh:
        _rest_in_storm(books, limits, settings)


def _rest_in_storm(books: Books, limits: Limits, settings: SurfaceSettings) -> None:
    """Suspend what was stopped out too often; stop-outs before the end of an earlier rest are not counted again."""
    fold = books.fold
    stop_outs = [
        StopOut(market=r.market, sub_strategy=r.sub_strategy, at=r.resolved_at)
        for r in fold.resolutions.values()
        if r.reason in STOP_OUTS and r.realised < 0
    ]
    rested = {s.name: s.until for s in fold.suspensions.values() if s.until is not None}
    for name, reason in storms(stop_outs, limits, rested).items():
        if name in fold.suspensions and fold.suspensions[name].until is None:
            continue
        log.warning("sub_strategy_rests", name=name, reason=reason)
        until = max(s.at for s in stop_outs if s.sub_strategy == name) + timedelta(seconds=settings.storm_pause_s)
        books.suspended(Suspension(name=name, reason=reason, until=until))
