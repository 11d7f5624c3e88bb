"""The brokerage session: kept alive, brought back when it is lost, and trusted only after everything was read again.

There are two sessions. The outer one begins with a person's login (second factor included), lasts a day, and ends for
good each week; nothing here can begin it. The brokerage session inside it can be opened again by program.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from brokers.ibkr.link import LinkState
from brokers.ibkr.portal.errors import LOGIN, NoSession, Penalised
from brokers.ibkr.portal.pace import Page
from brokers.ibkr.portal.wire import Wire
from brokers.ibkr.windows import NEW_YORK
from domain.errors import Refuse, Retry, TBotError
from domain.vocabulary import Link

_SUNDAY = 6
NAME = "session"
# How soon the status is looked at again after the session was asked for.
SOON_S = 1.0
LONGEST_SILENCE_S = 60.0


class Session:
    """Tickles, looks at the status and recovers, in a thread of its own, until closed.

    Args:
        refresh: reads executions, orders and positions again; the link is UP only once it returned. Raises what the
            wire raises.

    Attributes:
        key: of the outer session, which opens the WebSocket.
        epoch: grows whenever the session was brought back: what was subscribed to in the one before has ended.
    """

    def __init__(self, wire: Wire, state: LinkState, refresh: Callable[[], None]) -> None:
        self._wire = wire
        self._state = state
        self._refresh = refresh
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._failures = 0
        self._losses = 0
        self.key = ""
        self.epoch = 0
        self.openings = 0
        wire.on_loss, wire.on_doubt = self.lost, self.check

    def start(self) -> None:
        """Begin to keep the session; later calls do nothing."""
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="ibkr-portal-session", daemon=True)
                self._thread.start()

    def lost(self, reason: str) -> None:
        """Take the link down at once; anybody who sees an answer that says so calls this."""
        self._losses += 1
        self._state.trouble(NAME, Link.DOWN, f"the session cannot be used ({reason})"[:200])
        self.check()

    def check(self) -> None:
        """Look at the session now: something ended that usually lives as long as it does."""
        if threading.current_thread() is not self._thread:
            self._wake.set()

    def close(self) -> None:
        """End the thread, waking it from a wait for its turn; nothing can be asked afterwards."""
        self._stop.set()
        self._wire.pace.close()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)
        self._state.trouble(NAME, Link.DOWN, "closed")

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                pause_s = self._beat()
            except Penalised as error:
                pause_s = self._shut(error.after_s or 1.0)
            except Refuse as error:
                pause_s = self._failed(str(error))
            except TBotError as error:
                pause_s = self._failed(f"the gateway does not answer as it should ({error.found})")
            except Exception as error:  # noqa: BLE001  a keeper that dies would leave the link as it was
                pause_s = self._failed(f"the session's keeper stumbled ({type(error).__name__}: {error})")
            self._wake.wait(pause_s)

    def _beat(self) -> float:
        """Keep the session alive or bring it back; return how long to rest."""
        shut_s = self._wire.shut_for_s()
        if shut_s > 0:
            return self._shut(shut_s)
        try:
            status = self._status()
        except NoSession as error:
            return self._failed(f"nobody is logged in ({error.found}); {LOGIN}{self._due()}")
        if status.get("competing"):
            return self._compete()
        if not status.get("authenticated"):
            return self._open("the brokerage session ended")
        if not status.get("connected"):
            return self._failed("the gateway is not connected to IBKR")
        return self._up()

    def _status(self) -> Mapping[str, Any]:
        """Tickle; return the status that comes with the answer, or else ask for it."""
        key: str
        status: Mapping[str, Any] | None
        key, status = self._wire.ask("the session to stay", "/tickle", _tickled, method="POST", page=Page.TICKLE)
        self.key = key or self.key
        if status is None:
            status = self._wire.ask("the session's status", "/iserver/auth/status", dict, method="POST")
        return status or {}

    def _up(self) -> float:
        losses = self._losses
        if self._state.has(NAME):
            self._refresh()
            if self._losses != losses:
                # Lost again while we read: what was read may be of before.
                return SOON_S
            self.epoch += 1
            self._state.settled(NAME)
        self._state.settled("penalty")
        self._failures = 0
        return self._wire.config.portal_tickle_s

    def _compete(self) -> float:
        """Take the session back from wherever the user signed in, unless a person keeps it there."""
        words = "the user is signed in elsewhere"
        if not self._wire.config.portal_compete:
            return self._failed(f"{words}; sign out there, or set IBKR_PORTAL_COMPETE=true")
        # By competing alone: /logout would end the login too, and only a person can begin that again.
        return self._open(words)

    def _open(self, why: str) -> float:
        """Ask for the brokerage session; each failure makes the next attempt wait longer."""
        self._state.trouble(NAME, Link.DOWN, f"{why}; asking for it again")
        self._failures += 1
        self.openings += 1
        # Without publish the gateway answers 500.
        body = {"publish": True, "compete": self._wire.config.portal_compete}
        try:
            self._wire.ask("a brokerage session", "/iserver/auth/ssodh/init", method="POST", body=body)
        except NoSession as error:
            return self._failed(f"nobody is logged in ({error.found}); {LOGIN}{self._due()}")
        except (Retry, Refuse) as error:
            return self._failed(f"{why}, and cannot be opened ({error.found})")
        return SOON_S if self._failures < 3 else self._pause_s()

    def _failed(self, words: str) -> float:
        self._state.trouble(NAME, Link.DOWN, words[:300])
        self._failures += 1
        return self._pause_s()

    def _shut(self, seconds: float) -> float:
        self._state.trouble("penalty", Link.DOWN, f"asked too often (429): nothing is sent for {seconds:.0f} s")
        # What happened meanwhile is not known: everything is read again afterwards.
        self._state.trouble(NAME, Link.DOWN, "shut out by the gateway")
        return min(seconds, LONGEST_SILENCE_S)

    def _pause_s(self) -> float:
        config = self._wire.config
        return min(config.reconnect_min_s * 2.0 ** min(self._failures - 1, 10), config.reconnect_max_s)

    def _due(self) -> str:
        return weekly(self._wire.clock.now())


def weekly(moment: datetime) -> str:
    """Say that the login is the one that is due each week, on the day it is."""
    local = moment.astimezone(NEW_YORK)
    return "; it is due each Sunday after 01:00 New York time" if local.weekday() == _SUNDAY else ""


def _tickled(body: Any) -> tuple[str, Mapping[str, Any] | None]:
    """Return the session's key, and its status where the answer has it."""
    status = (body.get("iserver") or {}).get("authStatus")
    return str(body.get("session") or ""), status if isinstance(status, dict) else None
