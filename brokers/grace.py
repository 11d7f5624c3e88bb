"""How long an order that the broker does not know may still turn up."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from domain.clock import Clock
from domain.errors import Retry


class Grace:
    """Times the real seconds since each order was sent, on the monotonic clock.

    The caller's own time of sending is not enough: it may be set early for safety, and a request that we gave up on is
    under way until its read timeout. An order of an earlier life of this process counts as sent when this life began.
    """

    def __init__(self, clock: Clock, grace_s: float) -> None:
        self._clock = clock
        self._grace_s = grace_s
        self._began_ns = clock.monotonic_ns()
        self._sent_ns: dict[str, int] = {}

    @contextmanager
    def sending(self, client_order_id: str) -> Iterator[None]:
        """Note the end of sending, however it ends."""
        try:
            yield
        finally:
            self._sent_ns[client_order_id] = self._clock.monotonic_ns()

    def require(self, client_order_id: str, since: datetime) -> None:
        """Raise Retry while the order may still turn up."""
        sent_ns = self._sent_ns.get(client_order_id, self._began_ns)
        elapsed_s = min((self._clock.monotonic_ns() - sent_ns) / 1e9, self._real_s(since))
        if elapsed_s < self._grace_s:
            left_s = self._grace_s - elapsed_s
            raise Retry(f"proof that {client_order_id} is absent", "an order too fresh", "ask again", after_s=left_s)

    def _real_s(self, since: datetime) -> float:
        """Return the real seconds since a time on our clock; a clock that stands still counts its own."""
        return (self._clock.now() - since).total_seconds() * (self._clock.real_seconds(1.0) or 1.0)
