"""The choice between the two generations of order paths."""

from collections.abc import Mapping
from typing import Any

from brokers.kalshi import tickets
from brokers.kalshi.config import WireChoice
from brokers.kalshi.errors import Rejected
from brokers.kalshi.steps import CENT, Steps
from brokers.kalshi.wire import Wire
from domain.errors import Refuse, TBotError
from domain.order import OrderIntent

_MISSING = frozenset({404, 405, 410, 501})


class Paths:
    """Where orders go, and what to make of a path that the venue does not have.

    ``auto`` begins with today's paths and goes over to the older ones when the venue says that there are none, which
    proves that the order was not taken; once an order was taken it stays where it is.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._choice = wire.config.wire
        self._is_older = self._choice is WireChoice.OLDER
        self._is_proven = False

    @property
    def is_older(self) -> bool:
        return self._is_older

    @property
    def orders(self) -> str:
        return tickets.OLDER_PATH if self._is_older else tickets.CURRENT_PATH

    def ticket(self, intent: OrderIntent, steps: Steps) -> Mapping[str, Any]:
        """Write an order for the wire in use; the older one has whole cents."""
        if self._is_older:
            return tickets.older(intent, tickets.limit_of(intent, steps.no_finer_than(CENT)))
        return tickets.current(intent, tickets.limit_of(intent, steps))

    def proven(self) -> None:
        """Note that the venue took an order here."""
        self._is_proven = True

    def step_back(self, error: Rejected) -> bool:
        """Go over to the older paths if ``error`` says that today's are missing; tell whether that was done."""
        if self._choice is not WireChoice.AUTO or self._is_older or self._is_proven or not is_missing(error):
            return False
        self._is_older = True
        return True

    def refusal(self, error: Rejected) -> TBotError | None:
        """Return what to tell a person when the path itself was refused; None when it was the order."""
        if not is_missing(error):
            return None
        other = WireChoice.CURRENT if self._is_older else WireChoice.OLDER
        return Refuse(
            f"the venue to take orders at {self.orders}",
            error.found,
            f"set KALSHI_WIRE={other}, which is its other path",
        )


def is_missing(error: Rejected) -> bool:
    """Tell whether a refusal means the path: a market that is missing is named by its own code."""
    return "deprecated" in error.code or (error.status in _MISSING and "market" not in error.code)
