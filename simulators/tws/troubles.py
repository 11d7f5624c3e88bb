"""Troubles of the gateway itself: outages, farms, restarts, competing sessions, splits.

They begin when their fault comes into force and end when it goes, when its seconds are over, or when another says so.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from simulators.ibkr.venue import Venue
from simulators.tws.faults import Fault, FaultBook
from simulators.tws.session import Session

_FARMS = {
    "market": (2103, 2104, "Market data farm connection is {}:usfarm"),
    "history": (2105, 2106, "HMDS data farm connection is {}:ushmds"),
    "contracts": (2157, 2158, "Sec-def data farm connection is {}:secdefnj"),
}
_LOST = "Connectivity between IBKR and Trader Workstation has been lost."
_DATA_LOST = "Connectivity between IBKR and Trader Workstation has been restored - data lost."
_DATA_KEPT = (
    "Connectivity between IBKR and Trader Workstation has been restored - data maintained. "
    "All data farms are connected: usfarm; ushmds; secdefnj."
)
_ACTIONS = (
    "connectivity_lost", "restored_data_lost", "restored_data_kept", "farm_broken", "nightly_reset", "dead_socket",
    "competing_session", "split",
)  # fmt: skip


class Suffering(Protocol):
    """What troubles do to a gateway."""

    @property
    def venue(self) -> Venue:
        """Return the venue."""

    @property
    def faults(self) -> FaultBook:
        """Return the faults in force."""

    @property
    def sessions(self) -> list[Session]:
        """Return the clients that are here."""

    def now(self) -> datetime:
        """Return the simulated time."""

    def catch_up(self) -> None:
        """Tell and do what waited."""

    def lose_subscriptions(self) -> None:
        """Forget every subscription to prices."""

    def watchers(self, session: Session, symbol: str) -> Sequence[int]:
        """Return the requests for prices of a session that a pattern of symbols means."""

    def close_door(self, seconds: float) -> None:
        """Put every client out and refuse connections for so long."""


@dataclass(slots=True)
class _Trouble:
    """A fault at work and when it ends, on the monotonic clock."""

    fault: Fault
    until: float | None
    is_over: bool = False


class Troubles:
    """Begins and ends what happens to the gateway as a whole."""

    def __init__(self, gateway: Suffering) -> None:
        self._gateway = gateway
        self._at_work: list[_Trouble] = []
        self._begin: dict[str, Callable[[Fault], None]] = {
            "connectivity_lost": self._lose,
            "restored_data_lost": lambda fault: self._restore("data_lost"),
            "restored_data_kept": lambda fault: self._restore("data_kept"),
            "farm_broken": lambda fault: self._farm(fault, broken=True),
            "nightly_reset": self._reset,
            "dead_socket": self._deaden,
            "competing_session": self._compete,
            "split": self._split,
        }

    @property
    def is_cut_off(self) -> bool:
        """Tell whether the broker cannot be reached."""
        return any(one.fault.action == "connectivity_lost" and not one.is_over for one in self._at_work)

    def broken(self, farm: str) -> Fault | None:
        """Return the fault that broke a farm, if one is broken."""
        for one in self._at_work:
            is_broken = one.fault.action == "farm_broken" and not one.is_over
            if is_broken and one.fault.params.get("farm", "market") == farm:
                return one.fault
        return None

    def notices(self) -> list[tuple[int, str]]:
        """Return what a new client is told of the connection and of each farm."""
        if self.is_cut_off:
            return [(1100, _LOST)]
        rows = []
        for farm, (bad, good, text) in _FARMS.items():
            broken = self.broken(farm) is not None
            rows.append((bad if broken else good, text.format("broken" if broken else "OK")))
        return rows

    def look(self) -> None:
        """Begin what has come into force, end what is over."""
        now = self._gateway.now()
        known = [one.fault for one in self._at_work]
        for fault in self._gateway.faults.faults:
            if fault.action in _ACTIONS and fault not in known and fault.holds(now):
                seconds = fault.params.get("seconds")
                self._at_work.append(_Trouble(fault, None if seconds is None else time.monotonic() + seconds))
                fault.seen += 1
                self._begin[fault.action](fault)
        for one in list(self._at_work):
            gone = one.fault not in self._gateway.faults.faults or not one.fault.holds(now)
            late = one.until is not None and time.monotonic() >= one.until
            if (gone or late) and not one.is_over:
                one.is_over = True
                self._end(one.fault)
            if gone:
                self._at_work.remove(one)

    def _end(self, fault: Fault) -> None:
        if fault.action == "connectivity_lost":
            self._say_restored(fault.params.get("restored", "data_kept"))
        elif fault.action == "farm_broken":
            self._farm(fault, broken=False)

    def _say(self, code: int, text: str) -> None:
        for session in self._gateway.sessions:
            if session.ready:
                session.error(-1, code, text)

    def _lose(self, fault: Fault) -> None:
        fault.fired += 1
        for _ in range(fault.params.get("repeat", 1)):
            self._say(1100, _LOST)

    def _restore(self, how: str) -> None:
        for one in self._at_work:
            if one.fault.action == "connectivity_lost":
                one.is_over = True
            if one.fault.action == f"restored_{how}":
                one.fault.fired += 1
        self._say_restored(how)

    def _say_restored(self, how: str) -> None:
        if how == "never":
            self._gateway.catch_up()
            return
        if how == "data_lost":
            self._gateway.lose_subscriptions()
        self._say(*((1101, _DATA_LOST) if how == "data_lost" else (1102, _DATA_KEPT)))
        self._gateway.catch_up()

    def _farm(self, fault: Fault, *, broken: bool) -> None:
        bad, good, text = _FARMS[fault.params.get("farm", "market")]
        fault.fired += broken
        self._say(bad if broken else good, text.format("broken" if broken else "OK"))

    def _reset(self, fault: Fault) -> None:
        fault.fired += 1
        for _ in range(fault.params.get("storm", 3)):
            self._say(1100, _LOST)
        self._gateway.close_door(fault.params.get("seconds", 0))

    def _deaden(self, fault: Fault) -> None:
        for session in self._gateway.sessions:
            if fault.client in (None, session.client):
                session.dead = True
                fault.fired += 1

    def _compete(self, fault: Fault) -> None:
        for session in self._gateway.sessions:
            if fault.client not in (None, session.client):
                continue
            for request in self._gateway.watchers(session, fault.symbol):
                fault.fired += 1
                session.error(request, 10197, "No market data during competing live session")

    def _split(self, fault: Fault) -> None:
        fault.fired += 1
        params = fault.params
        self._gateway.venue.split(params["symbol"], params["new"], params.get("old", 1), params.get("orders", "keep"))
