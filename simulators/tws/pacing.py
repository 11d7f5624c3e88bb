"""Limits on requests for small bars: how often the same, how many of one stock, how many at all."""

import time
from collections import deque
from collections.abc import Callable

# wall-clock seconds and how many requests they allow
_SAME_SECONDS = 15
_STOCK_SECONDS, _STOCK_REQUESTS = 2, 5
_ALL_SECONDS, _ALL_REQUESTS = 600, 60


class Pacing:
    """Remembers requests for bars of 30 seconds and less."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # time, stock and kind of price, the whole request
        self._asked: deque[tuple[float, object, object]] = deque()

    def is_too_fast(self, stock: object, whole: object) -> bool:
        """Count a request; tell whether it breaks a limit. One that does is not counted."""
        now = self._clock()
        while self._asked and now - self._asked[0][0] >= _ALL_SECONDS:
            self._asked.popleft()
        same = any(one == whole and now - at < _SAME_SECONDS for at, _, one in self._asked)
        of_stock = sum(one == stock and now - at < _STOCK_SECONDS for at, one, _ in self._asked)
        if same or of_stock >= _STOCK_REQUESTS or len(self._asked) >= _ALL_REQUESTS:
            return True
        self._asked.append((now, stock, whole))
        return False
