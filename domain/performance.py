"""What one trading day left behind, written once when it has ended."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPerformance:
    """A surface's figures at the end of ``day``, in ``currency``.

    ``equity`` is the bankroll with everything realised and marked, ``balance`` without what is still open;
    ``unrealised`` is the difference. ``realised`` and ``trades`` are of trades that ended in the day, ``profit``
    what equity gained in it; ``positions`` is how many were open at its end and ``exposure`` what those cost.
    """

    day: date
    equity: Decimal
    balance: Decimal
    unrealised: Decimal
    realised: Decimal
    profit: Decimal
    positions: int
    exposure: Decimal
    trades: int
    currency: str
