"""How a position would have ended on bars of the past, told by the exit engine."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.exits.plan import ExitPlan, Target, Trailing
from domain.exits.state import ExitState, start
from domain.exits.walk import on_bar
from domain.quotes import Bar, Ohlc
from domain.vocabulary import ExitReason, Side

ONE = Decimal(1)


class Exit(NamedTuple):
    """Why and at which price; ``pessimistic`` when the bar's extremes in the other order would have told otherwise."""

    reason: ExitReason
    price: Decimal
    pessimistic: bool


class Settlement(NamedTuple):
    """An exit, and the bar in which it happened."""

    exit: Exit
    bar: Bar


def first_exit(
    *,
    side: Side,
    stop_loss: Decimal | None,
    take_profit: Decimal | None,
    bar: Bar,
    trailing_distance: Decimal | None = None,
    best: Decimal | None = None,
    closes_at: datetime | None = None,
) -> Exit | None:
    """Return how a position open throughout ``bar`` ends in it, None if it does not.

    Args:
        best: best price, on the closing side, up to the close of the bar before (at first: when it was opened); what
            a trailing stop is measured from. None starts from this bar's open.
        closes_at: when time is up; a bar that ends then or later closes at its close, or at its open if it starts
            then or later. Levels touched before count first.
    """
    found = settle(
        (bar,),
        side=side,
        stop_loss=stop_loss,
        take_profit=take_profit,
        trailing_distance=trailing_distance,
        best=best,
        closes_at=closes_at,
    )
    return None if found is None else found.exit


def settle(
    bars: Iterable[Bar],
    *,
    side: Side,
    stop_loss: Decimal | None,
    take_profit: Decimal | None,
    trailing_distance: Decimal | None = None,
    best: Decimal | None = None,
    closes_at: datetime | None = None,
) -> Settlement | None:
    """Return the first exit over ``bars``, oldest first, all of them in the position's life; None while it lives."""
    state: ExitState | None = None
    plan = ExitPlan(
        stop=stop_loss,
        trailing=None if trailing_distance is None else Trailing(distance=trailing_distance),
        targets=() if take_profit is None else (Target(price=take_profit),),
    )
    for bar in bars:
        if state is None:
            plan = plan if closes_at is None else replace(plan, time_limit=closes_at - bar.start)
            state = start(plan, side, _closing_side(bar, side).open if best is None else best, ONE, bar.start)
        state, legs = on_bar(plan, state, bar)
        for leg in legs:
            return Settlement(Exit(leg.reason, leg.price, leg.pessimistic), bar)
    return None


def ratchet(side: Side, best: Decimal | None, bar: Bar) -> Decimal:
    """Return the best closing price after ``bar``, to be carried into the next one."""
    prices = _closing_side(bar, side)
    favourable = prices.high if side is Side.BUY else prices.low
    if best is None:
        return favourable
    return max(best, favourable) if side is Side.BUY else min(best, favourable)


def excursions(side: Side, entry: Decimal, bars: Iterable[Bar]) -> tuple[Decimal, Decimal]:
    """Return how far the closing price went against and for a position: two price distances, both at least 0."""
    worst = most = Decimal(0)
    for bar in bars:
        prices = _closing_side(bar, side)
        low, high = sorted(((prices.low - entry) * side.sign, (prices.high - entry) * side.sign))
        worst, most = max(worst, -low), max(most, high)
    return worst, most


def _closing_side(bar: Bar, side: Side) -> Ohlc:
    return bar.bid if side is Side.BUY else bar.ask
