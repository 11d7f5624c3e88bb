"""Control of the simulator itself, outside the venue's API: faults, counters, requests seen."""

from collections import Counter
from datetime import datetime

from simulators.kalshi.account import Account
from simulators.kalshi.market_views import NOTE
from simulators.kalshi.portfolio_views import order_view
from simulators.kalshi.venue import Venue
from simulators.kalshi.wire import Json, dollars, encode, iso
from simulators.rest.control import fault_page
from simulators.rest.transport import Request, Response


def control(venue: Venue, request: Request) -> Response:
    """Answer a request under ``/_sim``."""
    now = venue.advance()
    route = (request.method, request.path)
    if route == ("GET", "/_sim/state"):
        return _json(200, state(venue, now))
    if route == ("GET", "/_sim/requests"):
        return _json(200, {"requests": list(venue.requests)})
    if route == ("GET", "/_sim/listings"):
        return _json(200, {"listings": [_listing(venue, ticker, now) for ticker in venue.contracts]})
    faults = fault_page(venue.faults, request, now, then=venue.advance)
    if faults is not None:
        return _json(faults[1], faults[0])
    known = "GET /_sim/state, GET /_sim/requests, GET /_sim/listings, GET|POST|DELETE /_sim/faults"
    return _json(404, {"message": f"expected one of {known}; found {request.method} {request.path}"})


def _json(status: int, body: Json) -> Response:
    return Response(status, encode(body), {"Content-Type": "application/json"})


def state(venue: Venue, now: datetime) -> Json:
    """Return counters and everything the accounts have."""
    orders = [order for account in venue.accounts.values() for order in account.orders.values()]
    return {
        "now": iso(now),
        "speed": venue.clock.speed,
        "note": NOTE,
        "markets": dict(Counter(venue.status(contract, now) for contract in venue.shown(now))),
        "accounts": {account.key_id: _account(venue, account) for account in venue.accounts.values()},
        "synthetic": {"cash": dollars(venue.clearing.synthetic.cash)},
        "fees": dollars(venue.clearing.fees),
        # client_order_id, or the venue's where the client gave none -> orders created under it
        "created": dict(Counter(order.ticket.client_order_id or order.id for order in orders)),
        "routes": dict(venue.routes),
        "rate_limited": venue.limiter.refused,
        "sockets_opened": venue.sockets_opened,
        "faults": {fault.name: fault.fired for fault in venue.faults.faults},
    }


def _account(venue: Venue, account: Account) -> Json:
    return {
        "cash": dollars(account.cash),
        "available": dollars(account.available),
        "positions": {ticker: held.count for ticker, held in account.positions.items() if held.count},
        "resting": [order_view(venue.wire, order) for order in account.resting.values()],
        "orders": len(account.orders),
        "fills": len(account.fills),
        "settlements": len(account.settlements),
    }


def _listing(venue: Venue, ticker: str, now: datetime) -> Json:
    """Return where a market came from; of its future only what is public."""
    contract = venue.contracts[ticker]
    return {
        "ticker": ticker,
        "event_ticker": contract.listing.event_ticker,
        "status": venue.status(contract, now),
        "open_time": iso(contract.life.opens),
        "close_time": iso(contract.life.closes),
        "result": contract.life.shown_result(now),
        "note": contract.listing.note,
    }
