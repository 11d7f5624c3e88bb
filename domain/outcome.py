"""How a contract ended, traded or not: what estimates are judged by."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The venue's final word: what YES paid, in [0, 1], and the value it was read from, in the venue's words."""

    market: str
    value: Decimal
    result: str
    read_as: str
    closed_at: datetime
