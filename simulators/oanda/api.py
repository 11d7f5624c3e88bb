"""Front door of the API: authorisation, routing, request faults, reply headers."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from simulators.oanda.account import Account
from simulators.oanda.call import Call
from simulators.oanda.endpoints import accounts, orders, positions, pricing, trades, transactions
from simulators.oanda.endpoints.control import control
from simulators.oanda.faults import Fault, Occasion
from simulators.oanda.streams import POLL_SECONDS, Stream, price_lines, transaction_lines
from simulators.oanda.venue import Venue
from simulators.oanda.wire import ApiError, Json, encode, rfc3339, unix_times
from simulators.rest.transport import Dropped, Request, Response

Endpoint = Callable[[Call], tuple[int, Json]]
Streamer = Callable[[Call], Iterator[bytes]]
_A = "/v3/accounts/{account}"
ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/v3/accounts", accounts.list_accounts),
    ("GET", _A, accounts.details),
    ("GET", f"{_A}/summary", accounts.summary),
    ("GET", f"{_A}/instruments", accounts.instruments),
    ("GET", f"{_A}/changes", accounts.changes),
    ("GET", f"{_A}/instruments/{{instrument}}/candles", pricing.account_candles),
    ("GET", "/v3/instruments/{instrument}/candles", pricing.instrument_candles),
    ("GET", f"{_A}/pricing", pricing.prices),
    ("POST", f"{_A}/orders", orders.create),
    ("GET", f"{_A}/orders", orders.list_orders),
    ("GET", f"{_A}/pendingOrders", orders.pending),
    ("GET", f"{_A}/orders/{{order}}", orders.read),
    ("PUT", f"{_A}/orders/{{order}}", orders.replace),
    ("PUT", f"{_A}/orders/{{order}}/cancel", orders.cancel),
    ("PUT", f"{_A}/orders/{{order}}/clientExtensions", orders.set_extensions),
    ("GET", f"{_A}/trades", trades.list_trades),
    ("GET", f"{_A}/openTrades", trades.open_trades),
    ("GET", f"{_A}/trades/{{trade}}", trades.read),
    ("PUT", f"{_A}/trades/{{trade}}/close", trades.close),
    ("PUT", f"{_A}/trades/{{trade}}/orders", trades.set_orders),
    ("PUT", f"{_A}/trades/{{trade}}/clientExtensions", trades.set_extensions),
    ("GET", f"{_A}/positions", positions.list_positions),
    ("GET", f"{_A}/openPositions", positions.open_positions),
    ("GET", f"{_A}/positions/{{instrument}}", positions.read),
    ("PUT", f"{_A}/positions/{{instrument}}/close", positions.close),
    ("GET", f"{_A}/transactions", transactions.pages),
    ("GET", f"{_A}/transactions/idrange", transactions.id_range),
    ("GET", f"{_A}/transactions/sinceid", transactions.since),
    ("GET", f"{_A}/transactions/{{transaction}}", transactions.read),
)
STREAMS: tuple[tuple[str, str, Streamer], ...] = (
    ("GET", f"{_A}/pricing/stream", price_lines),
    ("GET", f"{_A}/transactions/stream", transaction_lines),
)
_HTML_502 = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    template: str
    pattern: re.Pattern[str]
    endpoint: Endpoint | None = None
    streamer: Streamer | None = None


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + r"\Z")


# streams come first: their last word would also pass for a transaction id
_TABLE = tuple(_Route(m, t, _pattern(t), streamer=s) for m, t, s in STREAMS) + tuple(
    _Route(m, t, _pattern(t), endpoint=e) for m, t, e in ROUTES
)


class Api:
    """Answers every request to the venue and to its control pages."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._ids = count(42_000_000_000)

    async def handle(self, request: Request) -> Response | Stream:
        """Answer one request.

        Raises:
            Dropped: a fault breaks the connection.
        """
        if request.path.startswith("/_sim"):
            return control(self._venue, request)
        request_id = str(next(self._ids))
        occasion = self._occasion(request, self._venue.advance())
        self._log(request, occasion.now)
        if occasion.take("drop_before_accept") is not None:
            raise Dropped
        delay, status = occasion.take("delay"), occasion.take("status")
        if delay is not None and not delay.params.get("after_accept", False):
            await asyncio.sleep(delay.params["seconds"])
        if status is not None and not status.params.get("after_accept", False):
            return _forced_status(status, request_id)
        answer = self._answer(request, occasion, request_id)
        if occasion.take("drop_after_accept") is not None:
            raise Dropped
        if delay is not None and delay.params.get("after_accept", False):
            await asyncio.sleep(delay.params["seconds"])
        if status is not None:
            return _forced_status(status, request_id)
        return _garbled(answer, occasion)

    def _occasion(self, request: Request, now: int) -> Occasion:
        found = re.match(r"/v3/accounts/([^/]+)", request.path)
        return Occasion(self._venue.faults, request.method, request.path, found[1] if found else "", now)

    def _log(self, request: Request, now: int) -> None:
        route, _ = _route(request)
        self._venue.routes[f"{request.method} {route.template if route else '(unknown)'}"] += 1
        headers = dict(request.headers)
        if "authorization" in headers:
            digest = hashlib.sha256(headers["authorization"].encode()).hexdigest()
            headers["authorization"] = f"sha256:{digest[:12]}"
        line = {"time": rfc3339(now), "method": request.method, "path": request.path, "query": request.query}
        body = request.body.decode("utf-8", "replace")
        self._venue.requests.append({**line, "headers": headers, "body": body})

    def _answer(self, request: Request, occasion: Occasion, request_id: str) -> Response | Stream:
        # a delay may have let time pass
        now = self._venue.advance()
        headers = {"RequestID": request_id}
        unix = request.headers.get("accept-datetime-format", "").upper() == "UNIX"
        try:
            held = self._authorised(request)
            route, params = _route(request)
            if route is None:
                raise _unrouted(request)
            call = Call(self._venue, request, held, occasion, now, request_id, params, headers)
            if route.streamer is not None:
                return _opened(route.streamer, call)
            status, body = (404, {}) if route.endpoint is None else route.endpoint(call)
        except ApiError as refusal:
            status, body = refusal.status, refusal.body
        self._venue.commit()
        headers["Content-Type"] = "application/json"
        return Response(status, encode(unix_times(body) if unix else body), headers)

    def _authorised(self, request: Request) -> list[Account]:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        held = self._venue.by_token(token.strip()) if scheme.lower() == "bearer" else []
        if not held:
            raise ApiError(401, "Insufficient authorization to perform request.")
        return held


def _route(request: Request) -> tuple[_Route | None, dict[str, str]]:
    for route in _TABLE:
        found = route.pattern.match(request.path)
        if found is not None and route.method == request.method:
            return route, found.groupdict()
    return None, {}


def _unrouted(request: Request) -> ApiError:
    if any(route.pattern.match(request.path) for route in _TABLE):
        return ApiError(405, "Method Not Allowed")
    return ApiError(404, "Not Found")


def _opened(streamer: Streamer, call: Call) -> Stream:
    # refusals must come as a status, so what a stream needs is read before its first byte
    _ = call.account
    if streamer is price_lines:
        call.instruments()
        call.flag("snapshot", True)
    return Stream(streamer(call), POLL_SECONDS, call.reply_headers)


def _forced_status(fault: Fault, request_id: str) -> Response:
    status = fault.params["status"]
    default = _HTML_502 if status == 502 else '{"errorMessage":"The server refused the request"}'
    body = fault.params.get("body", default)
    kind = "text/html" if body.lstrip().startswith("<") else "application/json"
    headers = {"RequestID": request_id, "Content-Type": fault.params.get("content_type", kind)}
    if "retry_after" in fault.params:
        headers["Retry-After"] = str(fault.params["retry_after"])
    return Response(status, body.encode(), headers)


def _garbled(answer: Response | Stream, occasion: Occasion) -> Response | Stream:
    if isinstance(answer, Stream):
        return answer
    fault = occasion.take("non_json")
    if fault is None:
        return answer
    return Response(answer.status, fault.params.get("body", "<!doctype html>").encode(), answer.headers)
