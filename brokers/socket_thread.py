"""A WebSocket read in a thread of its own, and opened again until it is closed."""

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection

from domain.clock import Clock

# How long a read waits before it looks for new markets to watch and for silence.
LOOK_S = 0.25
LARGEST = 2**20
# Doubled no more often than this, so that the number stays one.
_DOUBLINGS = 10


class SilenceError(Exception):
    """Nothing came for too long."""


M = TypeVar("M")


class SocketThread(ABC, Generic[M]):
    """Keeps one connection and what is watched over it, by market.

    ``on_gap`` is called when messages may have been missed, as before every connection. Silence is measured on the
    machine's clock.

    Args:
        name: of the thread.
        who: what a message calls the other side.
    """

    # What ends a connection for a reason that needs no name of its class.
    _ends: tuple[type[Exception], ...] = (SilenceError,)

    def __init__(self, name: str, who: str, clock: Clock, on_gap: Callable[[], None]) -> None:
        self._name = name
        self._who = who
        self._clock = clock
        self._on_gap = on_gap
        self._wanted: dict[M, None] = {}
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._connection: ClientConnection | None = None
        self._heard_ns: int | None = None
        self.connections = 0
        self.bad_messages = 0
        self.last_error = ""

    @property
    @abstractmethod
    def longest_silence_s(self) -> float:
        """Return for how long nothing may be heard."""

    def watch(self, markets: Iterable[M]) -> None:
        """Watch exactly these markets from the next look on; none at all changes nothing."""
        wanted = dict.fromkeys(markets)
        if self._stop.is_set() or not wanted:
            return
        self._wanted = wanted
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether the other side was heard lately."""
        heard_ns = self._heard_ns
        return heard_ns is not None and self._age_s(heard_ns) <= self.longest_silence_s

    def heard(self) -> None:
        """Note a sign of life."""
        self._heard_ns = self._clock.monotonic_ns()

    def silent_s(self) -> float:
        """Return how long nothing was heard on a connection that is open."""
        return self._age_s(self._heard_ns or self._clock.monotonic_ns())

    def close(self) -> None:
        """End the thread, waking it from a read."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    @abstractmethod
    def _spacing_s(self) -> tuple[float, float]:
        """Return how long to wait between two attempts to connect, and the most that doubling makes of it."""

    @abstractmethod
    def _open(self) -> ClientConnection:
        """Connect."""

    @abstractmethod
    def _read(self, connection: ClientConnection) -> None:
        """Read until the thread is to end, or raise what ended the connection."""

    def _may_open(self) -> bool:
        return True

    def _turned_away(self, error: InvalidStatus) -> None:
        """Learn from a handshake that was refused."""

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            failures = 0 if self._one_connection() else failures + 1
            self._heard_ns = None
            spacing_s, most_s = self._spacing_s()
            pause_s = min(spacing_s * 2.0 ** min(failures, _DOUBLINGS), most_s)
            self._stop.wait(pause_s * (0.5 + random.random()))  # noqa: S311  spreads reconnects, guards nothing

    def _one_connection(self) -> bool:
        """Read until the connection dies; return whether it ever lived."""
        self._on_gap()
        lived = False
        try:
            if not self._may_open():
                return False
            with self._open() as connection:
                lived = True
                self._connection = connection
                self.connections += 1
                self._read(connection)
            self.last_error = "closed"
        except InvalidStatus as error:
            self.last_error = f"the {self._who} answered {error.response.status_code} to the WebSocket"
            self._turned_away(error)
        except self._ends as error:
            self.last_error = str(error)
        except (WebSocketException, OSError) as error:
            self.last_error = f"{type(error).__name__}: {error}"[:200]
        finally:
            self._connection = None
        return lived

    def _age_s(self, at_ns: int) -> float:
        return (self._clock.monotonic_ns() - at_ns) / 1e9
