"""Control of the simulator itself, outside the venue's API: faults, counters, requests seen."""

import json

from simulators.oanda.transport import Request, Response
from simulators.oanda.venue import Venue
from simulators.oanda.wire import Json, encode, from_points, rfc3339
from simulators.rest.faults import FaultError


def control(venue: Venue, request: Request) -> Response:
    """Answer a request under ``/_sim``."""
    now = venue.advance()
    route = (request.method, request.path)
    if route == ("GET", "/_sim/state"):
        return _json(200, state(venue, now))
    if route == ("GET", "/_sim/requests"):
        return _json(200, {"requests": list(venue.requests)})
    if route == ("GET", "/_sim/faults"):
        return _json(200, {"faults": [fault.state() for fault in venue.faults.faults]})
    if route == ("POST", "/_sim/faults"):
        return _add(venue, request, now)
    if route == ("DELETE", "/_sim/faults"):
        return _json(200, {"removed": venue.faults.clear(request.query.get("name"))})
    known = "GET /_sim/state, GET /_sim/requests, GET|POST|DELETE /_sim/faults"
    return _json(404, {"errorMessage": f"expected one of {known}; found {request.method} {request.path}"})


def _json(status: int, body: Json) -> Response:
    return Response(status, encode(body), {"Content-Type": "application/json"})


def _add(venue: Venue, request: Request, now: int) -> Response:
    try:
        venue.faults.add(json.loads(request.body), now)
    except FaultError as exc:
        return _json(422, {"errorMessage": str(exc)})
    except ValueError as exc:
        return _json(422, {"errorMessage": f"faults: expected JSON; found {exc}"})
    return _json(201, {"faults": [fault.state() for fault in venue.faults.faults]})


def state(venue: Venue, now: int) -> Json:
    """Return counters and the replay position of every recorded instrument."""
    market = venue.market
    quotes = {}
    for name in market.tape.instruments:
        quote = market.quote(name, now)
        if quote is not None:
            quotes[name] = {
                "time": rfc3339(quote.time),
                "source_ts": rfc3339(quote.source),
                "bid": str(from_points(quote.bid)),
                "ask": str(from_points(quote.ask)),
                "tradeable": market.is_tradeable(name, now),
            }
    return {
        "now": rfc3339(now),
        "speed": venue.clock.speed,
        "shift_weeks": market.tape.shift_weeks,
        "quotes_matched": venue.quotes_matched,
        "quotes": quotes,
        "routes": dict(venue.routes),
        "faults": {fault.name: fault.fired for fault in venue.faults.faults},
        "accounts": {account.id: {"lastTransactionID": account.last_id} for account in venue.accounts.values()},
    }
