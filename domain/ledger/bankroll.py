"""The bankroll: capital set aside for one surface, what it earned, and its high-water mark.

It is a ledger of the surface's own trades, never a share of the broker's account, so no other surface can change it.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Booked:
    """Profit after fees that was realised at one moment, in home currency."""

    at: datetime
    amount: Decimal


class Bankroll:
    """A fold over realised profits.

    Args:
        initial: home currency set aside for the surface.
        currency: ISO code of that money.
    """

    def __init__(self, initial: Decimal, currency: str) -> None:
        if initial <= 0:
            raise ValueError(f"a bankroll must be positive, found {initial}")
        self.initial = initial
        self.currency = currency
        self.high_water_mark = initial
        self._booked: list[Booked] = []
        self._total = Decimal(0)

    @property
    def realised(self) -> Decimal:
        return self._total

    @property
    def balance(self) -> Decimal:
        """Return the capital with everything realised, without open profit."""
        return self.initial + self._total

    def book(self, at: datetime, amount: Decimal) -> None:
        """Add a realised profit (or loss)."""
        self._booked.append(Booked(at, amount))
        self._total += amount
        self.high_water_mark = max(self.high_water_mark, self.balance)

    def balance_before(self, moment: datetime) -> Decimal:
        """Return the capital with everything realised before ``moment``."""
        return self.initial + sum((item.amount for item in self._booked if item.at < moment), Decimal(0))
