"""The venue's time beside this machine's: signatures must carry the former."""

import threading
import time
from email.utils import parsedate_to_datetime

# The Date header has whole seconds, and the reply took its time: less than this is no difference.
NOISE_S = 2.0


class VenueTime:
    """Learns from Date headers how far the machine's clock is off, and stamps signatures accordingly.

    It reads the machine's clock, not the process's: what a signature is checked against is no matter of simulated time.
    """

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._lock = threading.Lock()

    @property
    def offset_s(self) -> float:
        """Return how many seconds the venue is ahead of this machine; 0 while they agree."""
        return self._offset_s

    def now_ms(self) -> int:
        return int((time.time() + self._offset_s) * 1000)

    def learn(self, date: str | None, sent_at: float) -> None:
        """Take in the Date header of a reply to a request that left at ``sent_at`` (Unix seconds)."""
        try:
            venue = parsedate_to_datetime(date or "").timestamp()
        except (ValueError, TypeError):
            return
        if time.time() - sent_at > NOISE_S:
            return  # a reply that took so long tells the time no better
        # The header was written between sending and now, and rounded down by up to a second.
        middle = (sent_at + time.time()) / 2
        found = venue + 0.5 - middle
        with self._lock:
            self._offset_s = found if abs(found) > NOISE_S else 0.0
