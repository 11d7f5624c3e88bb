"""What a subscriber reports back about a signal."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.vocabulary import Mode, Stage, Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One stored report; at most one exists per (subscriber, signal, stage, rev, fill).

    ``subscriber`` is the id of a subscriber's first token, never a name. ``decision`` is ``accept`` or ``skip`` with
    its ``reason`` for an ack; ``quantity``/``price`` describe a fill out of ``ordered_quantity`` and ``fee`` what it
    cost; ``realised`` (in ``currency``) the outcome. ``body_sha256`` is of the request's raw bytes, so that a repeated
    report is told from a different one.
    """

    id: str
    subscriber: str
    signal_id: str
    surface: Surface
    mode: Mode
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
    ordered_quantity: Decimal | None = None
    fee: Decimal | None = None
    realised: Decimal | None = None
    currency: str | None = None
    late: bool = False
    parked: bool = False
    skew_s: Decimal | None = None
    implied: tuple[Stage, ...] = ()

    @property
    def chain(self) -> tuple[Stage, str]:
        """Return what a report has in common with its corrections: the stage and, for a fill, its id."""
        return self.stage, self.fill_id or ""
