"""Front door of the gateway: pacing, request faults, routing, sessions."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from simulators.client_portal.call import Call
from simulators.client_portal.endpoints import accounts, contracts, market_data, order_lists, orders, session
from simulators.client_portal.endpoints.control import control
from simulators.client_portal.gateway import Gateway
from simulators.client_portal.session import Standing
from simulators.client_portal.sockets import Socket
from simulators.client_portal.wire import ROOT, SOCKET_PATH, Json, Refusal, reply
from simulators.rest.transport import Dropped, Request, Response, Takeover

Endpoint = Callable[[Call], Any]
_A = "/iserver/account"
# method, path, endpoint; what begins with /iserver needs the brokerage session unless it is one of _OUTER
ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", "/tickle", session.tickle),
    ("GET", "/tickle", session.tickle),
    ("POST", "/iserver/auth/status", session.status),
    ("GET", "/iserver/auth/status", session.status),
    ("POST", "/iserver/auth/ssodh/init", session.initialise),
    ("POST", "/iserver/reauthenticate", session.reauthenticate),
    ("GET", "/iserver/reauthenticate", session.reauthenticate),
    ("GET", "/sso/validate", session.validate),
    ("POST", "/logout", session.log_out),
    ("GET", "/iserver/accounts", accounts.brokerage_accounts),
    ("POST", _A, accounts.select),
    ("GET", f"{_A}/pnl/partitioned", accounts.partitioned_profit),
    ("GET", f"{_A}/orders", order_lists.live),
    ("GET", f"{_A}/trades", order_lists.trades),
    ("GET", f"{_A}/order/status/{{order}}", order_lists.status),
    ("POST", f"{_A}/{{account}}/orders", orders.submit),
    ("POST", f"{_A}/{{account}}/orders/whatif", orders.preview),
    ("POST", f"{_A}/{{account}}/order/{{order}}", orders.modify),
    ("DELETE", f"{_A}/{{account}}/order/{{order}}", orders.cancel),
    ("POST", "/iserver/reply/{reply}", orders.reply),
    ("POST", "/iserver/questions/suppress", orders.suppress),
    ("POST", "/iserver/questions/suppress/reset", orders.reset_suppressed),
    ("GET", "/iserver/secdef/search", contracts.search),
    ("POST", "/iserver/secdef/search", contracts.search),
    ("GET", "/iserver/secdef/info", contracts.secdef_info),
    ("GET", "/iserver/contract/{conid}/info", contracts.info),
    ("GET", "/iserver/contract/{conid}/info-and-rules", contracts.info_and_rules),
    ("POST", "/iserver/contract/rules", contracts.rules),
    ("GET", "/trsrv/stocks", contracts.stocks),
    ("GET", "/trsrv/secdef", contracts.definitions),
    ("GET", "/iserver/marketdata/snapshot", market_data.snapshot),
    ("GET", "/iserver/marketdata/history", market_data.history),
    ("POST", "/iserver/marketdata/unsubscribe", market_data.unsubscribe),
    ("GET", "/iserver/marketdata/unsubscribeall", market_data.unsubscribe_all),
    ("GET", "/portfolio/accounts", accounts.portfolio_accounts),
    ("GET", "/portfolio/subaccounts", accounts.portfolio_accounts),
    ("GET", "/portfolio/positions/{conid}", accounts.positions_everywhere),
    ("GET", "/portfolio/{account}/meta", accounts.meta),
    ("GET", "/portfolio/{account}/summary", accounts.summary),
    ("GET", "/portfolio/{account}/ledger", accounts.ledger),
    ("GET", "/portfolio/{account}/position/{conid}", accounts.position),
    ("GET", "/portfolio/{account}/positions", accounts.positions),
    ("GET", "/portfolio/{account}/positions/{page}", accounts.positions),
    ("POST", "/portfolio/{account}/positions/invalidate", accounts.invalidate),
)
_OUTER = ("/iserver/auth/", "/iserver/reauthenticate")
_PORTFOLIO_FIRST = ("/portfolio/accounts", "/portfolio/subaccounts")


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    template: str
    pattern: re.Pattern[str]
    endpoint: Endpoint

    @property
    def is_brokerage(self) -> bool:
        return self.template.startswith("/iserver") and not self.template.startswith(_OUTER)

    @property
    def is_portfolio(self) -> bool:
        return self.template.startswith("/portfolio") and self.template not in _PORTFOLIO_FIRST


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(ROOT + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + r"\Z")


_TABLE = tuple(_Route(method, template, _pattern(template), endpoint) for method, template, endpoint in ROUTES)


class Api:
    """Answers every request to the gateway and to its control pages."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def handle(self, request: Request) -> Response | Takeover:
        """Answer one request.

        Raises:
            Dropped: a fault breaks the connection.
        """
        if request.path.startswith("/_sim"):
            return control(self._gateway, request)
        # some clients end paths with a slash
        request = replace(request, path=request.path.rstrip("/"))
        now = self._gateway.tick()
        line = self._log(request, now)
        answer = self._open_socket(request) if request.path == SOCKET_PATH else await self._page(request, now)
        line["status"] = answer.status if isinstance(answer, Response) else 101
        return answer

    def _log(self, request: Request, now: datetime) -> Json:
        route, _ = _find(request)
        page = route.template if route else "/ws" if request.path == SOCKET_PATH else "(unknown)"
        self._gateway.counts[f"{request.method} {page}"] += 1
        line: Json = {"time": now.isoformat(), "method": request.method, "path": request.path, "query": request.query}
        line |= {"body": request.body.decode("utf-8", "replace"), "status": None}
        self._gateway.requests.append(line)
        return line

    async def _page(self, request: Request, now: datetime) -> Response:
        call = Call(self._gateway, request, now, {})
        if call.fault("drop") is not None:
            raise Dropped
        self._change_state(call)
        route, call.params = _find(request)
        page = request.path.removeprefix(ROOT) if route is None else route.template
        if not self._gateway.pacer.admit(page):
            return Refusal(429, "Too many requests").response()
        with self._gateway.pacer.answering(page):
            return await self._bent(call, route)

    def _change_state(self, call: Call) -> None:
        """Let the faults that change a state happen before the request that meets them."""
        gateway = self._gateway
        if call.fault("session_expired") is not None:
            gateway.session.expire()
        if call.fault("competing_session") is not None:
            gateway.session.lose_to_another()
        if call.fault("needs_login") is not None:
            gateway.session.require_login()
        if (reset := call.fault("daily_reset")) is not None:
            gateway.session.reset(call.now, reset.get("seconds"))
        if (box := call.fault("penalty_box")) is not None:
            gateway.pacer.box(box.get("seconds"))
        if (split := call.fault("split")) is not None:
            contract = call.contract(str(split["conid"]))
            gateway.venue.split(contract.symbol, split["new"], split["old"], split.get("orders", "keep"))

    async def _bent(self, call: Call, route: _Route | None) -> Response:
        """Answer with what the faults about single requests make of it."""
        slow, failed = call.fault("slow") or call.fault("delay"), call.fault("error_500")
        is_late = slow is not None and slow.get("after_accept", False)
        if slow is not None and not is_late:
            await asyncio.sleep(slow["seconds"])
            call.now = self._gateway.tick()
        if (status := call.fault("status")) is not None:
            return _told(status, status["status"])
        if failed is not None and not failed.get("after_accept", False):
            return _told(failed, 500)
        answer = self._answer(call, route)
        if is_late and slow is not None:
            await asyncio.sleep(slow["seconds"])
        if failed is not None:
            return _told(failed, 500)
        if (malformed := call.fault("malformed")) is not None:
            body = malformed.get("body", "").encode() or answer.body[: len(answer.body) // 2]
            return Response(answer.status, body, answer.headers)
        return answer

    def _answer(self, call: Call, route: _Route | None) -> Response:
        try:
            self._let_in(call, route)
            if route is None:
                raise _unrouted(call.request)
            return reply(route.endpoint(call))
        except Refusal as exc:
            return exc.response()

    def _let_in(self, call: Call, route: _Route | None) -> None:
        """Check the sessions.

        Raises:
            Refusal: the one this page needs is not there.
        """
        session = self._gateway.session
        missing = call.fault("no_session")
        if missing is not None and missing.get("form") == "body":
            raise Refusal(200, "no session")
        standing = session.standing
        if missing is not None or standing in (Standing.NEEDS_LOGIN, Standing.NO_SESSION):
            raise Refusal(401, "Access Denied", plain=True)
        if standing is Standing.RESETTING:
            raise Refusal(503, "Service Unavailable")
        if route is None:
            return
        if route.is_brokerage:
            # raises where there is none
            _ = call.brokerage
        if route.is_portfolio and not session.portfolio_read:
            raise Refusal(400, "Please query /portfolio/accounts first")
        if route.is_brokerage or route.template == "/tickle":
            session.keep_alive()

    def _open_socket(self, request: Request) -> Response | Takeover:
        if self._gateway.pacer.is_boxed:
            return Refusal(429, "Too many requests").response()
        standing = self._gateway.session.standing
        if standing in (Standing.NEEDS_LOGIN, Standing.NO_SESSION):
            return Refusal(401, "Access Denied", plain=True).response()
        if standing is Standing.RESETTING:
            return Refusal(503, "Service Unavailable").response()
        if request.headers.get("upgrade", "").lower() != "websocket":
            return Response(426, b"", {"Upgrade": "websocket"})
        return Socket(self._gateway)


def _find(request: Request) -> tuple[_Route | None, dict[str, str]]:
    for route in _TABLE:
        found = route.pattern.match(request.path)
        if found is not None and route.method == request.method:
            return route, found.groupdict()
    return None, {}


def _unrouted(request: Request) -> Refusal:
    if any(route.pattern.match(request.path) for route in _TABLE):
        return Refusal(405, "Method Not Allowed")
    return Refusal(404, "Resource not found")


def _told(params: Json, status: int) -> Response:
    body = params.get("body", '{"error":"Internal Server Error","statusCode":500}')
    headers = {"Content-Type": "application/json;charset=utf-8"}
    if "retry_after" in params:
        headers["Retry-After"] = str(params["retry_after"])
    return Response(status, body.encode(), headers)
