"""Conditions under which a quote sets off a resting order."""

from simulators.oanda.orders import Order
from simulators.oanda.tape import Quote

_LIMITS = frozenset({"LIMIT", "TAKE_PROFIT"})
_STOPS = frozenset({"STOP", "STOP_LOSS", "TRAILING_STOP_LOSS"})


def fill_points(order: Order, quote: Quote) -> int:
    """Return the side of the quote an order trades at: buys at the ask, sells at the bid."""
    return quote.ask if order.is_buy else quote.bid


def is_triggered(order: Order, quote: Quote) -> bool:
    """Tell whether a quote sets the order off."""
    if order.level is None:
        return False
    watched, level = _watched_twice(order, quote), order.level * 2
    if order.type in _LIMITS:
        reached = watched <= level if order.is_buy else watched >= level
        return reached and _within_limit(order, quote)
    rising = order.is_buy if order.type in _STOPS else order.rising
    return watched >= level if rising else watched <= level


def _within_limit(order: Order, quote: Quote) -> bool:
    # watching the other side of the book must not make a limit order pay more than its limit
    if order.level is None or order.type != "LIMIT":
        return True
    points = fill_points(order, quote)
    return points <= order.level if order.is_buy else points >= order.level


def _watched_twice(order: Order, quote: Quote) -> int:
    """Return twice the watched price, so that the middle stays whole."""
    condition = order.wire.get("triggerCondition", "DEFAULT")
    if condition == "MID":
        return quote.bid + quote.ask
    if condition in ("BID", "ASK"):
        return 2 * (quote.bid if condition == "BID" else quote.ask)
    buys_at_ask = order.is_buy if condition == "DEFAULT" else not order.is_buy
    return 2 * (quote.ask if buys_at_ask else quote.bid)


def trailed_level(order: Order, quote: Quote) -> int | None:
    """Return the level a trailing stop moves to; None when the quote does not move it."""
    if order.distance is None or order.level is None:
        return None
    if order.is_buy:
        level = quote.ask + order.distance
        return level if level < order.level else None
    level = quote.bid - order.distance
    return level if level > order.level else None
