"""The WebSocket's ticker channel, read in a thread of its own."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from brokers.kalshi.config import KalshiConfig
from brokers.kalshi.parse import Json
from brokers.kalshi.wire import Wire
from brokers.socket_thread import LARGEST, LOOK_S, SilenceError, SocketThread

# Between two attempts to connect, doubled with each failure, and at most `reconnect_max_s`.
SPACING_S = 0.5


class GapError(Exception):
    """A message is missing: what was read since may not be all."""


class TickerStream(SocketThread[str]):
    """Hands every ticker message to ``on_ticker`` from its own thread, and reconnects until closed.

    ``on_gap`` is called when messages were lost: on a gap in the numbers of one subscription, and on every new
    connection. Silence is measured on the machine's clock: a connection that answers no ping in time is dropped.
    """

    _ends = (SilenceError, GapError)

    def __init__(self, wire: Wire, on_ticker: Callable[[Json], None], on_gap: Callable[[], None]) -> None:
        super().__init__("kalshi-ticker", "venue", wire.clock, on_gap)
        self._wire = wire
        self._on_ticker = on_ticker
        self.gaps = 0

    @property
    def _config(self) -> KalshiConfig:
        return self._wire.config

    @property
    def longest_silence_s(self) -> float:
        return self._config.stream_silence_s

    def _spacing_s(self) -> tuple[float, float]:
        return SPACING_S, self._config.reconnect_max_s

    def _turned_away(self, error: InvalidStatus) -> None:
        # A handshake is signed too: the venue's clock may be what was wrong.
        self._wire.time.learn(error.response.headers.get("Date"), time.time())

    def _read(self, connection: ClientConnection) -> None:
        try:
            _Session(self, connection).read(self._stop)
        except GapError:
            self.gaps += 1
            raise

    def _open(self) -> ClientConnection:
        url, config = self._config.socket_url, self._config
        return connect(
            url,
            additional_headers=self._wire.stamp("GET", urlsplit(url).path),
            open_timeout=config.connect_timeout_s,
            close_timeout=0.3,
            ping_interval=None,  # pings are ours, so that what comes back counts as a sign of life
            max_size=LARGEST,
            proxy=None,
            user_agent_header="tbot",
        )

    def wanted(self) -> list[str]:
        return list(self._wanted)

    def hand_over(self, message: Json) -> None:
        try:
            self._on_ticker(message)
        except (ValueError, KeyError, TypeError, ArithmeticError):
            self.bad_messages += 1  # one unreadable price must not cost the connection that carries the others


class _Session:
    """One connection: its subscriptions, the numbers of their messages, and the last that was heard."""

    def __init__(self, stream: TickerStream, connection: ClientConnection) -> None:
        self._stream = stream
        self._connection = connection
        self._asked: set[str] = set()
        self._last: dict[int, int] = {}
        self._command = 0
        self._pong: threading.Event | None = None

    def read(self, stop: threading.Event) -> None:
        self._stream.heard()
        while not stop.is_set():
            self._subscribe()
            try:
                raw = self._connection.recv(timeout=LOOK_S)
            except TimeoutError:
                self._look_for_life()
                continue
            self._stream.heard()
            self._pong = None
            self._take(raw)

    def _subscribe(self) -> None:
        """Ask for the markets not asked for yet; those no longer wanted go with the connection."""
        new = [market for market in self._stream.wanted() if market not in self._asked]
        if not new:
            return
        self._command += 1
        self._asked |= set(new)
        params = {"channels": ["ticker"], "market_tickers": new, "send_initial_snapshot": True}
        self._connection.send(json.dumps({"id": self._command, "cmd": "subscribe", "params": params}))

    def _look_for_life(self) -> None:
        """Ping after half the silence allowed, and give the connection up after all of it."""
        silent_s, longest_s = self._stream.silent_s(), self._stream.longest_silence_s
        if self._pong is not None and self._pong.is_set():
            self._pong = None
            self._stream.heard()
        elif silent_s > longest_s:
            raise SilenceError(f"nothing for {silent_s:.0f} s")
        elif self._pong is None and silent_s > longest_s / 2:
            self._pong = self._connection.ping()

    def _take(self, raw: str | bytes) -> None:
        try:
            message: Any = json.loads(raw)
        except ValueError:
            self._stream.bad_messages += 1
            return
        if not isinstance(message, dict):
            self._stream.bad_messages += 1
            return
        self._check_number(message)
        if message.get("type") == "ticker" and isinstance(message.get("msg"), dict):
            self._stream.hand_over(message["msg"])
        elif message.get("type") == "error":
            self._stream.last_error = f"the venue refused a command: {str(message.get('msg'))[:150]}"

    def _check_number(self, message: Json) -> None:
        """Compare the number of a subscription's message with the one before it; the venue does not number all."""
        sid, seq = message.get("sid"), message.get("seq")
        if not isinstance(sid, int) or not isinstance(seq, int):
            return
        before = self._last.get(sid)
        self._last[sid] = seq
        if before is not None and seq != before + 1:
            raise GapError(f"message {seq} of subscription {sid} after {before}")
