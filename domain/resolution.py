"""The outcome of a trade, with the source it was read from."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.vocabulary import ExitReason, Mode, ResolutionSource, Side, Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """How one signal ended.

    ``realised`` is profit after ``fees``, in ``currency``. ``mae`` and ``mfe`` are the worst and best excursion of the
    exit price from the entry, in price, both >= 0. ``late`` says that ``actual_hours`` exceeded ``eta_hours``.
    ``provisional`` is an outcome seen before the venue named its own; ``disputed`` says that the two differ, or that
    the venue's result was contested. ``outcome`` is what was read, such as ``yes`` or ``61 degF``.
    """

    id: str
    signal_id: str
    surface: Surface
    mode: Mode
    market: str
    side: Side
    strategy: str
    sub_strategy: str
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    reason: ExitReason
    resolution_source: ResolutionSource
    realised: Decimal
    fees: Decimal
    currency: str
    mae: Decimal
    mfe: Decimal
    opened_at: datetime
    resolved_at: datetime
    eta_hours: Decimal
    actual_hours: Decimal
    late: bool
    provisional: bool = False
    disputed: bool = False
    outcome: str = ""
