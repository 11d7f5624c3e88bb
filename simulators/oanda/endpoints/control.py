"""Control of the simulator itself, outside the venue's API: faults, counters, requests seen."""

from simulators.oanda.venue import Venue
from simulators.oanda.wire import Json, encode, from_points, rfc3339
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
    faults = fault_page(venue.faults, request, now)
    if faults is not None:
        return _json(faults[1], faults[0])
    known = "GET /_sim/state, GET /_sim/requests, GET|POST|DELETE /_sim/faults"
    return _json(404, {"errorMessage": f"expected one of {known}; found {request.method} {request.path}"})


def _json(status: int, body: Json) -> Response:
    return Response(status, encode(body), {"Content-Type": "application/json"})


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
