"""Trades: list, read, close, and their protective orders."""

from decimal import Decimal

from simulators.oanda.account import Batch
from simulators.oanda.call import Call
from simulators.oanda.closing import close_units
from simulators.oanda.dependents import cancel_order, create_dependent
from simulators.oanda.desk import Desk, explained, losing_profit, meet_now
from simulators.oanda.instruments import INSTRUMENTS
from simulators.oanda.intake import Rejected, checked_dependent
from simulators.oanda.orders import DEPENDENT_KEYS
from simulators.oanda.trades import Trade
from simulators.oanda.views import trade_view
from simulators.oanda.wire import ApiError, Json, decimal_or_none, invalid_value

_STATES = ("OPEN", "CLOSED", "CLOSE_WHEN_TRADEABLE", "ALL")


def list_trades(call: Call) -> tuple[int, Json]:
    """List trades, newest first; open ones unless another state is asked for."""
    state = call.query.get("state", "OPEN")
    if state not in _STATES:
        raise invalid_value("state", f"Expected one of {', '.join(_STATES)}")
    ids = call.query.get("ids")
    wanted = None if ids is None else set(ids.split(","))
    before = call.integer("beforeID", 2**31, 1, 2**31)
    instrument, value = call.query.get("instrument"), call.value()
    found = [
        trade_view(call.account, trade, value)
        for trade in reversed(call.account.trades.values())
        if (state in ("ALL", "OPEN" if trade.is_open else "CLOSED") if wanted is None else trade.id in wanted)
        and instrument in (None, trade.instrument)
        and int(trade.id) < before
    ]
    count = call.integer("count", 50, 1, 500)
    return 200, {"trades": found[:count], "lastTransactionID": call.account.last_id}


def open_trades(call: Call) -> tuple[int, Json]:
    """List every open trade, newest first."""
    value = call.value()
    found = [trade_view(call.account, trade, value) for trade in reversed(call.account.open_trades.values())]
    return 200, {"trades": found, "lastTransactionID": call.account.last_id}


def read(call: Call) -> tuple[int, Json]:
    """Return one trade, open or closed."""
    trade = call.account.find_trade(call.params["trade"])
    if trade is None:
        raise _no_such_trade(call)
    return 200, {"trade": trade_view(call.account, trade, call.value()), "lastTransactionID": call.account.last_id}


def _no_such_trade(call: Call) -> ApiError:
    message = "The trade ID specified does not exist"
    return ApiError(404, message, "NO_SUCH_TRADE", lastTransactionID=call.account.last_id)


def close(call: Call) -> tuple[int, Json]:
    """Close a trade, wholly or in part."""
    desk, asked = call.desk(), call.body().get("units", "ALL")
    batch = desk.batch()
    trade = call.account.find_trade(call.params["trade"])
    try:
        if trade is None or not trade.is_open:
            raise Rejected("TRADE_DOESNT_EXIST", status=404)
        size = _closing_size(asked, trade)
    except Rejected as refusal:
        return _refused_close(batch, call.params["trade"], asked, refusal)
    why = {"tradeID": trade.id, "units": str(asked)}
    quote = desk.live_quote(trade.instrument)
    created, outcome = close_units(batch, desk.market, [trade], size, quote, "TRADE_CLOSE", tradeClose=why)
    filled = outcome["type"] == "ORDER_FILL"
    return 200, batch.reply(
        orderCreateTransaction=created,
        orderFillTransaction=outcome if filled else None,
        orderCancelTransaction=None if filled else outcome,
    )


def _closing_size(asked: object, trade: Trade) -> Decimal:
    if asked == "ALL":
        return abs(trade.current_units)
    size = decimal_or_none(asked)
    if size is None or size <= 0:
        raise Rejected("UNITS_INVALID")
    if size != size.to_integral_value():
        raise Rejected("UNITS_PRECISION_EXCEEDED")
    if size > abs(trade.current_units):
        raise Rejected("CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE")
    return size


def _refused_close(batch: Batch, specifier: str, asked: object, refusal: Rejected) -> tuple[int, Json]:
    written = batch.write(
        "MARKET_ORDER_REJECT",
        tradeClose={"tradeID": specifier, "units": str(asked)},
        timeInForce="FOK",
        positionFill="REDUCE_ONLY",
        reason="TRADE_CLOSE",
        rejectReason=refusal.reason,
    )
    body = batch.reply(orderRejectTransaction=written)
    return refusal.status, {**body, "errorCode": refusal.reason, "errorMessage": explained(refusal.reason)}


def set_orders(call: Call) -> tuple[int, Json]:
    """Create, replace or cancel a trade's protective orders: null cancels, absent keeps."""
    desk, request = call.desk(), call.body()
    trade = call.account.find_trade(call.params["trade"])
    if trade is None or not trade.is_open:
        raise _no_such_trade(call)
    asked = {kind: request[key] for kind, key in DEPENDENT_KEYS.items() if key in request}
    batch, checked = desk.batch(), {}
    for kind, details in asked.items():
        try:
            checked[kind] = _checked(desk, kind, details, trade)
        except Rejected as refusal:
            return _refused_order(batch, kind, trade, refusal)
    parts: dict[str, Json | None] = {}
    for kind, details in checked.items():
        parts |= _set_order(desk, batch, trade, kind, details)
    return 200, batch.reply(**parts)


def _checked(desk: Desk, kind: str, details: object, trade: Trade) -> Json | None:
    if details is None:
        return None
    return checked_dependent(kind, details, INSTRUMENTS[trade.instrument], desk.now, on_fill=False)


def _set_order(desk: Desk, batch: Batch, trade: Trade, kind: str, details: Json | None) -> dict[str, Json | None]:
    key, parts = DEPENDENT_KEYS[kind], dict[str, Json | None]()
    old_id = trade.dependents.get(kind)
    quote = desk.market.quote(trade.instrument, desk.now)
    links = {}
    if old_id is not None:
        links = {"replacesOrderID": old_id, "cancellingTransactionID": str(len(desk.account.transactions) + 1)}
        old = desk.account.orders[old_id]
        if details is None:
            return {f"{key}OrderCancelTransaction": cancel_order(batch, old, "CLIENT_REQUEST")}
        successor = str(len(desk.account.transactions) + 2)
        cancelled = cancel_order(batch, old, "CLIENT_REQUEST_REPLACED", replacedByOrderID=successor)
        parts[f"{key}OrderCancelTransaction"] = cancelled
    # an earlier order of this very request may have closed the trade
    if details is None or quote is None or not trade.is_open:
        return parts
    reason = "CLIENT_ORDER" if old_id is None else "REPLACEMENT"
    order, transaction = create_dependent(batch, trade, kind, details, quote, reason, **links)
    parts[f"{key}OrderTransaction"] = transaction
    if losing_profit(desk, order):
        parts[f"{key}OrderCreatedCancelTransaction"] = cancel_order(batch, order, "LOSING_TAKE_PROFIT")
    else:
        parts[f"{key}OrderFillTransaction"] = meet_now(desk, batch, order)
    return parts


def _refused_order(batch: Batch, kind: str, trade: Trade, refusal: Rejected) -> tuple[int, Json]:
    written = batch.write(f"{kind}_ORDER_REJECT", tradeID=trade.id, reason="CLIENT_ORDER", rejectReason=refusal.reason)
    body = batch.reply(**{f"{DEPENDENT_KEYS[kind]}OrderRejectTransaction": written})
    return refusal.status, {**body, "errorCode": refusal.reason, "errorMessage": explained(refusal.reason)}


def set_extensions(call: Call) -> tuple[int, Json]:
    """Replace the client extensions of an open trade."""
    trade = call.account.find_trade(call.params["trade"])
    if trade is None or not trade.is_open:
        raise _no_such_trade(call)
    extensions = call.body().get("clientExtensions")
    batch = call.desk().batch()
    written = batch.write("TRADE_CLIENT_EXTENSIONS_MODIFY", tradeID=trade.id, tradeClientExtensionsModify=extensions)
    trade.extensions = extensions
    call.account.note_trade(trade)
    return 200, batch.reply(tradeClientExtensionsModifyTransaction=written)
