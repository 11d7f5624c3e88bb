"""The WebSocket of the gateway, read in a thread of its own: prices, executions, and how the session stands."""

import json
from collections.abc import Callable
from typing import Any

from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from brokers.ibkr.portal.errors import NoSession
from brokers.ibkr.portal.parse import Json
from brokers.ibkr.portal.session import Session
from brokers.ibkr.portal.wire import Wire
from brokers.socket_thread import LARGEST, LOOK_S, SilenceError, SocketThread

# The gateway beats every ten seconds and closes a connection that says nothing for a minute.
ECHO_S, SILENCE_S = 20.0, 25.0
FIELDS = ("31", "84", "86", "6509")


class Stream(SocketThread[int]):
    """Hands prices and executions over from its own thread, and reconnects until closed.

    Args:
        on_price: called with the contract number and the fields that changed.
        on_trade: called with each execution.
        on_gap: called when messages may have been missed.
    """

    _ends = (SilenceError, NoSession)

    def __init__(
        self,
        wire: Wire,
        session: Session,
        on_price: Callable[[int, Json], None],
        on_trade: Callable[[Any], None],
        on_gap: Callable[[], None],
    ) -> None:
        super().__init__("ibkr-portal-stream", "gateway", wire.clock, on_gap)
        self._wire = wire
        self._session = session
        self._on_price = on_price
        self._on_trade = on_trade
        self._renewed: set[int] = set()
        self.renewals = 0

    def renew(self, conid: int) -> None:
        """Subscribe to a contract anew: polling found a price that the stream kept silent about."""
        self._renewed.add(conid)
        self.renewals += 1

    @property
    def longest_silence_s(self) -> float:
        return SILENCE_S

    def _spacing_s(self) -> tuple[float, float]:
        return self._wire.config.reconnect_min_s, self._wire.config.reconnect_max_s

    def _may_open(self) -> bool:
        # Shut out means silent: a handshake counts as a request.
        return self._wire.shut_for_s() <= 0 and bool(self._session.key)

    def _turned_away(self, error: InvalidStatus) -> None:
        self._session.check()

    def _one_connection(self) -> bool:
        lived = super()._one_connection()
        if lived and not self._stop.is_set():
            self._session.check()
        return lived

    def _open(self) -> ClientConnection:
        config = self._wire.config
        url = config.portal_url.rstrip("/")
        cookies = self._wire.cookies()
        own = f"api={json.dumps({'session': self._session.key}, separators=(',', ':'))}"
        return connect(
            f"ws{url.removeprefix('http')}/ws",
            additional_headers={"Cookie": f"{cookies}; {own}" if cookies else own},
            ssl=self._wire.tls(),
            open_timeout=config.connect_timeout_s,
            close_timeout=0.3,
            ping_interval=None,  # the gateway's heartbeats are the sign of life
            max_size=LARGEST,
            proxy=None,
            user_agent_header="tbot",
        )

    def _read(self, connection: ClientConnection) -> None:
        asked: set[int] = set()
        self.heard()
        echoed_ns = self._clock.monotonic_ns()
        is_ready, epoch = False, self._session.epoch
        while not self._stop.is_set():
            if epoch != self._session.epoch:
                # The gateway says nothing of a session that ended and began between two of its heartbeats.
                epoch = self._session.epoch
                self._begin_anew(connection, asked)
            if is_ready:
                self._subscribe(connection, asked)
            if self._age_s(echoed_ns) > ECHO_S:
                connection.send("ech+hb")
                echoed_ns = self._clock.monotonic_ns()
            try:
                raw = connection.recv(timeout=LOOK_S)
            except TimeoutError:
                if self.silent_s() > SILENCE_S:
                    raise SilenceError(f"nothing for {SILENCE_S:.0f} s") from None
                continue
            self.heard()
            was_ready, is_ready = is_ready, self._take(raw, is_ready)
            if is_ready and not was_ready:
                self._begin_anew(connection, asked)

    def _begin_anew(self, connection: ClientConnection, asked: set[int]) -> None:
        """Forget what was asked for: subscriptions end with the session they were made in."""
        asked.clear()
        connection.send('str+{"realtimeUpdatesOnly":true}')
        self._on_gap()

    def _subscribe(self, connection: ClientConnection, asked: set[int]) -> None:
        """Ask for the contracts not asked for yet, and let go of those nobody watches any more."""
        wanted, renewed = set(self._wanted), set(self._renewed)
        self._renewed -= renewed
        for conid in sorted((asked - wanted) | (renewed & asked)):
            connection.send(f"umd+{conid}+{{}}")
            asked.discard(conid)
        for conid in sorted(wanted - asked):
            connection.send(f"smd+{conid}+{json.dumps({'fields': FIELDS})}")
            asked.add(conid)

    def _take(self, raw: str | bytes, is_ready: bool) -> bool:
        """Hand a message on; return whether the session behind the connection is one that can be subscribed to."""
        try:
            message: Any = json.loads(raw)
        except ValueError:
            # The echo of our own sign of life is no JSON.
            self.bad_messages += not str(raw).startswith("ech")
            return is_ready
        if not isinstance(message, dict):
            self.bad_messages += 1
            return is_ready
        topic = str(message.get("topic") or "")
        if topic == "sts":
            return self._standing(message.get("args"))
        try:
            self._hand_over(topic, message)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
            self.bad_messages += 1  # one unreadable price must not cost the connection that carries the others
        return is_ready

    def _hand_over(self, topic: str, message: Json) -> None:
        if topic.startswith("smd"):
            self._on_price(int(message.get("conid") or topic.partition("+")[2]), message)
        elif topic == "str":
            for row in message.get("args") or ():
                self._on_trade(row)
        elif topic == "error":
            self.last_error = str(message.get("error"))[:150]

    def _standing(self, args: Any) -> bool:
        facts = args if isinstance(args, dict) else {}
        if facts.get("competing") is True:
            self._session.lost("the user is signed in elsewhere")
            return False
        if facts.get("authenticated") is False:
            self._session.lost("the gateway says that it is not authenticated")
            return False
        return facts.get("authenticated") is True
