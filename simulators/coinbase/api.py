"""Routes and errors of the public market data."""

from collections.abc import Callable
from datetime import datetime

from simulators.coinbase import market_data
from simulators.coinbase.replies import refusal
from simulators.recordings.bitcoin import source_of
from simulators.rest.faults import NUMBER, Action, Json
from simulators.rest.service import Call, Kind, Refused
from simulators.rest.transport import Response

_PRODUCT = "/products/BTC-USD"
_ROUTES: dict[str, Callable[[Call], Response]] = {
    f"{_PRODUCT}/candles": market_data.candles,
    f"{_PRODUCT}/ticker": market_data.ticker,
    "/time": market_data.time,
}
ACTIONS = {
    "stale": Action({"minutes": NUMBER}, path=f"{_PRODUCT}/*"),
    "gap": Action({"minutes": NUMBER}, path=f"{_PRODUCT}/candles"),
}


def answer(call: Call) -> Response:
    """Return the reply to a request.

    Raises:
        Refused: it is answered with an error.
    """
    if not call.request.headers.get("user-agent", "").strip():
        raise Refused(refusal(400, "User-Agent header is required."))
    route = _ROUTES.get(call.path)
    if route is None:
        raise Refused(refusal(404, "NotFound"))
    if call.request.method != "GET":
        raise Refused(refusal(405, "method not allowed"))
    return route(call)


def _source(now: datetime) -> Json:
    return {"day": now.date().isoformat(), "recorded_on": source_of(now.date()).isoformat(), "level": "chained"}


KIND = Kind(name="simulators.coinbase", answer=answer, actions=ACTIONS, fail=refusal, source=_source)
