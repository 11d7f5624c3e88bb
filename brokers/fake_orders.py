"""Stop orders as the fake broker shows them."""

from brokers.port import BrokerTrade, RestingOrder
from domain.ids import client_order_id, signal_of_order
from domain.order import OrderIntent
from domain.vocabulary import ExitReason, Leg, TimeInForce


def stop_of(intent: OrderIntent, number: str) -> RestingOrder:
    """Return the resting order that an intent of the leg ``STOP`` becomes."""
    return RestingOrder(
        client_order_id=intent.client_order_id,
        broker_order_id=number,
        market=intent.market,
        side=intent.side,
        quantity=intent.quantity,
        trigger=intent.trigger,
        trailing_percent=intent.trailing_percent,
        trailing_distance=intent.trailing_distance,
        tif=TimeInForce.GTC,
    )


def child_of(entry: OrderIntent, trade: BrokerTrade, number: str) -> RestingOrder | None:
    """Return the stop that goes with an entry, None for an entry without one."""
    if entry.stop_loss is None and entry.trailing_percent is None and entry.trailing_distance is None:
        return None
    return RestingOrder(
        client_order_id=client_order_id(entry.surface, entry.signal_id, Leg.STOP, 1),
        broker_order_id=number,
        market=entry.market,
        side=entry.side.opposite,
        quantity=trade.quantity,
        trigger=entry.stop_loss,
        trailing_percent=entry.trailing_percent,
        trailing_distance=entry.trailing_distance,
        tif=TimeInForce.GTC,
    )


def is_stop_for(order: RestingOrder, trade: BrokerTrade) -> bool:
    """Tell whether an order is a stop of ours that protects this trade."""
    stop, entry = signal_of_order(order.client_order_id or ""), signal_of_order(trade.client_order_id or "")
    return stop is not None and entry is not None and stop[1:3] == (entry[1], Leg.STOP)


def reason_of(order: RestingOrder) -> ExitReason:
    is_trailing = order.trailing_percent is not None or order.trailing_distance is not None
    return ExitReason.TRAILING_STOP if is_trailing else ExitReason.STOP_LOSS


def sells_now(intent: OrderIntent) -> bool:
    """Tell whether an order of the leg ``STOP`` has no level to wait for."""
    return intent.trigger is None and intent.trailing_percent is None and intent.trailing_distance is None
