"""What Coinbase tells: closed minutes, and the last trade."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteBar:
    """One closed minute of trades, in the product's quote currency; ``start`` is inclusive."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotPrice:
    """The last trade and the venue's time of it."""

    product: str
    price: Decimal
    at: datetime
