"""Orders and executions as the gateway's lists show them."""

from collections.abc import Iterable
from datetime import datetime

from simulators.client_portal.questions import described
from simulators.client_portal.wire import Json, order_time, plain, price_text, trade_time, unix_ms
from simulators.ibkr.contracts import Contract
from simulators.ibkr.orders import Execution, Order
from simulators.ibkr.venue import Venue

# kind -> orderType in words, origOrderType
_KINDS = {
    "MKT": ("Market", "MARKET"),
    "LMT": ("Limit", "LIMIT"),
    "STP": ("Stop", "STOP"),
    "STP LMT": ("Stop Limit", "STOP_LIMIT"),
    "TRAIL": ("Trailing Stop", "TRAILING_STOP"),
    "TRAIL LIMIT": ("Trailing Stop Limit", "TRAILING_STOP_LIMIT"),
}
# status -> what the exchange side says
_CCP = {"PreSubmitted": "Submitted", "PendingCancel": "Pending Cancel"}
_WORDS = {
    "PreSubmitted": "Order Submitted",
    "Submitted": "Order Submitted",
    "Filled": "Order Filled",
    "Cancelled": "Order Cancelled",
    "PendingCancel": "Order Cancel Pending",
    "Inactive": "Order Inactive",
}
_COLOURS = {
    "PreSubmitted": ("#FFFFFF", "#0000CC"),
    "Submitted": ("#FFFFFF", "#0000CC"),
    "Filled": ("#FFFFFF", "#007700"),
    "Cancelled": ("#FFFFFF", "#AA0000"),
    "PendingCancel": ("#FFFFFF", "#AA0000"),
    "Inactive": ("#FFFFFF", "#AA0000"),
}


def last_changes(executions: Iterable[Execution]) -> dict[int, datetime]:
    """Return order -> time of its last execution."""
    return {execution.perm_id: execution.at for execution in executions}


def order_view(venue: Venue, order: Order, executed: datetime | None = None) -> Json:
    """Return an order as the list of live orders and the topic ``sor`` show it."""
    terms, contract = order.terms, venue.contract(order.terms.conid)
    symbol, name, primary = _named(contract)
    changed = order.done_at or executed or order.placed_at
    words, original = _KINDS[terms.kind]
    paper, ink = _COLOURS[order.status]
    return {
        "acct": terms.account,
        "account": terms.account,
        "conidex": str(terms.conid),
        "conid": terms.conid,
        "orderId": order.perm_id,
        "cashCcy": "USD",
        "sizeAndFills": _size_and_fills(order),
        "orderDesc": described(terms),
        "description1": symbol,
        "ticker": symbol,
        "secType": "STK",
        "listingExchange": primary,
        "remainingQuantity": float(order.remaining),
        "filledQuantity": float(order.filled),
        "totalSize": float(terms.quantity),
        "companyName": name,
        "status": order.status,
        "order_ccp_status": _CCP.get(order.status, order.status),
        "outsideRTH": terms.outside_rth,
        "origOrderType": original,
        "supportsTaxOpt": "1",
        "lastExecutionTime": order_time(changed),
        "lastExecutionTime_r": unix_ms(changed),
        "orderType": words,
        "side": terms.side,
        "timeInForce": "CLOSE" if terms.tif == "DAY" else terms.tif,
        "bgColor": paper,
        "fgColor": ink,
        **_optional(order),
    }


def _optional(order: Order) -> Json:
    """Return what is shown only where it applies: references, prices, fills."""
    terms, found = order.terms, _prices(order)
    if terms.ref:
        found["order_ref"] = terms.ref
    if terms.parent is not None:
        found["parentId"] = terms.parent
    if order.filled:
        found["avgPrice"] = price_text(order.average_price)
    if order.is_done and order.reason:
        found["order_cancellation_by_system_reason"] = order.reason
    return found


def _prices(order: Order) -> Json:
    terms = order.terms
    stop = order.stop_now or terms.stop or terms.trail_stop
    limit = order.limit_now or terms.limit
    found: Json = {}
    if limit is not None:
        found["price"] = price_text(limit)
    if stop is not None:
        found["stop_price"] = found["auxPrice"] = price_text(stop)
        found.setdefault("price", price_text(stop))
    if terms.trail_percent is not None:
        found |= {"trailingAmt": plain(terms.trail_percent), "trailingType": "%"}
    elif terms.trail_amount is not None:
        found |= {"trailingAmt": plain(terms.trail_amount), "trailingType": "amt"}
    return found


def _named(contract: Contract | None) -> tuple[str, str, str]:
    return ("", "", "") if contract is None else (contract.symbol, contract.name, contract.primary)


def _size_and_fills(order: Order) -> str:
    return plain(order.filled) if order.status == "Filled" else f"{plain(order.filled)}/{plain(order.terms.quantity)}"


def status_view(venue: Venue, order: Order, executed: datetime | None = None) -> Json:
    """Return an order as the page of one order shows it."""
    terms, contract = order.terms, venue.contract(order.terms.conid)
    symbol, name, primary = _named(contract)
    paper, ink = _COLOURS[order.status]
    found: Json = {
        "sub_type": None,
        "request_id": str(order.perm_id),
        "server_id": "0",
        "order_id": order.perm_id,
        "conidex": str(terms.conid),
        "conid": terms.conid,
        "symbol": symbol,
        "side": terms.side[0],
        "contract_description_1": symbol,
        "listing_exchange": primary,
        "option_acct": "c",
        "company_name": name,
        "size": str(float(order.remaining)),
        "total_size": str(float(terms.quantity)),
        "currency": "USD",
        "account": terms.account,
        "order_type": _KINDS[terms.kind][1],
        "cum_fill": str(float(order.filled)),
        "order_status": order.status,
        "order_ccp_status": "2" if order.status == "Filled" else "0",
        "order_status_description": _WORDS[order.status],
        "tif": terms.tif,
        "fg_color": paper,
        "bg_color": ink,
        "order_not_editable": order.is_done,
        "editable_fields": "\x1e",
        "cannot_cancel_order": order.is_done,
        "outside_rth": terms.outside_rth,
        "deactivate_order": False,
        "use_price_mgmt_algo": False,
        "sec_type": "STK",
        "available_chart_periods": "#R|1",
        "order_description": described(terms),
        "order_description_with_contract": described(terms, symbol),
        "alert_active": 1,
        "child_order_type": "0" if terms.parent is None else "3",
        "order_clearing_account": terms.account,
        "size_and_fills": _size_and_fills(order),
        "exit_strategy_chart_description": described(terms),
        "exit_strategy_tool_availability": "1",
        "allowed_duplicate_opposite": True,
        "order_time": order_time(order.done_at or executed or order.placed_at),
    }
    return found | _status_prices(order)


def _status_prices(order: Order) -> Json:
    prices = _prices(order)
    shown = prices.get("price", "")
    found: Json = {"exit_strategy_display_price": shown}
    if "stop_price" in prices:
        found["stop_price"] = prices["stop_price"]
    if order.terms.limit is not None or order.limit_now is not None:
        found["limit_price"] = shown
    if order.filled:
        found["average_price"] = price_text(order.average_price)
    if order.terms.ref:
        found["order_ref"] = order.terms.ref
    return found


def trade_view(venue: Venue, execution: Execution) -> Json:
    """Return an execution as the list of trades and the topic ``str`` show it."""
    contract = venue.contract(execution.conid)
    symbol, name, primary = _named(contract)
    commission = venue.commission_of(execution.exec_id)
    verb = "Bot" if execution.side == "BUY" else "Sold"
    price = price_text(execution.price)
    ref = execution.order.terms.ref
    return {
        "execution_id": execution.exec_id,
        "symbol": symbol,
        "supports_tax_opt": "1",
        "side": execution.side[0],
        "order_description": f"{verb} {plain(execution.quantity)} @ {price} on {execution.exchange}",
        "trade_time": trade_time(execution.at),
        "trade_time_r": unix_ms(execution.at),
        "size": float(execution.quantity),
        "price": price,
        **({"order_ref": ref} if ref else {}),
        "submitter": "simulated",
        "exchange": execution.exchange,
        "commission": "" if commission is None else f"{commission.amount.normalize():f}",
        "net_amount": float(execution.quantity * execution.price),
        "account": execution.account,
        "accountCode": execution.account,
        "account_allocation_name": execution.account,
        "company_name": name,
        "contract_description_1": symbol,
        "sec_type": "STK",
        "listing_exchange": primary,
        "conid": execution.conid,
        "conidex": str(execution.conid),
        "conidEx": str(execution.conid),
        "position": _position(venue, execution),
        "clearing_id": "IB",
        "clearing_name": "IB",
        "liquidation_trade": "0",
        "is_event_trading": "0",
    }


def _position(venue: Venue, execution: Execution) -> str:
    held = (found.quantity for found in venue.positions(execution.account) if found.conid == execution.conid)
    return plain(next(held, execution.quantity - execution.quantity))
