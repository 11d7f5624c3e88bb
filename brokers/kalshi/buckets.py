"""Kalshi's rate limits: two buckets of tokens, one for reading and one for writing."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from domain.clock import Clock

# Source: docs.kalshi.com, "Rate Limits": most calls cost ten tokens; Basic refills 200 a second to read, 100 to write.
COST = 10.0
# The venue counts when a call arrives, so two that left far enough apart may arrive too close together.
MARGIN = 0.9
BASIC_READ, BASIC_WRITE = 200.0, 100.0


class Bucket:
    """Holds up to ``capacity`` tokens and gains ``refill`` a second; callers wait their turn for one call's worth."""

    def __init__(
        self, clock: Clock, refill: float, capacity: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self.set(refill, capacity)

    def set(self, refill: float, capacity: float) -> None:
        """Use other limits from now on, starting full."""
        with self._lock:
            self._refill, self._capacity = max(refill, COST / 10), max(capacity, COST)
            self._tokens, self._at_ns = self._capacity, self._clock.monotonic_ns()

    def wait(self) -> None:
        """Return when the next call may be made."""
        delay_s = self.reserve()
        if delay_s > 0:
            self._sleep(delay_s)

    def reserve(self) -> float:
        """Take a call's tokens, on credit if need be, and return how many seconds away they are."""
        with self._lock:
            now_ns = self._clock.monotonic_ns()
            gained = (now_ns - self._at_ns) / 1e9 * self._refill
            self._tokens, self._at_ns = min(self._capacity, self._tokens + gained) - COST, now_ns
            return max(0.0, -self._tokens / self._refill)

    def drain(self) -> None:
        """Empty the bucket: the venue says that it counted more calls than we did."""
        with self._lock:
            self._tokens, self._at_ns = min(self._tokens, 0.0), self._clock.monotonic_ns()


class Buckets:
    """The account's two buckets, of which this process takes its share."""

    def __init__(self, clock: Clock, share: float) -> None:
        share *= MARGIN
        self._share = share
        self.read = Bucket(clock, BASIC_READ * share, BASIC_READ * share)
        self.write = Bucket(clock, BASIC_WRITE * share, BASIC_WRITE * share)

    def learn(self, body: Mapping[str, Any]) -> None:
        """Take in GET /account/limits: token buckets today, plain requests a second on the older wire."""
        for name, bucket in (("read", self.read), ("write", self.write)):
            found = body.get(name)
            if isinstance(found, Mapping):
                bucket.set(float(found["refill_rate"]) * self._share, float(found["bucket_capacity"]) * self._share)
            elif body.get(f"{name}_limit"):
                tokens = float(body[f"{name}_limit"]) * COST * self._share
                bucket.set(tokens, tokens)


def penalty_s() -> float:
    """Return how long to stay silent after a 429, which names no time: half a second to one and a half."""
    return 0.5 + random.random()  # noqa: S311  spreads several processes of one account, guards nothing
