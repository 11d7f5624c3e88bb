"""Accounts: list, details, summary, instruments, changes."""

from simulators.oanda.call import Call
from simulators.oanda.triggers import fill_points
from simulators.oanda.views import account_view, order_view, position_view, state_view, summary_view, trade_view
from simulators.oanda.wire import ApiError, Json, invalid_value


def list_accounts(call: Call) -> tuple[int, Json]:
    """List the accounts the token opens."""
    return 200, {"accounts": [{"id": account.id, "tags": []} for account in call.accounts]}


def details(call: Call) -> tuple[int, Json]:
    """Return an account with its pending orders, open trades and positions."""
    return 200, {"account": account_view(call.account, call.value()), "lastTransactionID": call.account.last_id}


def summary(call: Call) -> tuple[int, Json]:
    """Return an account's numbers."""
    return 200, {"account": summary_view(call.account, call.value()), "lastTransactionID": call.account.last_id}


def instruments(call: Call) -> tuple[int, Json]:
    """List what the account can trade."""
    listed = [instrument.wire() for instrument in call.instruments(required=False)]
    return 200, {"instruments": listed, "lastTransactionID": call.account.last_id}


def changes(call: Call) -> tuple[int, Json]:
    """Return what happened since a transaction, and the price-dependent state now."""
    account = call.account
    since = since_id(call, "sinceTransactionID")
    body = {"changes": _changes(call, since), "state": _state(call), "lastTransactionID": account.last_id}
    return 200, body


def since_id(call: Call, name: str) -> int:
    """Read a transaction id that must not lie ahead of the account.

    Raises:
        ApiError: it is no number (400) or beyond the last transaction (416).
    """
    text = call.query.get(name, "")
    if not text.isascii() or not text.isdigit():
        raise invalid_value(name)
    if int(text) > len(call.account.transactions):
        raise ApiError(416, f"Invalid value specified for '{name}'. No such transaction")
    return int(text)


def _changes(call: Call, since: int) -> Json:
    account, value = call.account, call.value()
    written = account.transactions[since:]
    fills = [item for item in written if item["type"] == "ORDER_FILL"]
    opened = [fill["tradeOpened"]["tradeID"] for fill in fills if "tradeOpened" in fill]
    reduced = [fill["tradeReduced"]["tradeID"] for fill in fills if "tradeReduced" in fill]
    closed = [part["tradeID"] for fill in fills for part in fill.get("tradesClosed", [])]
    created = [item["id"] for item in written if item["id"] in account.orders]
    cancelled = [item["orderID"] for item in written if item["type"] == "ORDER_CANCEL"]
    touched = dict.fromkeys(fill["instrument"] for fill in fills)
    orders = {
        "ordersCreated": created,
        "ordersCancelled": cancelled,
        "ordersFilled": [fill["orderID"] for fill in fills],
        "ordersTriggered": [],
    }
    trades = {"tradesOpened": opened, "tradesReduced": reduced, "tradesClosed": closed}
    return {
        **{key: [order_view(account.orders[i]) for i in dict.fromkeys(ids)] for key, ids in orders.items()},
        **{
            key: [trade_view(account, account.trades[i], value, nested=False) for i in dict.fromkeys(ids)]
            for key, ids in trades.items()
        },
        "positions": [position_view(account, name, value) for name in touched],
        "transactions": written,
    }


def _state(call: Call) -> Json:
    distances = {}
    for order in call.account.pending.values():
        quote = call.venue.market.quote(order.instrument, call.now)
        if quote is not None and order.level is not None:
            distances[order.id] = abs(fill_points(order, quote) - order.level)
    return state_view(call.account, call.value(), distances)
