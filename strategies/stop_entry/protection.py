"""What is wrong with a position's protective orders: there must be exactly one, for exactly the position.

Only whole shares can be protected, because a stop order for a part of one does not rest at any exchange.
"""

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from strategies.stop_entry.actions import CancelStop, Escalate, ExitNeed, PlaceStop, ResizeStop, StopFault
from strategies.stop_entry.arming import elapsed
from strategies.stop_entry.facts import Facts, LiveStop, Phase, whole
from strategies.stop_entry.levels import trail_offset
from strategies.stop_entry.params import StopEntryParams
from strategies.stop_entry.splits import suspect

_ZERO, _HUNDRED = Decimal(0), Decimal(100)


class Bounds(NamedTuple):
    """How many shares a stop may be for: one number, or a span while executions and position are out of step."""

    low: Decimal
    high: Decimal


def bounds(facts: Facts) -> Bounds:
    """Return the quantities that a stop placed by itself may have now."""
    owned, position = facts.owned, facts.position
    if facts.is_comparable or owned == 0 or position is None:
        return Bounds(whole(owned), whole(owned))
    return Bounds(whole(min(owned, position)), whole(max(owned, position)))


def fits(stop: LiveStop, facts: Facts) -> bool:
    """Tell whether a stop's quantity is right: the position's, or on its way there.

    The stop that was sent with an entry is for all the entry may buy. It sells no more than was bought while that is
    going on, so it is not touched before the entry is done. Nor is one made larger while a split is suspected: with
    the new count of shares at its old level, it would sell all of them at once.
    """
    span, entry = bounds(facts), facts.live_entry
    if stop.quantity == whole(facts.held) and (split_of(facts) or 0) > 1:
        return True
    if entry is not None and stop.attached:
        return stop.quantity >= span.low and stop.quantity <= span.high + max(entry.quantity - entry.filled, _ZERO)
    return span.low <= stop.quantity <= span.high


def is_resizing(stop: LiveStop, facts: Facts, params: StopEntryParams) -> bool:
    """Tell whether a stop was asked a moment ago to take a quantity that fits."""
    span, wanted, asked = bounds(facts), stop.resizing_to, stop.resize_asked_at
    if wanted is None or asked is None or elapsed(asked, facts.now, params.retry_s):
        return False
    return span.low <= wanted <= span.high


def keeper(facts: Facts, params: StopEntryParams) -> LiveStop | None:
    """Return the stop to keep: one that sells already, else the tightest, of the right quantity, the last by id."""
    sure = [stop for stop in facts.own_stops if _is_sure(stop, facts, params)]
    entry_is_live = facts.live_entry is not None

    def rank(stop: LiveStop) -> tuple[bool, bool, Decimal, bool, str]:
        tightness = _tightness(stop, facts.last)
        return stop.is_working, entry_is_live and stop.attached, tightness, fits(stop, facts), stop.order_id

    return max(sure, key=rank, default=None)


def superfluous(facts: Facts, params: StopEntryParams) -> tuple[CancelStop, ...]:
    """Return the cancels of every stop but the one to keep; of all of them where there is nothing to protect."""
    kept = None
    if bounds(facts).high > 0:
        kept, fault = keeper(facts, params), StopFault.DUPLICATE
        if kept is None:
            return ()
    elif facts.is_foreign:
        return ()
    else:
        fault = StopFault.ORPHAN
    waits = facts.live_entry is not None and fault is StopFault.ORPHAN
    others = (stop for stop in facts.own_stops if stop is not kept and not (waits and stop.attached))
    return tuple(_cancel(stop, fault) for stop in others if _is_sure(stop, facts, params))


def off_scale(facts: Facts, params: StopEntryParams) -> tuple[CancelStop, ...]:
    """Return the cancels of stops that a split has left above the market, where they would sell at once.

    A level above the market alone is no proof: outside regular hours a stop waits there after a fall, and must stay.
    One whose level the broker does not tell is replaced too: a mere change of quantity would keep it where it is. So is
    one of which nobody can tell for want of a price, at night, once the split was written down.
    """
    last = facts.last
    if not facts.is_comparable or (last is None and facts.held != facts.position):
        return ()
    left = (stop for stop in facts.own_stops if last is None or stop.level is None or stop.level > last)
    old = (stop for stop in left if (suspect(stop.quantity, facts.owned) or 0) > 1)
    return tuple(_cancel(stop, StopFault.OFF_SCALE) for stop in old if _is_sure(stop, facts, params))


def split_of(facts: Facts) -> Fraction | None:
    """Return the split that explains why broker and journals count differently, None where none does."""
    if not facts.is_comparable or facts.position is None:
        return None
    return suspect(facts.held, facts.position)


def place(facts: Facts, params: StopEntryParams) -> PlaceStop:
    """Return the stop to place for what is certainly there."""
    price = facts.last
    return PlaceStop(
        quantity=bounds(facts).low,
        percent=params.trail_of(facts.symbol),
        offset=None if price is None else trail_offset(price, facts.tick, params),
    )


def resize(facts: Facts, params: StopEntryParams) -> ResizeStop | None:
    """Return the change that gives the kept stop its quantity: the nearest that fits.

    None where nothing whole is left to protect: a stop for no share is no order.
    """
    kept, span = keeper(facts, params), bounds(facts)
    if kept is None or span.high <= 0:
        return None
    return ResizeStop(order_id=kept.order_id, quantity=min(max(kept.quantity, span.low), span.high))


def escalation(facts: Facts, params: StopEntryParams) -> Escalate | None:
    """Return the exit at market that is needed, None while stops do their work, or one was refused a moment ago."""
    need = _need(facts, params)
    if need is None:
        return None
    # Up to there it was stops that were refused; whatever came after them sold at the market.
    stops = params.max_stop_refusals if need.reason is ExitNeed.STOP_REFUSED else 0
    refused = facts.stop_refused_at
    is_fresh = refused is not None and not elapsed(refused, facts.now, params.retry_s)
    return None if is_fresh and facts.stop_refusals > stops else need


def _need(facts: Facts, params: StopEntryParams) -> Escalate | None:
    kept = keeper(facts, params)
    if kept is not None and kept.is_limit and elapsed(kept.triggered_at, facts.now, params.stuck_s):
        return Escalate(reason=ExitNeed.STOP_STUCK, quantity=facts.owned, order_id=kept.order_id)
    if facts.session.phase is not Phase.REGULAR or facts.own_stops:
        return None
    if 0 < facts.owned < 1:
        if facts.stop_refusals >= params.max_stop_refusals:
            return None  # this broker sells no fractions: it pays them out in cash, or a person sells them
        return Escalate(reason=ExitNeed.FRACTION, quantity=facts.owned, order_id=None)
    if facts.owned > 0 and facts.stop_refusals >= params.max_stop_refusals:
        return Escalate(reason=ExitNeed.STOP_REFUSED, quantity=facts.owned, order_id=None)
    return None


def _is_sure(stop: LiveStop, facts: Facts, params: StopEntryParams) -> bool:
    """Tell of a stop that it rests and stays: its state is known, and no cancel was asked for a moment ago."""
    asked = stop.cancel_asked_at
    return not stop.is_doubtful and (asked is None or elapsed(asked, facts.now, params.retry_s))


def _cancel(stop: LiveStop, reason: StopFault) -> CancelStop:
    return CancelStop(order_id=stop.order_id, reason=reason)


def _tightness(stop: LiveStop, last: Decimal | None) -> Decimal:
    """Return how near below the market a stop lies: its level, or where its distance would put it now."""
    if stop.level is not None:
        return stop.level
    return _ZERO if last is None or stop.percent is None else last * (1 - stop.percent / _HUNDRED)
