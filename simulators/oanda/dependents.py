"""Take profit, stop loss and trailing stop orders that protect a trade."""

from decimal import Decimal

from simulators.oanda.account import Account, Batch
from simulators.oanda.instruments import INSTRUMENTS
from simulators.oanda.orders import DEPENDENT_KEYS, Order, order_from_wire
from simulators.oanda.tape import Quote
from simulators.oanda.trades import Trade
from simulators.oanda.wire import Json, from_points, price


def create_dependent(
    batch: Batch, trade: Trade, kind: str, details: Json, quote: Quote, reason: str, **links: str | None
) -> tuple[Order, Json]:
    """Create one protective order.

    Args:
        kind: TAKE_PROFIT, STOP_LOSS or TRAILING_STOP_LOSS.
        details: checked price or distance, time in force, extensions.
        quote: where a trailing stop starts from.
        links: further transaction fields such as orderFillTransactionID or replacesOrderID.
    """
    fields = _fields(trade, kind, details)
    transaction = batch.write(f"{kind}_ORDER", **fields, reason=reason, **links)
    wire: Json = {"id": transaction["id"], "createTime": batch.time, "type": kind, **fields, "state": "PENDING"}
    if "replacesOrderID" in links:
        wire["replacesOrderID"] = links["replacesOrderID"]
    if kind == "TRAILING_STOP_LOSS":
        wire["trailingStopValue"] = _first_trailing_value(trade, details, quote)
    order = order_from_wire(wire, trade.instrument, -trade.current_units)
    batch.account.add_order(order)
    trade.dependents[kind] = order.id
    batch.account.note_trade(trade)
    return order, transaction


def _fields(trade: Trade, kind: str, details: Json) -> Json:
    precision = INSTRUMENTS[trade.instrument].precision
    fields: Json = {"tradeID": trade.id}
    if trade.client_id is not None:
        fields["clientTradeID"] = trade.client_id
    distance = details.get("distance")
    if distance is not None:
        fields["distance"] = price(distance, precision)
        if kind == "STOP_LOSS":
            fields["price"] = price(stop_price(details, trade.price, trade.is_long), precision)
    else:
        fields["price"] = price(details["price"], precision)
    fields["timeInForce"] = details["timeInForce"]
    fields["triggerCondition"] = "DEFAULT"
    if kind == "STOP_LOSS":
        fields["guaranteed"] = False
    fields.update((key, details[key]) for key in ("gtdTime", "clientExtensions") if key in details)
    return fields


def stop_price(details: Json, entry: Decimal, is_long: bool) -> Decimal:
    """Return the price of a stop given as price or as distance from the entry."""
    if "price" in details:
        found: Decimal = details["price"]
        return found
    distance: Decimal = details["distance"]
    return entry - distance if is_long else entry + distance


def _first_trailing_value(trade: Trade, details: Json, quote: Quote) -> str:
    distance: Decimal = details["distance"]
    start = from_points(quote.bid) - distance if trade.is_long else from_points(quote.ask) + distance
    return price(start, INSTRUMENTS[trade.instrument].precision)


def cancel_order(batch: Batch, order: Order, reason: str, **links: str | None) -> Json:
    """Cancel an order and return the transaction."""
    transaction = batch.write("ORDER_CANCEL", orderID=order.id, clientOrderID=order.client_id, reason=reason, **links)
    replaced = {"replacedByOrderID": links["replacedByOrderID"]} if "replacedByOrderID" in links else {}
    batch.account.settle_order(
        order, state="CANCELLED", cancellingTransactionID=transaction["id"], cancelledTime=batch.time, **replaced
    )
    return transaction


def cancel_dependents(batch: Batch, account: Account, trade: Trade) -> None:
    """Cancel what still protects a trade that is gone."""
    for kind in DEPENDENT_KEYS:
        order_id = trade.dependents.get(kind)
        if order_id is not None:
            cancel_order(batch, account.orders[order_id], "LINKED_TRADE_CLOSED")
