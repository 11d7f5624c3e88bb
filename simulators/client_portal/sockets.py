"""One WebSocket of the gateway: commands in, what its subscriptions see out."""

import asyncio
import json
import time
from typing import Any

from simulators.client_portal.call import Call
from simulators.client_portal.gateway import Gateway
from simulators.client_portal.session import Brokerage, Standing
from simulators.client_portal.topics import Orders, Prices, Profits, Trades
from simulators.client_portal.wire import SOCKET_PATH, Json, encode, unix_ms, whole
from simulators.rest.faults import Fault
from simulators.rest.transport import Dropped, Request
from simulators.rest.websocket import WebSocket

HEARTBEAT_SECONDS = 10.0
# a client has to say something at least once a minute
QUIET_SECONDS = 75.0


class Socket:
    """A connection and its subscriptions, which end with the brokerage session they were made in."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._socket = WebSocket()
        self._opened = self._heard = time.monotonic()
        self._beaten = -HEARTBEAT_SECONDS
        self._greeted = False
        self._standing: Standing | None = None
        self._brokerage: Brokerage | None = gateway.session.brokerage
        self._engaged: dict[str, float | None] = {}
        self._prices: dict[int, Prices] = {}
        self._orders: Orders | None = None
        self._trades: Trades | None = None
        self._profits: Profits | None = None
        self._silent = False

    async def serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Converse until either side ends.

        Raises:
            Dropped: a fault breaks the connection.
        """
        self._gateway.sockets_opened += 1
        self._request = request
        try:
            await self._socket.converse(request, reader, writer, self._command, self._publish)
        finally:
            self._unsubscribe_all()

    def _send(self, message: Json) -> None:
        if not self._silent:
            self._socket.send(encode(message))

    def _command(self, raw: bytes) -> None:
        self._heard = time.monotonic()
        self._silent = self._disturb()
        text = raw.decode("utf-8", "replace").strip()
        topic, _, rest = text.partition("+")
        match topic:
            case "ech":
                self._send_text(text)
            case "tic":
                self._gateway.session.keep_alive()
            case "smd" | "umd":
                self._price(topic, rest)
            case "sor" | "uor" | "str" | "utr" | "spl" | "upl":
                self._subscribe(topic, _arguments(rest))
            case _ if text.startswith("{"):
                # {"session": …}, for clients that cannot set a cookie
                return
            case _:
                self._send({"topic": "error", "error": f"unknown topic: {text[:40]}"})

    def _send_text(self, text: str) -> None:
        if not self._silent:
            self._socket.send(text.encode())

    def _price(self, topic: str, rest: str) -> None:
        number, _, more = rest.partition("+")
        conid = whole(number.split("@")[0])
        contract = None if conid is None else self._gateway.venue.contract(conid)
        if contract is None or self._brokerage is None or not self._brokerage.accounts_read:
            self._send({"topic": "error", "error": f"cannot subscribe to {rest[:40]}"})
        elif topic == "umd":
            self._prices.pop(contract.conid, None)
        else:
            fields = [str(name) for name in _arguments(more).get("fields", [])]
            self._prices[contract.conid] = Prices(self._call(), contract, fields)

    def _subscribe(self, topic: str, arguments: Json) -> None:
        if self._brokerage is None:
            self._send({"topic": "error", "error": "not authenticated"})
            return
        match topic:
            case "sor":
                self._end(self._orders)
                self._orders = Orders(self._gateway)
            case "uor":
                self._end(self._orders)
                self._orders = None
            case "str":
                self._end(self._trades)
                self._trades = Trades(self._gateway, only_new=arguments.get("realtimeUpdatesOnly") is True)
            case "utr":
                self._end(self._trades)
                self._trades = None
            case "spl":
                self._profits = Profits(self._call())
            case "upl":
                self._profits = None

    def _end(self, topic: Orders | Trades | None) -> None:
        if topic is not None:
            topic.end()

    def _unsubscribe_all(self) -> None:
        self._end(self._orders)
        self._end(self._trades)
        self._prices.clear()
        self._orders = self._trades = self._profits = None

    def _call(self) -> Call:
        return Call(self._gateway, self._request, self._gateway.venue.now(), {})

    def _publish(self) -> None:
        now = self._gateway.tick()
        self._silent = self._disturb()
        if time.monotonic() - self._heard > QUIET_SECONDS:
            raise Dropped
        self._tell_standing()
        if time.monotonic() - self._beaten >= HEARTBEAT_SECONDS:
            self._beaten = time.monotonic()
            if self._greeted:
                self._send({"topic": "system", "hb": unix_ms(now)})
            else:
                self._greet()
        for topic in (*self._prices.values(), self._orders, self._trades, self._profits):
            for message in () if topic is None else topic.news(now):
                self._send(message)

    def _greet(self) -> None:
        self._greeted = True
        self._send({"topic": "system", "success": "simulated", "isFT": False, "isPaper": True})
        names = list(self._gateway.venue.specs)
        self._send({"topic": "act", "args": {"accounts": names, "selectedAccount": self._gateway.selected}})
        self._send(self._status(self._gateway.session.standing))

    def _tell_standing(self) -> None:
        """Say where the brokerage session stands whenever that changes; subscriptions end with it, unsaid."""
        session = self._gateway.session
        if session.brokerage is not self._brokerage:
            self._brokerage = session.brokerage
            self._unsubscribe_all()
        standing = session.standing
        if self._greeted and standing is not self._standing:
            self._send(self._status(standing))
        self._standing = standing
        if standing in (Standing.NEEDS_LOGIN, Standing.NO_SESSION, Standing.RESETTING):
            raise Dropped

    def _status(self, standing: Standing) -> Json:
        args: Json = {"authenticated": standing is Standing.UP, "competing": standing is Standing.COMPETING}
        return {"topic": "sts", "args": {**args, "message": "", "fail": "", "connected": True}}

    def _disturb(self) -> bool:
        """Tell whether a fault keeps the connection silent.

        Raises:
            Dropped: a fault cuts it.
        """
        silent = False
        for fault in self._gateway.faults.faults:
            if fault.action == "cut_socket" and self._holds(fault):
                raise Dropped
            silent = silent or (fault.action == "websocket_silent" and self._holds(fault))
        return silent

    def _holds(self, fault: Fault) -> bool:
        """Tell whether a fault has hold of this connection; each counts once for each connection."""
        wall = time.monotonic()
        if wall - self._opened < fault.params.get("after_seconds", 0):
            return False
        if fault.name not in self._engaged:
            meant = fault.matches("GET", SOCKET_PATH, self._gateway.venue.now())
            if not meant:
                return False
            self._engaged[fault.name] = wall if fault.take() else None
        since, limit = self._engaged[fault.name], fault.params.get("seconds")
        return since is not None and (limit is None or wall - since < limit)


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
