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


_WINDOW_S = 300.0
_FIRST_BLOCK_S, _LONGEST_BLOCK_S = 5.0, 300.0


class Failures:
    """How long an address that presents wrong tokens is turned away: from so many in five minutes on, twice as long
    each time.

    A right token is let in all the same, or one neighbour behind a shared address could lock out the others; 190
    random bits are not found by trying. What this spares is our own work, and the access journal.
    """

    def __init__(self, *, most: int, seconds: Callable[[], float]) -> None:
        self._most = most
        self._seconds = seconds
        self._known: dict[str, tuple[int, float, float]] = {}  # count, begun, turned away until

    def note(self, address: str) -> float:
        """Count a wrong token, and return for how many seconds the address is turned away; 0 when it is not."""
        now = self._seconds()
        count, begun, until = self._known.get(address, (0, now, 0.0))
        if now < until:
            return until - now
        if now > max(begun, until) + _WINDOW_S:
            count, begun = 0, now
        count += 1
        wait = 0.0
        if count >= self._most:
            wait = min(_FIRST_BLOCK_S * 2 ** min(count - self._most, 16), _LONGEST_BLOCK_S)
        if len(self._known) >= _FORGET_ABOVE:
            self._forget(now)
        self._known[address] = (count, begun, now + wait if wait else 0.0)
        return wait

    def _forget(self, now: float) -> None:
        kept = {key: one for key, one in self._known.items() if now <= max(one[1], one[2]) + _WINDOW_S}
        # Ten thousand addresses at once are an attack: then the oldest are given up, whatever they did.
        self._known = kept if len(kept) < _FORGET_ABOVE else dict(list(kept.items())[_FORGET_ABOVE // 2 :])
