"""What a subscriber reports back about a signal."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.vocabulary import Stage, Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One stored report; at most one exists per (subscriber, signal, stage, rev, fill).

    ``subscriber`` is a token id, never a name. ``decision`` is ``accept`` or ``skip`` with its ``reason`` for an ack;
    ``quantity``/``price`` describe a fill; ``realised`` (in ``currency``) the outcome. ``body_sha256`` is of the
    request's raw bytes, so that a repeated report is told from a different one.
    """

    id: str
    subscriber: str
    signal_id: str
    surface: Surface
    stage: Stage
    rev: int
    body_sha256: str
    received_at: datetime
    reported_at: datetime
    decision: str | None = None
    reason: str = ""
    fill_id: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    realised: Decimal | None = None
    currency: str | None = None
    late: bool = False
    parked: bool = False
    skew_s: Decimal | None = None
    implied: tuple[Stage, ...] = ()
