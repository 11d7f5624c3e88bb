"""The gateway: one signed-in user in front of the venue, and what it remembers between requests."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulators.client_portal.faults import ACTIONS
from simulators.client_portal.holdings import Holdings
from simulators.client_portal.pacing import Pacer
from simulators.client_portal.session import Lives, Session
from simulators.client_portal.wire import Json
from simulators.ibkr.orders import Order
from simulators.ibkr.quotes import Quote
from simulators.ibkr.venue import Venue
from simulators.rest.faults import FaultBook

_REMEMBERED = 500
REF_LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How strict the gateway is; ``limits`` is the clock rates are measured with: wall, simulated or off."""

    limits: str = "wall"
    penalty_seconds: float = 600.0
    lives: Lives = field(default_factory=Lives)


class Gateway:
    """Sessions, pacing, faults and order references around one venue."""

    def __init__(self, venue: Venue, rules: Rules) -> None:
        self.venue = venue
        self.rules = rules
        self.session = Session(venue.now(), rules.lives)
        self.pacer = Pacer(self._limit_clock(), self._simulated, rules.penalty_seconds)
        self.faults = FaultBook(ACTIONS)
        self.holdings = Holdings(venue)
        self.selected = next(iter(venue.specs))
        self.counts: Counter[str] = Counter()
        self.requests: deque[Json] = deque(maxlen=_REMEMBERED)
        self.sockets_opened = 0
        # cOID -> order, when it was used
        # what a fault keeps showing
        self.frozen: dict[int, Quote] = {}
        self._refs: dict[str, tuple[int, datetime]] = {}
        # order -> how long after its cancel it fills, and when it was first seen cancelled
        self._late: dict[int, tuple[float, float | None]] = {}
        traded = [execution.order for execution in venue.executions(since=venue.now() - REF_LIFE)]
        for order in (*venue.orders(), *venue.completed(), *traded):
            self.use(order.terms.ref, order)

    def _limit_clock(self) -> Callable[[], float] | None:
        return {"wall": time.monotonic, "simulated": self._simulated, "off": None}[self.rules.limits]

    def _simulated(self) -> float:
        return self.venue.clock.now_ms() / 1000

    def tick(self) -> datetime:
        """Let time pass; return the simulated time."""
        self.venue.advance()
        now = self.venue.now()
        self.session.look(now)
        if self._late:
            self._fill_late()
        return now

    def _fill_late(self) -> None:
        for perm_id, (seconds, seen) in list(self._late.items()):
            order = self.venue.order(perm_id)
            if order is None or (order.is_done and order.status != "Cancelled"):
                del self._late[perm_id]
            elif not order.is_done:
                continue
            elif seen is None:
                self._late[perm_id] = seconds, time.monotonic()
            elif time.monotonic() - seen >= seconds:
                del self._late[perm_id]
                self.venue.fill_after_cancel(perm_id)

    def fill_later(self, perm_id: int, seconds: float) -> None:
        """Fill an order so many wall-clock seconds after it is cancelled."""
        self._late[perm_id] = seconds, None

    def used(self, coid: str, now: datetime) -> bool:
        """Tell whether a client's order id was used in the last 24 hours."""
        found = self._refs.get(coid)
        return found is not None and now - found[1] < REF_LIFE

    def use(self, coid: str, order: Order) -> None:
        """Note a client's order id."""
        if coid:
            self._refs[coid] = (order.perm_id, order.placed_at)

    def disuse(self, coid: str) -> None:
        """Forget a client's order id whose order was not taken in the end."""
        self._refs.pop(coid, None)

    def by_ref(self, coid: str, account: str) -> Order | None:
        """Return the order a client gave an id to."""
        found = self._refs.get(coid)
        order = None if found is None else self.venue.order(found[0])
        return order if order is not None and order.terms.account == account else None
