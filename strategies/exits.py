"""How a position would have ended on closed bars.

Within a bar only four prices are known, not their order. One rule decides everywhere: open, then the extreme that
hurts the position, then the one that helps it, then the close. So a stop and a target touched in one bar are a stop,
and a trailing stop rises only after the bar's worst price has tried the level carried over from the bars before.
Positions are closed at the side opposite to their entry: bought ones at the bid, sold ones at the ask.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.quotes import Bar, Ohlc
from domain.vocabulary import ExitReason, Side


class Exit(NamedTuple):
    """Why and at which price; ``pessimistic`` when the bar's extremes in the other order would have told otherwise."""

    reason: ExitReason
    price: Decimal
    pessimistic: bool


class Settlement(NamedTuple):
    """An exit, and the bar in which it happened."""

    exit: Exit
    bar: Bar


@dataclass(frozen=True, slots=True)
class _Levels:
    """Levels as gains of a bought position: a sold one is the same with every price negated."""

    stop: Decimal | None
    target: Decimal | None
    trailing: Decimal | None
    best: Decimal | None

    def seen(self, price: Decimal) -> "_Levels":
        return replace(self, best=price if self.best is None else max(self.best, price))

    def floor(self) -> tuple[Decimal, ExitReason] | None:
        """Return the highest level below the market and what it is called."""
        fixed, trailed = self.stop, None
        if self.trailing is not None and self.best is not None:
            trailed = self.best - self.trailing
        if trailed is not None and (fixed is None or trailed > fixed):
            return trailed, ExitReason.TRAILING_STOP
        return None if fixed is None else (fixed, ExitReason.STOP_LOSS)


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

    A bar that opens beyond a level is closed at that open, for better or worse: stops slip over a gap, and a target
    is a limit order, which fills at its price or better.

    Args:
        best: best price, on the closing side, up to the close of the bar before (at first: when it was opened); what
            a trailing stop is measured from. None starts from this bar's open.
        closes_at: when time is up; a bar that ends then or later closes at its close, or at its open if it starts
            then or later. Levels touched before count first.
    """
    prices, sign = _closing_side(bar, side), side.sign
    levels = _Levels(_signed(stop_loss, sign), _signed(take_profit, sign), trailing_distance, _signed(best, sign))
    if closes_at is not None and bar.start >= closes_at:
        return Exit(ExitReason.TIME, prices.open, False)
    first, last = prices.open * sign, prices.close * sign
    worst, most = sorted((prices.low * sign, prices.high * sign))
    ended = _walk(levels, (first, worst, most, last))
    if ended is not None:
        return Exit(ended[0], ended[1] * sign, ended != _walk(levels, (first, most, worst, last)))
    if closes_at is not None and bar.end >= closes_at:
        return Exit(ExitReason.TIME, prices.close, False)
    return None


def ratchet(side: Side, best: Decimal | None, bar: Bar) -> Decimal:
    """Return the best closing price after ``bar``, to be carried into the next one."""
    prices = _closing_side(bar, side)
    favourable = prices.high if side is Side.BUY else prices.low
    if best is None:
        return favourable
    return max(best, favourable) if side is Side.BUY else min(best, favourable)


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
    for bar in bars:
        ended = first_exit(
            side=side,
            stop_loss=stop_loss,
            take_profit=take_profit,
            bar=bar,
            trailing_distance=trailing_distance,
            best=best,
            closes_at=closes_at,
        )
        if ended is not None:
            return Settlement(ended, bar)
        best = ratchet(side, best, bar)
    return None


def excursions(side: Side, entry: Decimal, bars: Iterable[Bar]) -> tuple[Decimal, Decimal]:
    """Return how far the closing price went against and for a position: two price distances, both at least 0."""
    worst = most = Decimal(0)
    for bar in bars:
        prices = _closing_side(bar, side)
        low, high = sorted(((prices.low - entry) * side.sign, (prices.high - entry) * side.sign))
        worst, most = max(worst, -low), max(most, high)
    return worst, most


def _walk(levels: _Levels, path: tuple[Decimal, ...]) -> tuple[ExitReason, Decimal] | None:
    """Follow one path of signed prices, straight from each to the next, and return the first level it meets."""
    for step, price in enumerate(path):
        floor = levels.floor()
        if floor is not None and price <= floor[0]:
            return floor[1], floor[0] if step else price
        if levels.target is not None and price >= levels.target:
            return ExitReason.TAKE_PROFIT, levels.target if step else price
        levels = levels.seen(price)
    return None


def _closing_side(bar: Bar, side: Side) -> Ohlc:
    return bar.bid if side is Side.BUY else bar.ask


def _signed(price: Decimal | None, sign: int) -> Decimal | None:
    return None if price is None else price * sign
