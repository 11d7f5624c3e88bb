"""The WebSocket of the gateway, read in a thread of its own: prices, executions, and how the session stands."""

import json
import random
import threading
from collections.abc import Callable, Iterable
from typing import Any

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from brokers.ibkr.portal.errors import NoSession
from brokers.ibkr.portal.parse import Json
from brokers.ibkr.portal.session import Session
from brokers.ibkr.portal.wire import Wire

# How long a read waits before it looks for new markets to watch and for silence.
LOOK_S = 0.25
# The gateway beats every ten seconds and closes a connection that says nothing for a minute.
ECHO_S, SILENCE_S = 20.0, 25.0
LARGEST = 2**20
FIELDS = ("31", "84", "86", "6509")


class SilenceError(Exception):
    """Nothing came for too long, not even a heartbeat."""


class Stream:
    """Hands prices and executions over from its own thread, and reconnects until closed.

    Args:
        on_price: called with the contract number and the fields that changed.
        on_trade: called with each execution.
        on_gap: called when messages may have been missed.
    """

    def __init__(
        self,
        wire: Wire,
        session: Session,
        on_price: Callable[[int, Json], None],
        on_trade: Callable[[Any], None],
        on_gap: Callable[[], None],
    ) -> None:
        self._wire = wire
        self._session = session
        self._on_price = on_price
        self._on_trade = on_trade
        self._on_gap = on_gap
        self._wanted: dict[int, None] = {}
        self._renewed: set[int] = set()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._connection: ClientConnection | None = None
        self._heard_ns: int | None = None
        self.connections = 0
        self.bad_messages = 0
        self.renewals = 0
        self.last_error = ""

    def watch(self, conids: Iterable[int]) -> None:
        """Watch exactly these contracts from the next look on."""
        wanted = dict.fromkeys(conids)
        if self._stop.is_set() or not wanted:
            return
        self._wanted = wanted
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ibkr-portal-stream", daemon=True)
            self._thread.start()

    def renew(self, conid: int) -> None:
        """Subscribe to a contract anew: polling found a price that the stream kept silent about."""
        self._renewed.add(conid)
        self.renewals += 1

    def is_alive(self) -> bool:
        """Tell whether the gateway was heard lately."""
        heard_ns = self._heard_ns
        return heard_ns is not None and self._age_s(heard_ns) <= SILENCE_S

    def close(self) -> None:
        """End the thread, waking it from a read."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            failures = 0 if self._one_connection() else failures + 1
            self._heard_ns = None
            config = self._wire.config
            pause_s = min(config.reconnect_min_s * 2.0 ** min(failures, 10), config.reconnect_max_s)
            self._stop.wait(pause_s * (0.5 + random.random()))  # noqa: S311  spreads reconnects, guards nothing

    def _one_connection(self) -> bool:
        """Read until the connection dies; return whether it ever lived."""
        self._on_gap()
        lived = False
        try:
            # Shut out means silent: a handshake counts as a request.
            if self._wire.shut_for_s() > 0 or not self._session.key:
                return False
            with self._open() as connection:
                lived = True
                self._connection = connection
                self.connections += 1
                self._read(connection)
            self.last_error = "closed"
        except InvalidStatus as error:
            self.last_error = f"the gateway answered {error.response.status_code} to the WebSocket"
            self._session.check()
        except (SilenceError, NoSession) as error:
            self.last_error = str(error)
        except (WebSocketException, OSError) as error:
            self.last_error = f"{type(error).__name__}: {error}"[:200]
        finally:
            self._connection = None
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
        echoed_ns = self._heard_ns = self._now_ns()
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
                echoed_ns = self._now_ns()
            try:
                raw = connection.recv(timeout=LOOK_S)
            except TimeoutError:
                if self._age_s(self._heard_ns) > SILENCE_S:
                    raise SilenceError(f"nothing for {SILENCE_S:.0f} s") from None
                continue
            self._heard_ns = self._now_ns()
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
        for conid in (asked - wanted) | (renewed & asked):
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

    def _now_ns(self) -> int:
        return self._wire.clock.monotonic_ns()

    def _age_s(self, at_ns: int) -> float:
        return (self._now_ns() - at_ns) / 1e9
