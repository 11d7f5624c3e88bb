"""What one trading day left behind, written once when it has ended."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPerformance:
    """A surface's figures at the end of ``day``, in ``currency``.

    ``equity`` is the bankroll with everything realised and marked, ``balance`` without what is still open;
    ``unrealised`` is the difference. ``unmarked`` positions had no price when this was written and count in it with
    their last, or with nothing.

    ``realised`` and ``trades`` are of trades that ended by the end of the day and that no earlier day told, and
    ``profit`` is what equity gained since the last day told: the days add up, whatever was written late. ``ended`` and
    ``capital`` are what they are counted from: all trades ended so far, and the money set aside.

    ``positions`` is how many were open and ``exposure`` what those cost.
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
    unmarked: int = 0
    ended: int | None = None
    capital: Decimal | None = None
