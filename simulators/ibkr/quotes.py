"""Quotes and bars as fronts show them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

What = Literal["TRADES", "BID", "ASK", "MIDPOINT"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A stock's prices at a time. None where there is no price yet; sizes are shares.

    ``close`` is the close of the day before; ``high``, ``low`` and ``volume`` count from 04:00 New York, and ``open``
    is the first trade of regular hours. ``source_at`` is when the price was recorded.
    """

    conid: int
    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal
    ask_size: Decimal
    last: Decimal | None
    last_size: Decimal
    volume: Decimal
    high: Decimal | None
    low: Decimal | None
    open: Decimal | None
    close: Decimal | None
    at: datetime
    source_at: datetime
    halted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRow:
    """A bar stamped with its opening; ``trades`` counts prints, ``wap`` is the volume-weighted price."""

    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    wap: Decimal
    trades: int
