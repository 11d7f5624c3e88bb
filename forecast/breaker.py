"""A provider that fails again and again is left alone for a while."""

import threading
import time


class Breaker:
    """Counts failures of one provider one after the other; thread-safe.

    After ``after`` of them nobody is let through for ``rest_s`` real seconds; then one call is, and what becomes of it
    decides about the next rest.
    """

    def __init__(self, after: int, rest_s: float) -> None:
        self._after = after
        self._rest_s = rest_s
        self._lock = threading.Lock()
        self._failures = 0
        self._rests_until = 0.0
        self._is_probing = False

    def admit(self) -> bool:
        """Tell whether a call may be made; whoever is let through calls one of the other three methods afterwards."""
        with self._lock:
            if self._failures < self._after:
                return True
            if self._is_probing or time.monotonic() < self._rests_until:
                return False
            self._is_probing = True
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._failures, self._is_probing = 0, False

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._is_probing = False
            self._rests_until = time.monotonic() + self._rest_s

    def withdrew(self) -> None:
        """The call was not made after all."""
        with self._lock:
            self._is_probing = False
