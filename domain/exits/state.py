"""Where a position stands on the way to its exits, and the exits it takes."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.clock import require_utc
from domain.corporate import Split
from domain.exits.plan import Breakeven, ExitPlan, Target, Trailing
from domain.vocabulary import ExitReason, Side


class ExitLeg(NamedTuple):
    """One exit, of all that was left or of a part.

    ``pessimistic`` marks an exit that another order of the bar's prices would have told otherwise.
    """

    reason: ExitReason
    price: Decimal
    quantity: Decimal
    pessimistic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitState:
    """One position under a plan.

    ``best`` and ``worst`` are prices at which it could have been closed since it was opened, the entry counted in;
    ``last`` is the latest of them. ``stop`` is the level in force and ``reason`` what it would be called;
    ``targets_hit`` counts the targets taken. ``breakeven_at`` is the best price that will move the stop to the entry,
    None when there is none or it was moved. Prices before ``until`` have been looked at.
    """

    side: Side
    entry: Decimal
    quantity: Decimal
    opened_at: datetime
    remaining: Decimal
    best: Decimal
    worst: Decimal
    last: Decimal
    stop: Decimal | None
    reason: ExitReason
    targets_hit: int
    breakeven_at: Decimal | None
    until: datetime | None

    @property
    def excursions(self) -> tuple[Decimal, Decimal]:
        """Return how far the price went against and for the position: two price distances, both at least 0."""
        sign = self.side.sign
        return (self.entry - self.worst) * sign, (self.best - self.entry) * sign


def start(plan: ExitPlan, side: Side, entry: Decimal, quantity: Decimal, at: datetime) -> ExitState:
    """Return the state of a position that has just been opened.

    Raises:
        ValueError: the quantity is none, targets stand in the wrong order, or a breakeven would lie beyond the market.
    """
    require_utc(at, "ExitState.opened_at")
    if quantity <= 0:
        raise ValueError(f"a position needs a quantity above 0, found {quantity}")
    prices = [target.price * side.sign for target in plan.targets]
    if prices != sorted(prices):
        raise ValueError(f"the targets of a {side} stand nearest first, found {[str(t.price) for t in plan.targets]}")
    stop, reason = stop_at(plan, side, entry, entry, plan.stop, ExitReason.STOP_LOSS)
    return ExitState(
        side=side,
        entry=entry,
        quantity=quantity,
        opened_at=at,
        remaining=quantity,
        best=entry,
        worst=entry,
        last=entry,
        stop=stop,
        reason=reason,
        targets_hit=0,
        breakeven_at=_breakeven_at(plan, side, entry),
        until=None,
    )


def replanned(plan: ExitPlan, state: ExitState, *, best: Decimal | None = None) -> ExitState:
    """Return the state under a plan put in another's place, which alone may loosen a stop; targets count anew.

    Args:
        best: what a trailing stop is measured from; by default the best price there has been.
    """
    best = state.best if best is None else best
    stop, reason = stop_at(plan, state.side, state.entry, best, plan.stop, ExitReason.STOP_LOSS)
    at = _breakeven_at(plan, state.side, state.entry)
    if at is not None and plan.breakeven is not None and (best - at) * state.side.sign >= 0:
        stop, reason = nearer(state.side, (stop, reason), at_breakeven(plan.breakeven, state.side, state.entry))
        at = None
    return replace(state, best=best, stop=stop, reason=reason, targets_hit=0, breakeven_at=at)


def rescaled(plan: ExitPlan, state: ExitState, split: Split) -> tuple[ExitPlan, ExitState]:
    """Return plan and state in the shares and prices of after a split."""

    def price(before: Decimal | None) -> Decimal | None:
        return None if before is None else split.price(before)

    trailing, breakeven = plan.trailing, plan.breakeven
    if trailing is not None and trailing.distance is not None:
        trailing = Trailing(distance=split.price(trailing.distance), after=split.price(trailing.after))
    if breakeven is not None:
        offset = split.price(breakeven.offset)
        breakeven = Breakeven(after_risks=breakeven.after_risks, price=price(breakeven.price), offset=offset)
    targets = tuple(Target(price=split.price(one.price), fraction=one.fraction) for one in plan.targets)
    scaled = replace(
        state,
        entry=split.price(state.entry),
        quantity=split.quantity(state.quantity),
        remaining=split.quantity(state.remaining),
        best=split.price(state.best),
        worst=split.price(state.worst),
        last=split.price(state.last),
        stop=price(state.stop),
        breakeven_at=price(state.breakeven_at),
    )
    return replace(plan, stop=price(plan.stop), trailing=trailing, breakeven=breakeven, targets=targets), scaled


def stop_at(
    plan: ExitPlan, side: Side, entry: Decimal, best: Decimal, stop: Decimal | None, reason: ExitReason
) -> tuple[Decimal | None, ExitReason]:
    """Return the stop in force, and its name, once the best price is ``best``: it only ever comes nearer."""
    trailing = plan.trailing
    if trailing is None:
        return stop, reason
    sign = side.sign
    if trailing.after and (best - entry) * sign < trailing.begins(entry):
        return stop, reason
    return nearer(side, (stop, reason), (best - trailing.behind(best) * sign, ExitReason.TRAILING_STOP))


def nearer(
    side: Side, known: tuple[Decimal | None, ExitReason], other: tuple[Decimal, ExitReason]
) -> tuple[Decimal | None, ExitReason]:
    """Return the stop that protects more, the known one where both stand at one price."""
    if known[0] is not None and (other[0] - known[0]) * side.sign <= 0:
        return known
    return other


def at_breakeven(breakeven: Breakeven, side: Side, entry: Decimal) -> tuple[Decimal, ExitReason]:
    return entry + breakeven.offset * side.sign, ExitReason.BREAKEVEN


def _breakeven_at(plan: ExitPlan, side: Side, entry: Decimal) -> Decimal | None:
    breakeven = plan.breakeven
    if breakeven is None:
        return None
    at = breakeven.price
    if breakeven.after_risks is not None:
        if plan.stop is None or (entry - plan.stop) * side.sign <= 0:
            raise ValueError(f"a breakeven after some risks needs a stop behind the entry {entry}, found {plan.stop}")
        at = entry + (entry - plan.stop) * breakeven.after_risks
    level, _ = at_breakeven(breakeven, side, entry)
    if at is None or (at - level) * side.sign <= 0:
        raise ValueError(f"a stop moved to {level} must stay behind the price that moves it, found {at}")
    return at
