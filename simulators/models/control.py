"""Control of the simulator itself, outside the vendors' APIs: faults, counters, requests seen."""

from simulators.models.venue import Venue
from simulators.models.wire import LABEL, Json, encode
from simulators.rest.control import fault_page
from simulators.rest.transport import Request, Response

_KNOWN = "GET /_sim/state, GET /_sim/requests, GET /_sim/models, GET|POST|DELETE /_sim/faults"


def control(venue: Venue, request: Request) -> Response:
    """Answer a request under ``/_sim``."""
    route = (request.method, request.path)
    if route == ("GET", "/_sim/state"):
        return _json(200, state(venue))
    if route == ("GET", "/_sim/requests"):
        provider = request.query.get("provider")
        return _json(200, {"requests": [r for r in venue.requests if provider in (None, r["provider"])]})
    if route == ("GET", "/_sim/models"):
        return _json(200, models(venue))
    faults = fault_page(venue.faults, request)
    if faults is not None:
        return _json(faults[1], faults[0])
    return _json(404, {"errorMessage": f"expected one of {_KNOWN}; found {request.method} {request.path}"})


def state(venue: Venue) -> Json:
    """Return what was asked, what was billed and which faults fired."""
    return {
        "label": LABEL,
        "now": venue.now.isoformat(timespec="milliseconds"),
        "speed": venue.clock.speed,
        "in_flight": venue.ledger.in_flight,
        **venue.ledger.total.state(),
        "providers": {name: book.state() for name, book in venue.ledger.providers.items()},
        "faults": {fault.name: fault.fired for fault in venue.faults.faults},
    }


def models(venue: Venue) -> Json:
    """Return the models with what they cost."""
    return {
        provider: {
            model.id: {
                "input_usd": str(model.input_usd),
                "output_usd": str(model.output_usd),
                "price_is_assumed": model.assumed,
                "retired": model.retired,
                "family": model.line.name,
            }
            for model in known.values()
        }
        for provider, known in venue.catalogue.models.items()
    }


def _json(status: int, body: Json) -> Response:
    return Response(status, encode(body), {"content-type": "application/json"})
