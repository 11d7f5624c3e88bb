"""What a closed bar, a quote or the clock does to an open position.

Within a bar only four prices are known, not their order. One rule decides everywhere: open, then the extreme that
hurts the position, then the one that helps it, then the close. So a stop and a target touched in one bar are a stop,
and a stop rises only after the bar's worst price has tried the level carried over from the bars before. A bar that
opens beyond a level fills at that open: stops slip over a gap, and a target is a limit order, which fills at its price
or better. Positions are closed at the side opposite to their entry: bought ones at the bid, sold ones at the ask.

Of a bar that had begun before the position was opened nobody knows which prices came after: its open is no gap and its
best price proves nothing; its worst price counts, and so does its close, which surely came later.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache

from domain.exits.plan import ExitPlan
from domain.exits.state import ExitLeg, ExitState, at_breakeven, nearer, stop_at
from domain.making import draft
from domain.quotes import Bar, Quote
from domain.vocabulary import ExitReason, Side

_BUY = Side.BUY
_NOTHING = Decimal(0)
_NEVER = datetime.max.replace(tzinfo=UTC)
_Draft = draft(ExitState)
Step = tuple[ExitState, tuple[ExitLeg, ...]]


def on_bar(plan: ExitPlan, state: ExitState, bar: Bar) -> Step:
    """Return the position after a closed bar, and the exits it took in it.

    A bar looked at before, or older than the last quote, changes nothing. Feed one state with bars or with quotes; with
    quotes, bars are for catching up.
    """
    if not state.remaining or (state.until is not None and bar.start < state.until):
        return state, ()
    end = bar.start + _length(bar.period_s)
    if plan.flat_at is None and plan.time_limit is None:
        return _on_prices(plan, state, bar, end)
    reason, ends_at = _deadline(plan, state)
    if bar.start >= ends_at:
        price = bar.bid.open if state.side is _BUY else bar.ask.open
        return _ended(_noted(state, price, end), reason, price)
    state, legs = _on_prices(plan, state, bar, end)
    if not state.remaining or end < ends_at:
        return state, legs
    state, rest = _ended(state, reason, state.last)
    return state, legs + rest


def on_quote(plan: ExitPlan, state: ExitState, quote: Quote | None, now: datetime) -> Step:
    """Return the position after a look at the market at ``now``, and the exits that are due.

    A quote that is too old, or of a market where nothing can be traded, decides nothing. What the clock decides needs
    no price: those exits carry the last one known.

    Args:
        quote: None when the feed has none to vouch for.
    """
    if not state.remaining:
        return state, ()
    legs: tuple[ExitLeg, ...] = ()
    if quote is not None and _is_usable(plan, state, quote, now):
        path = (quote.exit_price(state.side),)
        state, legs = _walked(plan, state, path, path, quote.at)
    reason = _due(plan, state, now)
    if reason is None or not state.remaining:
        return state, legs
    state, rest = _ended(state, reason, state.last)
    return state, legs + rest


def _on_prices(plan: ExitPlan, state: ExitState, bar: Bar, end: datetime) -> Step:
    """Follow a bar's prices. Nearly every bar touches nothing, which is found out with few comparisons."""
    if bar.start < state.opened_at:
        return _begun_before(plan, state, bar, end)
    if state.side is _BUY:
        prices = bar.bid
        worst, most = prices.low, prices.high
    else:
        prices = bar.ask
        worst, most = prices.high, prices.low
    quiet = _untouched(plan, state, worst, most, prices.close, end)
    if quiet is not None:
        return quiet, ()
    path = (prices.open, worst, most, prices.close)
    return _walked(plan, state, path, (prices.open, most, worst, prices.close), end)


def _untouched(
    plan: ExitPlan, state: ExitState, worst: Decimal, most: Decimal, close: Decimal, end: datetime
) -> ExitState | None:
    """Return the state after a bar in which no level was met, None when that takes a closer look."""
    stop, reason, best, is_bought = state.stop, state.reason, state.best, state.side is _BUY
    if stop is not None and (worst <= stop if is_bought else worst >= stop):
        return None
    if plan.targets and _meets_target(plan, state, most):
        return None
    if most > best if is_bought else most < best:
        best = most
        if state.breakeven_at is not None and (most >= state.breakeven_at if is_bought else most <= state.breakeven_at):
            return None
        if plan.trailing is not None:
            stop, reason = stop_at(plan, state.side, state.entry, most, stop, reason)
            # Whatever the order of its prices, a bar that stays clear of where the stop ends up met it nowhere.
            if stop is not None and (worst <= stop if is_bought else worst >= stop):
                return None
    made = _Draft()  # quicker than replacing what changed: every bar of a backtest makes one
    made.side, made.entry, made.quantity, made.opened_at = state.side, state.entry, state.quantity, state.opened_at
    made.remaining, made.targets_hit, made.breakeven_at = state.remaining, state.targets_hit, state.breakeven_at
    made.worst = worst if (worst < state.worst if is_bought else worst > state.worst) else state.worst
    made.best, made.last, made.stop, made.reason, made.until = best, close, stop, reason, end
    made.__class__ = ExitState
    quiet: ExitState = made
    return quiet


def _meets_target(plan: ExitPlan, state: ExitState, most: Decimal) -> bool:
    if state.targets_hit == len(plan.targets):
        return False
    price = plan.targets[state.targets_hit].price
    return most >= price if state.side is _BUY else most <= price


def _begun_before(plan: ExitPlan, state: ExitState, bar: Bar, end: datetime) -> Step:
    """Follow a bar that was under way when the position was opened."""
    if end <= state.opened_at:
        return state, ()
    prices = bar.bid if state.side is _BUY else bar.ask
    worst = prices.low if state.side is _BUY else prices.high
    return _walked(plan, state, (worst, prices.close), (prices.close,), end, has_open=False)


def _walked(
    plan: ExitPlan,
    state: ExitState,
    path: tuple[Decimal, ...],
    other: tuple[Decimal, ...],
    until: datetime,
    *,
    has_open: bool = True,
) -> Step:
    """Follow one path of prices, straight from each to the next, and mark what another path would have told."""
    walk = _Walk(plan, state).along(path, has_open=has_open)
    if walk.legs and path != other:
        told = _Walk(plan, state).along(other, has_open=has_open).legs
        walk.legs = [leg if leg in told else leg._replace(pessimistic=True) for leg in walk.legs]
    return walk.state(until), tuple(walk.legs)


class _Walk:
    """A position while it follows the prices of one bar."""

    __slots__ = ("at", "before", "best", "hit", "last", "legs", "plan", "reason", "remaining", "sign", "stop", "worst")

    def __init__(self, plan: ExitPlan, state: ExitState) -> None:
        self.plan, self.before, self.sign = plan, state, state.side.sign
        self.remaining, self.hit, self.at = state.remaining, state.targets_hit, state.breakeven_at
        self.best, self.worst, self.last = state.best, state.worst, state.last
        self.stop, self.reason = state.stop, state.reason
        self.legs: list[ExitLeg] = []

    def along(self, path: tuple[Decimal, ...], *, has_open: bool) -> "_Walk":
        is_open = has_open
        for price in path:
            if self.remaining:
                self._meet(price, is_open=is_open)
            is_open = False
        return self

    def state(self, until: datetime) -> ExitState:
        made = _Draft()
        before = self.before
        made.side, made.entry, made.quantity, made.opened_at = (
            before.side, before.entry, before.quantity, before.opened_at,
        )  # fmt: skip
        made.remaining, made.best, made.worst, made.last = self.remaining, self.best, self.worst, self.last
        made.stop, made.reason, made.targets_hit = self.stop, self.reason, self.hit
        made.breakeven_at, made.until = self.at, until
        made.__class__ = ExitState
        state: ExitState = made
        return state

    def _meet(self, price: Decimal, *, is_open: bool) -> None:
        if self.stop is not None and (price - self.stop) * self.sign <= 0:
            ended_at = price if is_open else self.stop
            self._take(self.reason, ended_at, self.remaining)
            self._note(ended_at)
            return
        targets = self.plan.targets
        while self.remaining and self.hit < len(targets) and (price - targets[self.hit].price) * self.sign >= 0:
            part = min(self.plan.part(self.hit, self.before.quantity), self.remaining)
            self._take(ExitReason.TAKE_PROFIT, price if is_open else targets[self.hit].price, part)
            self.hit += 1
        if self.remaining:
            self._see(price)
        else:
            self._note(self.legs[-1].price)

    def _take(self, reason: ExitReason, price: Decimal, quantity: Decimal) -> None:
        if quantity:
            self.legs.append(ExitLeg(reason, price, quantity, False))
            self.remaining -= quantity

    def _see(self, price: Decimal) -> None:
        """Let the stop follow a new best price."""
        is_better = (price - self.best) * self.sign > 0
        self._note(price)
        if not is_better:
            return
        side, entry = self.before.side, self.before.entry
        self.stop, self.reason = stop_at(self.plan, side, entry, price, self.stop, self.reason)
        if self.at is not None and self.plan.breakeven is not None and (price - self.at) * self.sign >= 0:
            self.stop, self.reason = nearer(
                side, (self.stop, self.reason), at_breakeven(self.plan.breakeven, side, entry)
            )
            self.at = None

    def _note(self, price: Decimal) -> None:
        self.last = price
        if (price - self.best) * self.sign > 0:
            self.best = price
        if (price - self.worst) * self.sign < 0:
            self.worst = price


def _ended(state: ExitState, reason: ExitReason, price: Decimal) -> Step:
    """End all that is left, at a price that is no level."""
    return replace(state, remaining=_NOTHING), (ExitLeg(reason, price, state.remaining, False),)


def _noted(state: ExitState, price: Decimal, until: datetime) -> ExitState:
    further = (min, max) if state.side is _BUY else (max, min)
    worst, best = further[0](state.worst, price), further[1](state.best, price)
    return replace(state, best=best, worst=worst, last=price, until=until)


def _deadline(plan: ExitPlan, state: ExitState) -> tuple[ExitReason, datetime]:
    """Return what ends the position by the clock, the earlier of the two, and when; only of a plan that has one."""
    if plan.time_limit is None:
        return ExitReason.SESSION_END, plan.flat_at or _NEVER
    over_at = state.opened_at + plan.time_limit
    if plan.flat_at is not None and plan.flat_at < over_at:
        return ExitReason.SESSION_END, plan.flat_at
    return ExitReason.TIME, over_at


def _due(plan: ExitPlan, state: ExitState, now: datetime) -> ExitReason | None:
    """Return what ends the position by the clock at ``now``."""
    if plan.flat_at is not None or plan.time_limit is not None:
        reason, ends_at = _deadline(plan, state)
        if now >= ends_at:
            return reason
    heard_at = state.opened_at if state.until is None else max(state.opened_at, state.until)
    if plan.stale_after is not None and now - heard_at > plan.stale_after:
        return ExitReason.STALE
    return None


def _is_usable(plan: ExitPlan, state: ExitState, quote: Quote, now: datetime) -> bool:
    is_fresh = plan.max_age is None or now - quote.at <= plan.max_age
    return quote.tradeable and is_fresh and (state.until is None or quote.at >= state.until)


@cache
def _length(period_s: int) -> timedelta:
    return timedelta(seconds=period_s)
