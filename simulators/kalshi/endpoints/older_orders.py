"""Orders of the older wire: an outcome, an action, a price in cents."""

from copy import copy
from typing import Any

from simulators.kalshi.call import Call
from simulators.kalshi.endpoints.orders import batch, batch_error, remaining_after
from simulators.kalshi.intake import invalid_order, older_price, older_side, read_client_id, read_count, read_older
from simulators.kalshi.orders import Order
from simulators.kalshi.portfolio_views import order_view
from simulators.kalshi.wire import ApiError, Json, fp

_LEGACY_LIST = "order_ids"


def create(call: Call) -> tuple[int, Json]:
    """Create an order."""
    order = call.desk().create(read_older(call.body()))
    return 201, {"order": order_view(call.wire, order)}


def create_batch(call: Call) -> tuple[int, Json]:
    """Create several orders; each succeeds or fails by itself."""
    answers = [_try_create(call, item) for item in batch(call.body(), "orders")]
    return 201, {"orders": answers, "responses": answers}


def _try_create(call: Call, item: Any) -> Json:
    name = item.get("client_order_id")
    try:
        order = call.desk().create(read_older(item))
    except ApiError as exc:
        return {"client_order_id": name, "error": batch_error(exc)}
    return {"client_order_id": name, "order": order_view(call.wire, order)}


def cancel(call: Call) -> tuple[int, Json]:
    """Cancel an order."""
    desk = call.desk()
    order = desk.resting(call.params["order"])
    reduced = desk.cancel(order)
    return 200, {"order": order_view(call.wire, order), "reduced_by": reduced, "reduced_by_fp": fp(reduced)}


def cancel_batch(call: Call) -> tuple[int, Json]:
    """Cancel several orders, named by ``ids``, ``order_ids`` or ``orders``."""
    body = call.body()
    names = body.get("ids") or body.get(_LEGACY_LIST)
    if not isinstance(names, list):
        names = [str(item.get("order_id")) for item in batch(body, "orders")]
    answers = [_try_cancel(call, str(name)) for name in names]
    return 200, {"orders": answers, "responses": answers}


def _try_cancel(call: Call, name: str) -> Json:
    desk = call.desk()
    try:
        order = desk.resting(name)
    except ApiError as exc:
        return {"order_id": name, "reduced_by": 0, "reduced_by_fp": fp(0), "error": batch_error(exc)}
    reduced = desk.cancel(order)
    view = order_view(call.wire, order)
    return {"order_id": name, "order": view, "reduced_by": reduced, "reduced_by_fp": fp(reduced)}


def amend(call: Call) -> tuple[int, Json]:
    """Change price, number or both of a resting order."""
    body, desk = call.body(), call.desk()
    order = desk.resting(call.params["order"])
    _check_same(order, body)
    before: Order = copy(order)
    priced = any(name.startswith(("yes_price", "no_price")) for name in body)
    count = body.get("count_fp", body.get("count"))
    desk.amend(
        order,
        older_price(body) if priced else order.price,
        order.initial if count is None else read_count(count, "count"),
        read_client_id(body, "updated_client_order_id"),
    )
    return 200, {"old_order": order_view(call.wire, before), "order": order_view(call.wire, order)}


def _check_same(order: Order, body: Json) -> None:
    if body.get("ticker") not in (None, order.ticker):
        raise invalid_order("ticker should be that of the order")
    outcome, action = body.get("side"), body.get("action")
    if outcome is not None and action is not None and older_side(str(outcome), str(action)) is not order.side:
        raise invalid_order("side and action should be those of the order")


def decrease(call: Call) -> tuple[int, Json]:
    """Take contracts off a resting order."""
    body, desk = call.body(), call.desk()
    order = desk.resting(call.params["order"])
    by, to = body.get("reduce_by_fp", body.get("reduce_by")), body.get("reduce_to_fp", body.get("reduce_to"))
    desk.decrease(order, remaining_after(order, by, to))
    return 200, {"order": order_view(call.wire, order)}
