"""Front door of the API: signatures, token buckets, routing, request faults."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from simulators.kalshi.account import Account
from simulators.kalshi.call import Call
from simulators.kalshi.endpoints import exchange, listings, older_orders, orders, portfolio, prices
from simulators.kalshi.endpoints.control import control
from simulators.kalshi.faults import Fault, Occasion
from simulators.kalshi.limits import CALL_COST
from simulators.kalshi.signing import authenticate
from simulators.kalshi.sockets import Session
from simulators.kalshi.venue import Venue
from simulators.kalshi.wire import ROOT, SOCKET_PATH, ApiError, Json, encode, iso, refusal
from simulators.rest.transport import Dropped, Request, Response, Takeover

Endpoint = Callable[[Call], tuple[int, Json]]
_O, _L = "/portfolio/events/orders", "/portfolio/orders"
PUBLIC: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/exchange/status", exchange.status),
    ("GET", "/exchange/schedule", exchange.schedule),
    ("GET", "/series", listings.list_series),
    ("GET", "/series/fee_changes", listings.fee_changes),
    ("GET", "/series/{series}", listings.read_series),
    ("GET", "/series/{series}/markets/{ticker}/candlesticks", prices.candles),
    ("GET", "/events", listings.list_events),
    ("GET", "/events/{event}", listings.read_event),
    ("GET", "/markets", listings.list_markets),
    ("GET", "/markets/trades", prices.trades),
    ("GET", "/markets/orderbooks", prices.orderbooks),
    ("GET", "/markets/{ticker}", listings.read_market),
    ("GET", "/markets/{ticker}/orderbook", prices.orderbook),
    ("GET", "/historical/cutoff", exchange.cutoff),
    ("GET", "/historical/markets/{ticker}", listings.read_old_market),
)
SIGNED: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/account/limits", exchange.limits),
    ("GET", "/account/endpoint_costs", exchange.endpoint_costs),
    ("GET", "/portfolio/balance", portfolio.balance),
    ("GET", "/portfolio/positions", portfolio.positions),
    ("GET", "/portfolio/fills", portfolio.fills),
    ("GET", "/portfolio/settlements", portfolio.settlements),
    ("GET", _L, portfolio.orders),
    ("GET", f"{_L}/{{order}}", portfolio.read_order),
    ("GET", "/historical/fills", portfolio.old_fills),
    ("GET", "/historical/orders", portfolio.old_orders),
)
CURRENT: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", _O, orders.create),
    ("DELETE", _O, orders.cancel_all),
    ("POST", f"{_O}/batched", orders.create_batch),
    ("DELETE", f"{_O}/batched", orders.cancel_batch),
    ("DELETE", f"{_O}/{{order}}", orders.cancel),
    ("POST", f"{_O}/{{order}}/amend", orders.amend),
    ("POST", f"{_O}/{{order}}/decrease", orders.decrease),
)
OLDER: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", _L, older_orders.create),
    ("POST", f"{_L}/batched", older_orders.create_batch),
    ("DELETE", f"{_L}/batched", older_orders.cancel_batch),
    ("DELETE", f"{_L}/{{order}}", older_orders.cancel),
    ("POST", f"{_L}/{{order}}/amend", older_orders.amend),
    ("POST", f"{_L}/{{order}}/decrease", older_orders.decrease),
)
_HTML_502 = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    template: str
    pattern: re.Pattern[str]
    endpoint: Endpoint
    signed: bool
    wire: str = "both"


def _routes(table: tuple[tuple[str, str, Endpoint], ...], *, signed: bool, wire: str = "both") -> list[_Route]:
    return [_Route(m, ROOT + t, _pattern(ROOT + t), e, signed, wire) for m, t, e in table]


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + r"\Z")


_TABLE = (
    *_routes(PUBLIC, signed=False),
    *_routes(SIGNED, signed=True),
    *_routes(CURRENT, signed=True, wire="current"),
    *_routes(OLDER, signed=True, wire="older"),
)


class Api:
    """Answers every request to the venue and to its control pages."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def handle(self, request: Request) -> Response | Takeover:
        """Answer one request.

        Raises:
            Dropped: a fault breaks the connection.
        """
        if request.path.startswith("/_sim"):
            return control(self._venue, request)
        answer = self._socket(request) if request.path == SOCKET_PATH else await self._page(request)
        if isinstance(answer, Response):
            answer.headers.setdefault("Date", formatdate(self._venue.civil(), usegmt=True))
        return answer

    async def _page(self, request: Request) -> Response | Takeover:
        occasion = self._occasion(request)
        self._log(request, occasion)
        if occasion.take("drop_request") is not None:
            raise Dropped
        delay, status = occasion.take("delay"), occasion.take("status")
        if delay is not None and not delay.params.get("after_accept", False):
            await asyncio.sleep(delay.params["seconds"])
        if status is not None and not status.params.get("after_accept", False):
            return _forced_status(status)
        answer = self._answer(request, occasion)
        if occasion.take("drop_reply") is not None:
            raise Dropped
        if delay is not None and delay.params.get("after_accept", False):
            await asyncio.sleep(delay.params["seconds"])
        if status is not None:
            return _forced_status(status)
        return _garbled(answer, occasion)

    def _occasion(self, request: Request) -> Occasion:
        account = request.headers.get("kalshi-access-key", "")
        tickers = _tickers(request)
        return Occasion(self._venue.faults, request.method, request.path, tickers, account, self._venue.advance())

    def _log(self, request: Request, occasion: Occasion) -> None:
        route, _ = _find(request, self._venue.wire)
        self._venue.routes[f"{request.method} {route.template if route else '(unknown)'}"] += 1
        line = {"time": iso(occasion.now), "method": request.method, "path": request.path, "query": request.query}
        # a signature opens nothing later, and says whether the call was signed
        named = {name: value for name, value in request.headers.items() if name.startswith("kalshi-")}
        body = request.body.decode("utf-8", "replace")
        self._venue.requests.append({**line, "account": occasion.account, "headers": named, "body": body})

    def _answer(self, request: Request, occasion: Occasion) -> Response:
        # a delay may have let time pass
        now = self._venue.advance()
        try:
            route, params = _find(request, self._venue.wire)
            if route is None:
                raise _unrouted(request)
            signer = self._signer(request, signed=route.signed)
            self._bill(request, occasion, signer)
            gone = occasion.take("legacy_refused") if route.wire == "older" else None
            if gone is not None:
                raise refusal(gone.params.get("status", 410), "deprecated", "this endpoint has been removed")
            call = Call(self._venue, request, signer, occasion, now, params)
            status, body = _unanswered(call, route) or route.endpoint(call)
        except ApiError as exc:
            status, body = exc.status, exc.body
        self._venue.commit()
        return Response(status, encode(body), {"Content-Type": "application/json"})

    def _signer(self, request: Request, *, signed: bool) -> Account | None:
        if not signed:
            return self._venue.accounts.get(request.headers.get("kalshi-access-key", ""))
        venue = self._venue
        return authenticate(venue.accounts, request.headers, request.method, request.path, venue.civil())

    def _bill(self, request: Request, occasion: Occasion, signer: Account | None) -> None:
        name, tier = (signer.key_id, signer.tier) if signer is not None else ("", "")
        tokens = CALL_COST * _billed(request)
        allowed = self._venue.limiter.take(name, tier, writes=request.method != "GET", tokens=tokens)
        if not allowed or occasion.take("rate_limit") is not None:
            raise ApiError(429, {"error": "too many requests"})

    def _socket(self, request: Request) -> Response | Takeover:
        self._venue.advance()
        self._venue.routes[f"GET {SOCKET_PATH}"] += 1
        try:
            account = authenticate(self._venue.accounts, request.headers, "GET", SOCKET_PATH, self._venue.civil())
        except ApiError as exc:
            return Response(exc.status, encode(exc.body), {"Content-Type": "application/json"})
        if request.headers.get("upgrade", "").lower() != "websocket":
            return Response(426, b"", {"Upgrade": "websocket"})
        return Session(self._venue, account)


def _find(request: Request, wire: str) -> tuple[_Route | None, dict[str, str]]:
    for route in _TABLE:
        found = route.pattern.match(request.path)
        if found is not None and route.method == request.method and (wire == "both" or route.wire in ("both", wire)):
            return route, found.groupdict()
    return None, {}


def _unrouted(request: Request) -> ApiError:
    if any(route.pattern.match(request.path) for route in _TABLE):
        return refusal(405, "method_not_allowed")
    return refusal(404, "not_found", "page not found")


def _decoded(request: Request) -> Any:
    try:
        return json.loads(request.body or b"null")
    except ValueError:
        return None


def _tickers(request: Request) -> tuple[str, ...]:
    """Return the markets a request names in its path, its query or its body."""
    found = re.match(rf"{ROOT}/(?:series/[^/]+/)?markets/([^/]+)", request.path)
    named = [found[1]] if found else []
    for key in ("ticker", "tickers", "market_ticker"):
        named += [part for value in request.repeated.get(key, []) for part in value.split(",")]
    body = _decoded(request)
    items = [body]
    if isinstance(body, dict) and isinstance(body.get("orders"), list):
        items += body["orders"]
    named += [str(item["ticker"]) for item in items if isinstance(item, dict) and "ticker" in item]
    return tuple(named)


def _billed(request: Request) -> int:
    """Return how many calls a request is billed as: each item of a batch is one."""
    if not request.path.endswith("/batched"):
        return 1
    body = _decoded(request)
    lists = [value for value in body.values() if isinstance(value, list)] if isinstance(body, dict) else []
    return max((len(found) for found in lists), default=1) or 1


def _unanswered(call: Call, route: _Route) -> tuple[int, Json] | None:
    """Answer as a fault wants it: a success that names no order, seen when the venue refuses softly."""
    if route.endpoint not in (orders.create, older_orders.create):
        return None
    fault = call.occasion.take("ok_without_order")
    if fault is None:
        return None
    if fault.params.get("processed", False):
        route.endpoint(call)
    return 201, json.loads(fault.params.get("body", '{"error":{"code":"soft_rejection","message":"order not taken"}}'))


def _forced_status(fault: Fault) -> Response:
    status = fault.params["status"]
    default = (
        _HTML_502 if status == 502 else '{"error":{"code":"internal_server_error","message":"internal server error"}}'
    )
    body = fault.params.get("body", default)
    kind = "text/html" if body.lstrip().startswith("<") else "application/json"
    headers = {"Content-Type": fault.params.get("content_type", kind)}
    if "retry_after" in fault.params:
        headers["Retry-After"] = str(fault.params["retry_after"])
    return Response(status, body.encode(), headers)


def _garbled(answer: Response, occasion: Occasion) -> Response:
    fault = occasion.take("non_json")
    if fault is None:
        return answer
    return Response(answer.status, fault.params.get("body", "<!doctype html>").encode(), answer.headers)
