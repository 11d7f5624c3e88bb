"""Orders: create, list, read, replace, cancel."""

import time as wall

from simulators.oanda.call import Call
from simulators.oanda.desk import cancel_on_request, create_order, explained, replace_order
from simulators.oanda.orders import Order
from simulators.oanda.views import order_view
from simulators.oanda.wire import ApiError, Json, invalid_value

_STATES = ("PENDING", "FILLED", "TRIGGERED", "CANCELLED", "ALL")


def create(call: Call) -> tuple[int, Json]:
    """Create an order."""
    status, body = create_order(call.desk(), call.body().get("order"))
    _locate(call, status, body)
    return status, body


def _locate(call: Call, status: int, body: Json) -> None:
    if status == 201:
        created = body["orderCreateTransaction"]["id"]
        call.reply_headers["Location"] = f"/v3/accounts/{call.account.id}/orders/{created}"


def list_orders(call: Call) -> tuple[int, Json]:
    """List orders, newest first; pending ones unless another state is asked for."""
    state = call.query.get("state", "PENDING")
    if state not in _STATES:
        raise invalid_value("state", f"Expected one of {', '.join(_STATES)}")
    ids = call.query.get("ids")
    wanted = None if ids is None else set(ids.split(","))
    before = call.integer("beforeID", 2**31, 1, 2**31)
    count = call.integer("count", 50, 1, 500)
    instrument = call.query.get("instrument")
    found = [
        order_view(order)
        for order in reversed(call.account.orders.values())
        if (state in ("ALL", order.wire["state"]) if wanted is None else order.id in wanted)
        and instrument in (None, order.instrument)
        and int(order.id) < before
    ]
    return 200, {"orders": found[:count], "lastTransactionID": call.account.last_id}


def pending(call: Call) -> tuple[int, Json]:
    """List every pending order, newest first."""
    found = [order_view(order) for order in reversed(call.account.pending.values())]
    return 200, {"orders": found, "lastTransactionID": call.account.last_id}


def read(call: Call) -> tuple[int, Json]:
    """Return one order."""
    order = call.account.find_order(call.params["order"])
    if order is None or order.hidden_until > wall.time():
        raise _no_such_order(call)
    return 200, {"order": order_view(order), "lastTransactionID": call.account.last_id}


def replace(call: Call) -> tuple[int, Json]:
    """Replace a pending order."""
    order = call.account.find_order(call.params["order"])
    request = call.body().get("order")
    if order is None or not order.is_pending:
        return _missing(call)
    status, body = replace_order(call.desk(), order, request)
    _locate(call, status, body)
    return status, body


def _missing(call: Call) -> tuple[int, Json]:
    batch, specifier = call.desk().batch(), call.params["order"]
    named = {"clientOrderID": specifier[1:]} if specifier.startswith("@") else {"orderID": specifier}
    refused = batch.write("ORDER_CANCEL_REJECT", **named, rejectReason="ORDER_DOESNT_EXIST")
    body = batch.reply(orderCancelRejectTransaction=refused)
    return 404, {**body, "errorCode": "ORDER_DOESNT_EXIST", "errorMessage": explained("ORDER_DOESNT_EXIST")}


def cancel(call: Call) -> tuple[int, Json]:
    """Cancel a pending order."""
    return cancel_on_request(call.desk(), call.params["order"])


def _no_such_order(call: Call) -> ApiError:
    message = "The order ID specified does not exist"
    return ApiError(404, message, "NO_SUCH_ORDER", lastTransactionID=call.account.last_id)


def set_extensions(call: Call) -> tuple[int, Json]:
    """Replace the client extensions of a pending order."""
    order = call.account.find_order(call.params["order"])
    if order is None or not order.is_pending:
        raise _no_such_order(call)
    return 200, _extend(call, order)


def _extend(call: Call, order: Order) -> Json:
    request = call.body()
    batch = call.desk().batch()
    changed = {
        "clientExtensionsModify": request.get("clientExtensions"),
        "tradeClientExtensionsModify": request.get("tradeClientExtensions"),
    }
    written = batch.write("ORDER_CLIENT_EXTENSIONS_MODIFY", orderID=order.id, **changed)
    for key in ("clientExtensions", "tradeClientExtensions"):
        if request.get(key) is not None:
            order.wire[key] = request[key]
    call.account.changed_orders.add(order.id)
    return batch.reply(orderClientExtensionsModifyTransaction=written)
