"""What an account has: balance, positions, orders, fills, settlements."""

from datetime import datetime

from simulators.kalshi.account import Fill, Position
from simulators.kalshi.call import Call
from simulators.kalshi.orders import Order, Status
from simulators.kalshi.paging import page
from simulators.kalshi.portfolio_views import (
    balance_view,
    event_position_view,
    fill_view,
    order_view,
    position_view,
    settlement_view,
)
from simulators.kalshi.wire import Json, refusal

_PAGE = (100, 1000)


def balance(call: Call) -> tuple[int, Json]:
    """Return the balance."""
    return 200, balance_view(call.venue, call.account, call.now)


def positions(call: Call) -> tuple[int, Json]:
    """List holdings by market and by event; settled markets are gone."""
    ticker, event = call.query.get("ticker"), call.query.get("event_ticker")
    held = [
        position
        for position in call.account.positions.values()
        if ticker in (None, "", position.ticker)
        and event in (None, "", position.event_ticker)
        and (position.count or "position" not in call.names("count_filter"))
    ]
    body = page(call, "market_positions", held, lambda p: position_view(call.account, p, call.wire), _PAGE)
    events: dict[str, list[Position]] = {}
    for position in held:
        events.setdefault(position.event_ticker, []).append(position)
    body["event_positions"] = [event_position_view(name, found, call.wire) for name, found in events.items()]
    if call.wire != "current":
        body["positions"] = body["market_positions"]
    return 200, body


def orders(call: Call) -> tuple[int, Json]:
    """List orders, newest first."""
    return _orders(call, old=False)


def old_orders(call: Call) -> tuple[int, Json]:
    """List orders that were put away, newest first."""
    return _orders(call, old=True)


def _is_old(call: Call, moment: datetime) -> bool:
    cutoff = call.venue.cutoff(call.now)
    return cutoff is not None and moment < cutoff


def _orders(call: Call, *, old: bool) -> tuple[int, Json]:
    statuses = call.names("status")
    if any(word not in set(Status) for word in statuses):
        raise refusal(400, "invalid_parameters", details=f"status should be one of {', '.join(Status)}")
    events = call.names("event_ticker")
    ticker, low, high = call.query.get("ticker"), call.moment("min_ts"), call.moment("max_ts")
    wall = call.venue.wall()
    found = [
        order
        for order in reversed(call.account.orders.values())
        if order.hidden_until <= wall
        and (not order.is_resting and _is_old(call, order.updated)) is old
        and (not statuses or order.status in statuses)
        and ticker in (None, "", order.ticker)
        and (not events or order.event_ticker in events)
        and (low is None or order.created >= low)
        and (high is None or order.created <= high)
    ]
    return 200, page(call, "orders", found, lambda order: order_view(call.wire, order), _PAGE)


def read_order(call: Call) -> tuple[int, Json]:
    """Return one order."""
    order: Order = call.desk().find(call.params["order"])
    return 200, {"order": order_view(call.wire, order)}


def fills(call: Call) -> tuple[int, Json]:
    """List fills, newest first."""
    return _fills(call, old=False)


def old_fills(call: Call) -> tuple[int, Json]:
    """List fills that were put away, newest first."""
    return _fills(call, old=True)


def _fills(call: Call, *, old: bool) -> tuple[int, Json]:
    ticker, order = call.query.get("ticker"), call.query.get("order_id")
    low, high = call.moment("min_ts"), call.moment("max_ts")
    found: list[Fill] = [
        fill
        for fill in reversed(call.account.fills)
        if _is_old(call, fill.time) is old
        and ticker in (None, "", fill.ticker)
        and order in (None, "", fill.order_id)
        and (low is None or fill.time >= low)
        and (high is None or fill.time <= high)
    ]
    return 200, page(call, "fills", found, lambda fill: fill_view(call.wire, fill), _PAGE)


def settlements(call: Call) -> tuple[int, Json]:
    """List what finished markets paid, newest first."""
    ticker, event = call.query.get("ticker"), call.query.get("event_ticker")
    low, high = call.moment("min_ts"), call.moment("max_ts")
    found = [
        settlement
        for settlement in reversed(call.account.settlements)
        if ticker in (None, "", settlement.ticker)
        and event in (None, "", settlement.event_ticker)
        and (low is None or settlement.time >= low)
        and (high is None or settlement.time <= high)
    ]
    return 200, page(call, "settlements", found, lambda item: settlement_view(item, call.wire), _PAGE)
