"""Order requests as OANDA wants them: signed units and prices as strings on the instrument's own precision."""

from decimal import ROUND_CEILING, Decimal
from typing import Any

from domain.order import OrderIntent
from domain.quotes import Instrument
from domain.vocabulary import Side


def price_text(instrument: Instrument, price: Decimal, side: Side | None = None) -> str:
    """Write a price with exactly ``displayPrecision`` decimals, else OANDA answers PRICE_PRECISION_EXCEEDED."""
    return format(instrument.round_price(price, side).quantize(instrument.tick), "f")


def distance_text(instrument: Instrument, distance: Decimal) -> str:
    steps = (distance / instrument.tick).quantize(Decimal(1), ROUND_CEILING)
    return format((steps * instrument.tick).quantize(instrument.tick), "f")


def units_text(instrument: Instrument, quantity: Decimal) -> str:
    return format(quantity.quantize(instrument.quantity_step), "f")


def market_order(intent: OrderIntent, instrument: Instrument) -> dict[str, Any]:
    """Write an entry: all or nothing, and only ever opening, so that it cannot eat into somebody's trade.

    Our id goes on the order and on the trade it opens: the trade keeps it for the resolver after a restart, and OANDA
    refuses a second open trade of the same id.
    """
    quantity = instrument.round_quantity(intent.quantity) * intent.side.sign
    order: dict[str, Any] = {
        "type": "MARKET",
        "instrument": intent.market,
        "units": units_text(instrument, quantity),
        "timeInForce": "FOK",
        "positionFill": "OPEN_ONLY",
        "clientExtensions": {"id": intent.client_order_id},
        "tradeClientExtensions": {"id": intent.client_order_id},
    }
    if intent.price_bound is not None:
        order["priceBound"] = price_text(instrument, intent.price_bound, intent.side)
    return {"order": order | _brackets(intent, instrument)}


def _brackets(intent: OrderIntent, instrument: Instrument) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if intent.stop_loss is not None:
        found["stopLossOnFill"] = resting(price=price_text(instrument, intent.stop_loss, intent.side))
    if intent.take_profit is not None:
        found["takeProfitOnFill"] = resting(price=price_text(instrument, intent.take_profit))
    if intent.trailing_distance is not None:
        found["trailingStopLossOnFill"] = resting(distance=distance_text(instrument, intent.trailing_distance))
    return found


def resting(**level: str) -> dict[str, str]:
    return {"timeInForce": "GTC", **level}
