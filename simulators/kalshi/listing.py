"""What can be listed at the venue: contracts with their lives, their results and a synthetic idea of their worth.

The exchange (books, orders, wire) knows contracts only through these classes; where they come from is the catalogue's
business. All times are aware UTC on the shared clock, after the recording's shift.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A family of events, such as the daily high of one city.

    ``fee_type`` is ``quadratic`` or ``quadratic_with_maker_fees``; ``fee_multiplier`` scales the fee formula.
    """

    ticker: str
    title: str
    category: str
    frequency: str
    settlement_sources: tuple[tuple[str, str], ...]
    fee_type: str = "quadratic"
    fee_multiplier: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One binary contract.

    ``fair`` gives the synthetic worth of YES in (0, 1) at a moment between open and close; it never reads the result
    ahead of time except where the underlying recording already shows it. ``depth`` is the contracts resting at each
    price level of the synthetic book, ``half_spread`` half its width in dollars. ``result`` is ``yes`` or ``no``,
    published at ``determined_at`` and paid at ``settled_at``. ``note`` says where every part of it came from and what
    of it is synthetic.
    """

    ticker: str
    event_ticker: str
    series_ticker: str
    title: str
    event_title: str
    yes_sub_title: str
    no_sub_title: str
    rules_primary: str
    rules_secondary: str
    strike_type: str
    floor_strike: float | None
    cap_strike: float | None
    open_time: datetime
    close_time: datetime
    expected_expiration_time: datetime
    latest_expiration_time: datetime
    determined_at: datetime
    settled_at: datetime
    result: str
    expiration_value: str
    can_close_early: bool
    mutually_exclusive: bool
    fair: Callable[[datetime], float]
    half_spread: float = 0.01
    depth: int = 200
    note: str = ""


class Catalogue(Protocol):
    """Everything the venue may ever list."""

    def series(self) -> Sequence[Series]:
        """Return every family of events."""

    def listings(self, start: datetime, end: datetime) -> Sequence[Listing]:
        """Return the contracts whose life (open to settled) overlaps ``[start, end)``, in order of their opening."""
