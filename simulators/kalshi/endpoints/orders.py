"""Orders of the current wire: bid and ask on the YES book."""

from typing import Any

from simulators.kalshi.call import Call
from simulators.kalshi.intake import invalid_order, read_client_id, read_count, read_current
from simulators.kalshi.orders import Order
from simulators.kalshi.portfolio_views import cancelled_view, created_view
from simulators.kalshi.wire import ApiError, Json, number, refusal, unreadable

MOST_IN_BATCH = 20


def create(call: Call) -> tuple[int, Json]:
    """Create an order."""
    order = call.desk().create(read_current(call.body()))
    return 201, created_view(order, call.now)


def create_batch(call: Call) -> tuple[int, Json]:
    """Create several orders; each succeeds or fails by itself."""
    return 201, {"orders": [_try_create(call, item) for item in batch(call.body(), "orders")]}


def _try_create(call: Call, item: Any) -> Json:
    try:
        return created_view(call.desk().create(read_current(item)), call.now)
    except ApiError as exc:
        return {"client_order_id": item.get("client_order_id"), "error": batch_error(exc)}


def batch(body: Json, key: str) -> list[Any]:
    """Return the items of a batch.

    Raises:
        ApiError: they are missing, too many, or not objects.
    """
    items = body.get(key)
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise unreadable(f"{key} should be a list of objects")
    if len(items) > MOST_IN_BATCH:
        raise refusal(400, "invalid_parameters", details=f"at most {MOST_IN_BATCH} {key} in a batch")
    return items


def batch_error(exc: ApiError) -> Json:
    """Return an error inside a batch, where ``details`` is always there."""
    error: Json = exc.body.get("error", exc.body)
    return {"details": "", **error}


def cancel(call: Call) -> tuple[int, Json]:
    """Cancel an order."""
    desk = call.desk()
    order = desk.resting(call.params["order"])
    return 200, cancelled_view(order, desk.cancel(order), call.now)


def cancel_batch(call: Call) -> tuple[int, Json]:
    """Cancel several orders; each succeeds or fails by itself."""
    return 200, {"orders": [_try_cancel(call, str(item.get("order_id"))) for item in batch(call.body(), "orders")]}


def _try_cancel(call: Call, name: str) -> Json:
    desk = call.desk()
    try:
        order = desk.resting(name)
    except ApiError as exc:
        return {"order_id": name, "reduced_by": "0.00", "error": batch_error(exc)}
    return cancelled_view(order, desk.cancel(order), call.now)


def cancel_all(call: Call) -> tuple[int, Json]:
    """Cancel every resting order of the account."""
    desk = call.desk()
    resting: list[Order] = list(call.account.resting.values())
    return 200, {"orders": [cancelled_view(order, desk.cancel(order), call.now) for order in resting]}


def amend(call: Call) -> tuple[int, Json]:
    """Change price and number of a resting order."""
    body, desk = call.body(), call.desk()
    order = desk.resting(call.params["order"])
    if body.get("ticker") != order.ticker or body.get("side") != order.side:
        raise invalid_order("ticker and side should be those of the order")
    if body.get("client_order_id") not in (None, "", order.client_order_id):
        raise invalid_order("client_order_id should be that of the order")
    price = number(body.get("price"))
    if price is None:
        raise invalid_order("price should be a number of dollars")
    desk.amend(order, price, read_count(body.get("count"), "count"), read_client_id(body, "updated_client_order_id"))
    return 200, created_view(order, call.now)


def decrease(call: Call) -> tuple[int, Json]:
    """Take contracts off a resting order."""
    body, desk = call.body(), call.desk()
    order = desk.resting(call.params["order"])
    desk.decrease(order, remaining_after(order, body.get("reduce_by"), body.get("reduce_to")))
    view: Json = {
        "order_id": order.id,
        "remaining_count": f"{order.remaining}.00",
        "ts_ms": created_view(order, call.now)["ts_ms"],
    }
    return 200, {**view, "client_order_id": order.client_order_id} if order.client_order_id else view


def remaining_after(order: Order, by: Any, to: Any) -> int:
    """Return what a decrease leaves of an order.

    Raises:
        ApiError: not exactly one of the two is given, or it is unusable.
    """
    if (by is None) == (to is None):
        raise invalid_order("exactly one of reduce_by and reduce_to should be provided")
    if to is not None and number(to) == 0:
        return 0
    return max(order.remaining - read_count(by, "reduce_by"), 0) if to is None else read_count(to, "reduce_to")
