"""A limit on requests a second, shared by all threads of one account."""

import threading
import time

from domain.clock import Clock


class Limiter:
    """Lets ``per_s`` calls a second pass, ``burst`` of them at once; the rest wait their turn."""

    def __init__(self, clock: Clock, per_s: float, burst: int = 10) -> None:
        self._clock = clock
        self._step_ns = int(1e9 / per_s)
        self._burst_ns = burst * self._step_ns
        self._next_ns = 0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next call may be made."""
        delay_ns = self.reserve()
        if delay_ns > 0:
            time.sleep(delay_ns / 1e9)

    def reserve(self) -> int:
        """Take the next place in the queue and return how many nanoseconds it is away."""
        with self._lock:
            now = self._clock.monotonic_ns()
            self._next_ns = max(self._next_ns, now - self._burst_ns) + self._step_ns
            return max(0, self._next_ns - now)
