"""How often the gateway may be asked, and the penalty box for those who ask more often.

Source: https://www.interactivebrokers.com/campus/ibkr-api-page/cpapi-v1/#pacing-limitations
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# (requests, seconds) for everything together, and for single pages
OVERALL = (10, 1.0)
LIMITS: dict[str, tuple[int, float]] = {
    "/iserver/account/orders": (1, 5.0),
    "/iserver/account/trades": (1, 5.0),
    "/iserver/account/pnl/partitioned": (1, 5.0),
    "/iserver/marketdata/snapshot": (10, 1.0),
    "/iserver/scanner/params": (1, 900.0),
    "/iserver/scanner/run": (1, 1.0),
    "/portfolio/accounts": (1, 5.0),
    "/portfolio/subaccounts": (1, 5.0),
    "/pa/performance": (1, 900.0),
    "/pa/summary": (1, 900.0),
    "/pa/transactions": (1, 900.0),
    "/sso/validate": (1, 60.0),
    "/tickle": (1, 1.0),
}
_NO_LIMIT = 1_000_000
AT_ONCE = {"/iserver/marketdata/history": 5}


class Pacer:
    """Counts requests of the one address all clients of a gateway share.

    ``seconds`` is the clock limits are measured with, None where there are none; ``box_seconds`` how long an address
    stays in the penalty box, by ``box_clock``.
    """

    def __init__(self, seconds: Callable[[], float] | None, box_clock: Callable[[], float], box_seconds: float) -> None:
        self._seconds = seconds
        self._box_clock = box_clock
        self.box_seconds = box_seconds
        self._asked: dict[str, deque[float]] = {}
        self._at_once: dict[str, int] = {}
        self._boxed_until: float | None = None
        self.refused = 0

    @property
    def is_boxed(self) -> bool:
        """Tell whether everything is refused now."""
        return self._boxed_until is not None and self._box_clock() < self._boxed_until

    def box(self, seconds: float | None = None) -> None:
        """Refuse everything for a while."""
        self._boxed_until = self._box_clock() + (self.box_seconds if seconds is None else seconds)

    def release(self) -> None:
        """Open the penalty box."""
        self._boxed_until = None

    def admit(self, page: str) -> bool:
        """Count a request; tell whether it may be answered."""
        if self.is_boxed:
            self.refused += 1
            return False
        if self._seconds is None:
            return True
        if self._at_once.get(page, 0) >= AT_ONCE.get(page, _NO_LIMIT):
            # waiting for an answer is enough to be let in again
            self.refused += 1
            return False
        now = self._seconds()
        good = self._count("*", OVERALL, now) and (page not in LIMITS or self._count(page, LIMITS[page], now))
        if not good:
            self.refused += 1
            self.box()
        return good

    def _count(self, page: str, limit: tuple[int, float], now: float) -> bool:
        number, span = limit
        asked = self._asked.setdefault(page, deque(maxlen=number))
        if len(asked) == number and now - asked[0] < span:
            return False
        asked.append(now)
        return True

    @contextmanager
    def answering(self, page: str) -> Iterator[None]:
        """Hold one of the places of a page that few may read at once."""
        self._at_once[page] = self._at_once.get(page, 0) + 1
        try:
            yield
        finally:
            self._at_once[page] -= 1
