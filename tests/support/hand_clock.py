"""A clock of a simulator that stands still until a test moves it."""

from dataclasses import dataclass


@dataclass
class HandClock:
    """Simulated time in epoch milliseconds."""

    ms: int
    speed: float = 1.0

    def now_ms(self):
        return self.ms
