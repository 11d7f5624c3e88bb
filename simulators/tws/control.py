"""Control pages of the simulator, over HTTP on a port of their own."""

import json
from decimal import Decimal

from simulators.ibkr.contracts import Contract
from simulators.ibkr.orders import Order
from simulators.ibkr.story import story
from simulators.rest.control import fault_page
from simulators.rest.faults import Json
from simulators.rest.service import json_response
from simulators.rest.transport import Request, Response
from simulators.tws.framing import plain
from simulators.tws.gateway import Gateway
from simulators.tws.order_book import key_of


class Control:
    """Shows what the gateway did, and adds and removes faults."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def handle(self, request: Request) -> Response:
        """Return the reply to a request."""
        gateway = self._gateway
        match request.method, request.path:
            case "GET", "/_sim/state":
                return json_response(self._state())
            case "GET", "/_sim/story":
                return self._story(request.query.get("account", ""))
            case "GET", "/_sim/requests":
                return json_response({"requests": list(gateway.log)})
            case "POST", "/_sim/trade":
                return self._trade(request.body)
        faults = fault_page(gateway.faults, request, then=gateway.poll)
        if faults is not None:
            return json_response(*faults)
        return json_response({"error": f"no control page {request.method} {request.path}"}, 404)

    def _trade(self, body: bytes) -> Response:
        try:
            wanted = json.loads(body)
            account, quantity = str(wanted["account"]), Decimal(str(wanted["quantity"]))
            contract = self._contract(wanted)
            if contract is None or account not in self._gateway.venue.specs:
                raise ValueError("account and symbol must be known")
            execution = self._gateway.venue.trade_by_hand(account, contract.conid, quantity)
        except (ArithmeticError, KeyError, TypeError, ValueError) as exc:
            expected = "expected account, symbol or conid, and a signed quantity"
            return json_response({"error": f"{expected}; {type(exc).__name__}: {exc}"}, 422)
        return json_response({"exec_id": execution.exec_id, "price": plain(execution.price)}, 201)

    def _story(self, account: str) -> Response:
        if account not in self._gateway.venue.specs:
            return json_response({"error": f"expected a known account; found {account!r}"}, 422)
        return json_response(story(self._gateway.venue, account))

    def _contract(self, wanted: Json) -> Contract | None:
        venue = self._gateway.venue
        return venue.contract(int(wanted["conid"])) if "conid" in wanted else venue.find(str(wanted["symbol"]))

    def _state(self) -> Json:
        gateway, venue = self._gateway, self._gateway.venue
        quotes = [venue.quote(contract.conid) for contract in gateway.listed]
        return {
            "simulated_time": gateway.now().isoformat(),
            "quotes": {
                quote.symbol: {
                    "bid": _number(quote.bid),
                    "ask": _number(quote.ask),
                    "last": _number(quote.last),
                    "at": quote.at.isoformat(),
                    "source_ts": quote.source_at.isoformat(),
                }
                for quote in quotes
                if quote is not None
            },
            "clients": [session.client for session in gateway.sessions],
            "cut_off": gateway.troubles.is_cut_off,
            "lost_subscriptions": gateway.lost,
            "accounts": {name: self._account(name) for name in venue.specs},
            "orders": [_order(order) for order in venue.orders()],
            "completed": [_order(order) for order in venue.completed()],
            "executions": [
                {
                    "exec_id": one.exec_id,
                    "perm_id": one.perm_id,
                    "ref": one.order.terms.ref,
                    "side": one.side,
                    "quantity": plain(one.quantity),
                    "price": plain(one.price),
                    "at": one.at.isoformat(),
                }
                for one in venue.executions()
            ],
            "requests": dict(gateway.counts),
            "faults": [fault.state() for fault in gateway.faults.faults],
        }

    def _account(self, name: str) -> Json:
        venue = self._gateway.venue
        return {
            "values": {key: plain(value) for key, value in venue.account_values(name).items()},
            "positions": {one.symbol: plain(one.quantity) for one in venue.positions(name)},
        }


def _number(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _order(order: Order) -> Json:
    client, number = key_of(order)
    terms = order.terms
    return {
        "perm_id": order.perm_id,
        "client": client,
        "order_id": number,
        "ref": terms.ref,
        "conid": terms.conid,
        "side": terms.side,
        "kind": terms.kind,
        "quantity": plain(terms.quantity),
        "filled": plain(order.filled),
        "limit": _number(terms.limit),
        "stop": _number(terms.stop),
        "stop_now": _number(order.stop_now),
        "parent": terms.parent,
        "oca_group": terms.oca_group,
        "status": order.status,
    }
