"""Pages that list orders and trades."""

from datetime import timedelta

from simulators.client_portal.call import Call
from simulators.client_portal.order_views import last_changes, order_view, status_view, trade_view
from simulators.client_portal.wire import Json, Refusal, whole
from simulators.ibkr.orders import Order

_MOST_DAYS = 7


def live(call: Call) -> Json:
    """Answer ``/iserver/account/orders``: the day's orders, live and done.

    The first request of a session only fills the gateway's cache and is answered with nothing, and so is one with
    ``force=true``, which empties it.
    """
    brokerage = call.brokerage
    is_first, brokerage.orders_read = not brokerage.orders_read, True
    if is_first or call.flag("force") or call.fault("orders_cache_empty") is not None:
        return {"orders": [], "snapshot": False}
    account = _account(call)
    executed = last_changes(call.venue.executions(account))
    orders = [order for order in _orders(call, account) if _is_wanted(call, order)]
    return {
        "orders": [order_view(call.venue, order, executed.get(order.perm_id)) for order in orders],
        "snapshot": True,
    }


def _account(call: Call) -> str:
    name = call.query.get("accountId", call.gateway.selected)
    if name not in call.venue.specs:
        raise Refusal(400, f"Invalid account id: {name}")
    return name


def _orders(call: Call, account: str) -> list[Order]:
    found = [*call.venue.orders(account), *call.venue.completed(account)]
    if any(order.terms.parent is not None for order in found) and call.fault("missing_child") is not None:
        return [order for order in found if order.terms.parent is None]
    return found


def _is_wanted(call: Call, order: Order) -> bool:
    texts = call.query.get("filters", call.query.get("Filters", "")).split(",")
    wanted = {text.replace("_", "").lower() for text in texts if text} - {"sortbytime"}
    return not wanted or order.status.lower() in wanted


def status(call: Call) -> Json:
    """Answer ``/iserver/account/order/status/{order}``."""
    text = call.params["order"]
    number = whole(text)
    order = None if number is None else call.venue.order(number)
    if order is None:
        raise Refusal(503, "Service Unavailable")
    executed = last_changes(call.venue.executions(order.terms.account))
    return status_view(call.venue, order, executed.get(order.perm_id))


def trades(call: Call) -> list[Json]:
    """Answer ``/iserver/account/trades``: executions of today, or of up to seven days."""
    text = call.query.get("days", "")
    days = min(whole(text) or 0, _MOST_DAYS)
    since = call.now - timedelta(days=days) if days else None
    return [trade_view(call.venue, found) for found in call.venue.executions(_account(call), since)]
