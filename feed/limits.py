"""How often a token may ask: a bucket for each, refilled steadily."""

from collections.abc import Callable

_FORGET_ABOVE = 10_000


class Rate:
    """Token buckets, kept only for callers seen lately."""

    def __init__(self, *, per_min: float, burst: int, seconds: Callable[[], float]) -> None:
        self._per_second = per_min / 60
        self._burst = float(burst)
        self._seconds = seconds
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, key: str) -> float:
        """Take one from the bucket of ``key`` and return 0, or return the seconds until there is one to take."""
        now = self._seconds()
        level, at = self._buckets.get(key, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_second)
        if level < 1:
            return (1 - level) / self._per_second
        if len(self._buckets) >= _FORGET_ABOVE:
            self._forget(now)
        self._buckets[key] = (level - 1, now)
        return 0.0

    def _forget(self, now: float) -> None:
        full_after = self._burst / self._per_second
        self._buckets = {key: (level, at) for key, (level, at) in self._buckets.items() if now - at < full_after}
