"""Where and when an order meets the market: triggers, trailing stops, prices and sizes."""

from dataclasses import replace
from decimal import Decimal

from simulators.ibkr.orders import Order, Terms, to_points
from simulators.ibkr.recording import CENT
from simulators.ibkr.sessions import Session
from simulators.ibkr.tape import Tick

STOPS = frozenset({"STP", "STP LMT", "TRAIL", "TRAIL LIMIT"})
TRAILS = frozenset({"TRAIL", "TRAIL LIMIT"})
# after so long without a tick a resting limit meets the market anew and gets the market's price
_GAP_MS = 5 * 60 * 1000


def set_levels(order: Order, last: int) -> None:
    """Place an order's stop and limit; a trailing stop without one starts from the last trade."""
    terms = order.terms
    order.limit_points = None if terms.limit is None else to_points(terms.limit)
    if terms.kind in TRAILS:
        start = terms.trail_stop if terms.trail_stop is not None else terms.stop
        order.stop_points = to_points(start) if start is not None else trailing_level(terms, last) if last else None
        order.limit_gap = _gap(order)
        _follow(order)
    elif terms.kind in STOPS and terms.stop is not None:
        order.stop_points = to_points(terms.stop)
    else:
        order.stop_points = None


def trailing_level(terms: Terms, last: int) -> int:
    """Return where a trailing stop belongs under (sell) or over (buy) a price, on the tick that is farther away."""
    if terms.trail_percent is not None:
        distance = int(last * terms.trail_percent / 100)
    else:
        distance = to_points(terms.trail_amount or Decimal(0))
    if terms.side == "SELL":
        return (last - distance) // CENT * CENT
    return -(-(last + distance) // CENT) * CENT


def ratchet(order: Order, last: int) -> bool:
    """Move a trailing stop after the market, never back; tell whether it moved."""
    if order.terms.kind not in TRAILS or order.triggered:
        return False
    level, now = trailing_level(order.terms, last), order.stop_points
    is_better = now is None or (level > now if order.terms.side == "SELL" else level < now)
    if is_better:
        order.stop_points = level
        _follow(order)
    return is_better


def _follow(order: Order) -> None:
    """Keep the limit of a trailing limit order at its distance from the stop."""
    if order.stop_points is not None and order.limit_gap is not None:
        order.limit_points = order.stop_points + (-order.limit_gap if order.terms.side == "SELL" else order.limit_gap)


def _gap(order: Order) -> int | None:
    """Return the distance of a trailing limit: told, or as its first limit and its first stop stand."""
    terms = order.terms
    if terms.kind != "TRAIL LIMIT":
        return None
    if terms.limit_offset is not None:
        return to_points(terms.limit_offset)
    if terms.limit is None or order.stop_points is None:
        return 0
    return abs(order.stop_points - to_points(terms.limit))


def is_hit(order: Order, last: int) -> bool:
    """Tell whether a trade at this price sets off a stop."""
    if order.stop_points is None or not last:
        return False
    return last <= order.stop_points if order.terms.side == "SELL" else last >= order.stop_points


def may_trade(order: Order, session: Session | None, ms: int) -> bool:
    """Tell whether the session lets an order act at a time."""
    if session is None:
        return False
    return session.is_extended(ms) if order.terms.outside_rth else session.is_regular(ms)


def fill_price(order: Order, tick: Tick) -> int | None:
    """Return what an order would trade at against a tick; None when it would not."""
    is_buy = order.terms.side == "BUY"
    market = (tick.ask if is_buy else tick.bid) or tick.last
    limit = order.limit_points
    if not market or limit is None:
        return market or None
    if market > limit if is_buy else market < limit:
        return None
    is_new = order.seen is None or tick.time - order.seen > _GAP_MS
    return market if is_new else limit


def size_shown(order: Order, tick: Tick) -> Decimal:
    """Return how many shares a tick offers an order."""
    size = tick.ask_size if order.terms.side == "BUY" else tick.bid_size
    return Decimal(size or tick.last_size)


def rescaled(order: Order, new: int, old: int) -> None:
    """Let an order's quantity and prices follow a split."""
    terms = order.terms

    def price(value: Decimal | None) -> Decimal | None:
        return None if value is None else (value * old / new).quantize(Decimal("0.01"))

    order.terms = replace(
        terms,
        quantity=(terms.quantity * new / old).quantize(Decimal("0.0001")).normalize() + 0,
        limit=price(terms.limit),
        stop=price(terms.stop),
        trail_amount=price(terms.trail_amount),
        trail_stop=price(terms.trail_stop),
        limit_offset=price(terms.limit_offset),
    )
    order.filled = order.filled * new / old
    order.average_price = order.average_price * old / new
    for name in ("stop_points", "limit_points", "limit_gap"):
        points = getattr(order, name)
        if points is not None:
            setattr(order, name, round(points * old / new / CENT) * CENT)
