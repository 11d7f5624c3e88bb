"""Growing, jittered pauses between attempts."""

import random

_random = random.SystemRandom()


class Backoff:
    """Pauses that double from ``first_s`` to ``most_s``, each shortened by up to half so that clients spread out."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._failures = 0

    def next(self, named_s: float | None = None) -> float:
        """Return the seconds to wait after one more failure; never less than the other side named."""
        pause: float = min(self._most_s, self._first_s * 2.0 ** min(self._failures, 20))
        self._failures += 1
        return max(pause * _random.uniform(0.5, 1.0), named_s or 0.0)

    def reset(self) -> None:
        self._failures = 0
