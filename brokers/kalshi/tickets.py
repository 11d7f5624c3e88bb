"""Order requests as either generation of the wire wants them."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from brokers.kalshi.parse import ONE, ZERO
from brokers.kalshi.steps import Steps
from domain.order import OrderIntent
from domain.vocabulary import Leg, Side

CURRENT_PATH = "/portfolio/events/orders"
OLDER_PATH = "/portfolio/orders"


def limit_of(intent: OrderIntent, steps: Steps) -> Decimal:
    """Return the limit on its step, never looser than asked; without a bound the farthest price there is."""
    nearest, farthest = steps.at(ZERO), ONE - steps.at(ONE)
    if intent.price_bound is None:
        return farthest if intent.side is Side.BUY else nearest
    rounding = ROUND_FLOOR if intent.side is Side.BUY else ROUND_CEILING
    step = steps.at(intent.price_bound)
    on_step = (intent.price_bound / step).quantize(ONE, rounding) * step
    return min(max(on_step, nearest), farthest)


def current(intent: OrderIntent, limit: Decimal) -> dict[str, Any]:
    """Write an order on the YES book: what meets it at once within the limit, and nothing that rests.

    An exit may only reduce what is held, so that repeating it can never turn a position around.
    """
    order: dict[str, Any] = {
        "ticker": intent.market,
        "client_order_id": intent.client_order_id,
        "side": "bid" if intent.side is Side.BUY else "ask",
        "count": format(intent.quantity.quantize(Decimal("0.01")), "f"),
        "price": _dollars(limit),
        "time_in_force": "immediate_or_cancel",
        "self_trade_prevention_type": "taker_at_cross",
    }
    return order | ({"reduce_only": True} if intent.leg is Leg.EXIT else {})


def older(intent: OrderIntent, limit: Decimal) -> dict[str, Any]:
    """Write the same for the older wire: an entry buys YES or NO, an exit sells what the entry bought."""
    is_yes = (intent.side is Side.BUY) is (intent.leg is Leg.ENTRY)
    own = limit if is_yes else 1 - limit
    order: dict[str, Any] = {
        "ticker": intent.market,
        "client_order_id": intent.client_order_id,
        "side": "yes" if is_yes else "no",
        "action": "buy" if intent.leg is Leg.ENTRY else "sell",
        "count": int(intent.quantity),
        "type": "limit",
        "time_in_force": "immediate_or_cancel",
        "yes_price" if is_yes else "no_price": _cents(own),
    }
    return order | ({"reduce_only": True} if intent.leg is Leg.EXIT else {})


def _dollars(price: Decimal) -> str:
    return format(price.quantize(Decimal("0.0001")), "f")


def _cents(price: Decimal) -> int:
    cents = price * 100
    if cents != int(cents):
        raise ValueError(f"the older wire has whole cents, found {price}")
    return int(cents)
