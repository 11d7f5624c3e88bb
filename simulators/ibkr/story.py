"""What one account did at the venue, told by the venue itself: tests measure clients by it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from simulators.ibkr.orders import Execution, Order
from simulators.ibkr.venue import Venue

_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


def story(venue: Venue, account: str) -> dict[str, Any]:
    """Return the account's orders of today with their times, its executions of the last days, and what it has."""
    orders = {one.perm_id: one for one in (*venue.completed(account), *venue.orders(account))}
    return {
        "simulated_time": venue.now().isoformat(),
        "values": {key: _plain(value) for key, value in venue.account_values(account).items()},
        "positions": {one.symbol: _plain(one.quantity) for one in venue.positions(account)},
        "orders": [_order(venue, orders[key]) for key in sorted(orders)],
        "executions": [_execution(venue, one) for one in venue.executions(account, _ALWAYS)],
    }


def _order(venue: Venue, order: Order) -> dict[str, Any]:
    terms, contract = order.terms, venue.contract(order.terms.conid)
    return {
        "perm_id": order.perm_id,
        "ref": terms.ref,
        "symbol": None if contract is None else contract.symbol,
        "side": terms.side,
        "kind": terms.kind,
        "quantity": _plain(terms.quantity),
        "filled": _plain(order.filled),
        "stop": _plain(terms.stop),
        "trail_percent": _plain(terms.trail_percent),
        "tif": terms.tif,
        "parent": terms.parent,
        "status": order.status,
        "reason": order.reason,
        "placed_at": order.placed_at.isoformat(),
        "done_at": None if order.done_at is None else order.done_at.isoformat(),
    }


def _execution(venue: Venue, execution: Execution) -> dict[str, Any]:
    commission, contract = venue.commission_of(execution.exec_id), venue.contract(execution.conid)
    return {
        "exec_id": execution.exec_id,
        "perm_id": execution.perm_id,
        "ref": execution.order.terms.ref,
        "symbol": None if contract is None else contract.symbol,
        "side": execution.side,
        "quantity": _plain(execution.quantity),
        "price": _plain(execution.price),
        "commission": None if commission is None else _plain(commission.amount),
        "at": execution.at.isoformat(),
    }


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else format(value.normalize(), "f")
