"""The positions pages' cache, which is minutes behind unless a client empties it."""

import time
from collections.abc import Sequence

from simulators.ibkr.accounts import Position
from simulators.ibkr.venue import Venue

# the real cache is emptied about this often (wall-clock seconds)
KEPT_SECONDS = 30.0


class Holdings:
    """Positions as last read, by account."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._read: dict[str, tuple[float, Sequence[Position]]] = {}
        self._shown: dict[str, Sequence[Position]] = {}

    def read(self, account: str, *, is_stale: bool = False) -> Sequence[Position]:
        """Return the positions of an account, at most half a minute old; what was shown last where ``is_stale``."""
        if is_stale:
            return self._shown.get(account, ())
        found = self._read.get(account)
        if found is None or time.monotonic() - found[0] > KEPT_SECONDS:
            found = (time.monotonic(), self._venue.positions(account))
            self._read[account] = found
        self._shown[account] = found[1]
        return found[1]

    def forget(self, account: str) -> None:
        """Read anew the next time."""
        self._read.pop(account, None)
