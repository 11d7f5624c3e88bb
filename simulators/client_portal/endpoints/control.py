"""Control of the simulator itself: faults, counters, requests seen, the person at the login page."""

import json
from decimal import Decimal
from typing import Any

from simulators.client_portal.gateway import Gateway
from simulators.client_portal.order_views import order_view
from simulators.client_portal.wire import Json, reply
from simulators.ibkr.accounts import Position
from simulators.ibkr.story import story
from simulators.rest.control import fault_page
from simulators.rest.transport import Request, Response

_PAGES = (
    "GET /_sim/state, GET /_sim/story, GET /_sim/requests, POST /_sim/login, POST /_sim/release, POST /_sim/trade, "
    "GET|POST|DELETE /_sim/faults"
)


def control(gateway: Gateway, request: Request) -> Response:
    """Answer a request under ``/_sim``."""
    gateway.tick()
    match request.method, request.path:
        case "GET", "/_sim/state":
            return reply(state(gateway))
        case "GET", "/_sim/story":
            return _story(gateway, request.query.get("account", gateway.selected))
        case "GET", "/_sim/requests":
            return reply({"requests": list(gateway.requests)})
        case "POST", "/_sim/login":
            gateway.session.sign_in(gateway.venue.now())
            return reply(_session(gateway))
        case "POST", "/_sim/release":
            gateway.pacer.release()
            return reply({"boxed": gateway.pacer.is_boxed})
        case "POST", "/_sim/trade":
            return _trade(gateway, request)
    faults = fault_page(gateway.faults, request)
    if faults is not None:
        return reply(*faults)
    return reply({"error": f"expected one of {_PAGES}; found {request.method} {request.path}"}, 404)


def _trade(gateway: Gateway, request: Request) -> Response:
    """Trade outside any client: ``account``, ``conid`` and signed ``quantity``."""
    try:
        asked: Any = json.loads(request.body)
        account, conid, quantity = str(asked["account"]), int(asked["conid"]), Decimal(str(asked["quantity"]))
    except (ArithmeticError, KeyError, TypeError, ValueError) as exc:
        return reply({"error": f"expected account, conid and quantity; found {exc}"}, 422)
    if account not in gateway.venue.specs or gateway.venue.contract(conid) is None or not quantity:
        return reply({"error": f"expected a known account and conid, and a quantity; found {asked}"}, 422)
    made = gateway.venue.trade_by_hand(account, conid, quantity)
    return reply({"execution_id": made.exec_id, "price": str(made.price)}, 201)


def _story(gateway: Gateway, account: str) -> Response:
    if account not in gateway.venue.specs:
        return reply({"error": f"expected a known account; found {account!r}"}, 422)
    return reply(story(gateway.venue, account))


def _session(gateway: Gateway) -> Json:
    session = gateway.session
    return {
        "standing": session.standing,
        "token_until": session.token_until.isoformat(),
        "accounts_read": session.brokerage is not None and session.brokerage.accounts_read,
        "suppressed": [] if session.brokerage is None else sorted(session.brokerage.suppressed),
        "waiting_for_reply": session.brokerage is not None and session.brokerage.pending is not None,
    }


def state(gateway: Gateway) -> Json:
    """Return counters and everything the accounts have."""
    venue = gateway.venue
    return {
        "simulated_time": venue.now().isoformat(),
        "session": _session(gateway),
        "selected": gateway.selected,
        "boxed": gateway.pacer.is_boxed,
        "rate_limited": gateway.pacer.refused,
        "accounts": {name: _account(gateway, name) for name in venue.specs},
        "requests": dict(gateway.counts),
        "sockets_opened": gateway.sockets_opened,
        "faults": {fault.name: fault.fired for fault in gateway.faults.faults},
    }


def _account(gateway: Gateway, name: str) -> Json:
    venue = gateway.venue
    return {
        "values": {tag: str(value) for tag, value in venue.account_values(name).items()},
        "positions": {held.symbol: _held(held) for held in venue.positions(name)},
        "live": [order_view(venue, order) for order in venue.orders(name)],
        "done": [order_view(venue, order) for order in venue.completed(name)],
        "executions": len(venue.executions(name)),
    }


def _held(held: Position) -> Json:
    return {"quantity": str(held.quantity), "average_cost": str(held.average_cost)}
