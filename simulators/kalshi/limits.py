"""Token buckets: how many calls an account may make, on the wall clock."""

import time
from dataclasses import dataclass

# tier -> read and write tokens a second (docs.kalshi.com/getting_started/rate_limits); a bucket holds a second of them
TIERS = {
    "basic": (200, 100),
    "advanced": (300, 300),
    "premier": (1000, 1000),
    "paragon": (2000, 2000),
    "prime": (4000, 4000),
}
CALL_COST = 10
_NOBODY = "basic"


@dataclass(slots=True)
class Bucket:
    """A bucket that fills at ``rate`` tokens a second up to one second's worth."""

    rate: int
    level: float
    looked: float

    def take(self, tokens: int) -> bool:
        """Take tokens if there are enough."""
        now = time.monotonic()
        self.level = min(float(self.rate), self.level + (now - self.looked) * self.rate)
        self.looked = now
        if self.level < tokens:
            return False
        self.level -= tokens
        return True


class Limiter:
    """The buckets of every account; calls without a key share one pair."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, bool], Bucket] = {}
        self.refused = 0

    def take(self, key_id: str, tier: str, *, writes: bool, tokens: int) -> bool:
        """Bill a call; tell whether there were tokens for it."""
        if (key_id, writes) not in self._buckets:
            rate = TIERS[tier or _NOBODY][writes]
            self._buckets[key_id, writes] = Bucket(rate, float(rate), time.monotonic())
        allowed = self._buckets[key_id, writes].take(tokens)
        self.refused += not allowed
        return allowed
