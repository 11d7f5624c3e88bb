"""The price stream: one reader thread that outlives every broken connection."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from brokers.oanda import sdk
from brokers.oanda.config import OandaConfig
from brokers.oanda.errors import translated
from brokers.oanda.parse import Json
from domain.clock import Clock
from domain.errors import TBotError

# OANDA allows two new connections a second.
SPACING_S = 0.5


class PriceStream:
    """Hands every PRICE line to ``on_price`` from its own thread, and reconnects until closed.

    Four ways a stream dies look different in the SDK: silence raises ConnectionError ("Read timed out"), a cut
    ChunkedEncodingError, a line cut in half JSONDecodeError, and a clean end just ends the generator.
    """

    def __init__(self, config: OandaConfig, clock: Clock, on_price: Callable[[Json], None]) -> None:
        self._config = config
        self._clock = clock
        self._on_price = on_price
        self._markets: frozenset[str] = frozenset()
        self._asked: frozenset[str] = frozenset()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._response: Any = None
        self._line_ns: int | None = None
        self.connections = 0
        self.bad_lines = 0
        self.last_error: str = ""

    def watch(self, markets: Iterable[str]) -> None:
        """Add markets to those streamed; new ones cost a reconnect, because a stream's list is fixed."""
        wanted = self._markets | frozenset(markets)
        if wanted == self._markets or self._stop.is_set():
            return
        self._markets = wanted
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="oanda-prices", daemon=True)
            self._thread.start()
        else:
            self._hang_up()

    def is_alive(self) -> bool:
        """Tell whether any line, heartbeats included, came within ``stream_silence_s``."""
        line_ns = self._line_ns
        if line_ns is None:
            return False
        return (self._clock.monotonic_ns() - line_ns) / 1e9 <= self._config.stream_silence_s

    def close(self) -> None:
        """End the thread, waking it from a blocking read."""
        self._stop.set()
        self._hang_up()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            failures = 0 if self._read_one_connection() else failures + 1
            self._line_ns = None
            self._stop.wait(min(SPACING_S * 2 ** min(failures, 10), self._config.reconnect_max_s))

    def _read_one_connection(self) -> bool:
        """Read until the connection dies; return whether it ever gave a line."""
        api = sdk.open_api(self._config, read_timeout_s=self._config.stream_silence_s, streaming=True)
        api.client.hooks["response"].append(self._hold)
        lines = 0
        try:
            with translated("price stream", repeatable=True, token=self._config.token):
                for line in self._open(api):
                    self._take(line)
                    lines += 1
            self.last_error = "the stream ended"
        except TBotError as error:
            self.last_error = str(error)
        finally:
            self._response = None
            api.close()
        return lines > 0

    def _open(self, api: Any) -> Iterable[Json]:
        self._asked = self._markets
        request = sdk.pricing.PricingStream(
            self._config.account_id, params={"instruments": ",".join(sorted(self._asked)), "snapshot": "true"}
        )
        self.connections += 1
        lines: Iterable[Json] = api.request(request)
        return lines

    def _take(self, line: Json) -> None:
        self._line_ns = self._clock.monotonic_ns()
        if line.get("type") != "PRICE":
            return
        try:
            self._on_price(line)
        except (ValueError, KeyError, IndexError, TypeError, ArithmeticError):
            self.bad_lines += 1  # one unreadable price must not cost the connection that carries the others

    def _hold(self, response: Any, *_args: Any, **_kwargs: Any) -> None:
        with self._lock:
            self._response = response
        if self._stop.is_set() or self._asked != self._markets:
            self._hang_up()  # closed, or given a new market, while this connection was being made

    def _hang_up(self) -> None:
        """Shut the socket's receiving half: closing the response would wait for the reader's lock until it reads."""
        with self._lock:
            response, self._response = self._response, None
        if response is None:
            return
        try:
            response.raw.shutdown()
        except (ValueError, OSError, AttributeError):
            response.close()  # already finished, or not a socket that can be shut
