"""Pages that list orders and trades."""

from datetime import timedelta

from simulators.client_portal.call import Call
from simulators.client_portal.order_views import last_changes, order_view, status_view, trade_view
from simulators.client_portal.wire import Json, Refusal, unix_ms, whole
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
    left_out = call.fault("missing_order")
    return found if left_out is None else [order for order in found if order.terms.ref != left_out["ref"]]


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
    """Answer ``/iserver/account/trades``: executions of today, or of up to seven days; the first of a session nothing.

    Source: https://www.interactivebrokers.com/docs/web-api/web-api-v-1-0-documentation/endpoints/order-monitoring/trades,
    and its users, who found the first list of a session empty.
    """
    brokerage = call.brokerage
    is_first, brokerage.trades_read = not brokerage.trades_read, True
    if is_first or call.fault("trades_cache_empty") is not None:
        return []
    text = call.query.get("days", "")
    days = min(whole(text) or 0, _MOST_DAYS)
    since = call.now - timedelta(days=days) if days else None
    account = _account(call)
    return [
        *_foreign(call, account),
        *(trade_view(call.venue, found) for found in call.venue.executions(account, since)),
    ]


def _foreign(call: Call, account: str) -> list[Json]:
    """Return the sale of a stock listed in Mexico under the symbol of one listed here, where a fault asks for it."""
    found = call.fault("foreign_holding")
    if found is None:
        return []
    who = {"account": account, "accountCode": account, "submitter": "simulated", "exchange": "MEXI"}
    what = {"symbol": "AAPL", "contract_description_1": "AAPL", "sec_type": "STK", "conid": 38708077}
    terms = {"side": "S", "size": found["quantity"], "price": "3250.00", "commission": "9.00"}
    at = {"trade_time_r": unix_ms(call.now), "execution_id": f"0000abcd.{account.encode().hex()}.01.01"}
    return [{**at, **who, **what, **terms}]
