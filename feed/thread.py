"""What one subscriber has reported about one signal: the fold that says what may come next.

Pure: the same records in the same order give the same thread, whether they come from a socket or from the journal.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from domain.callback import Callback
from domain.vocabulary import Stage

Chain = tuple[Stage, str]
Pair = tuple[str, str]  # subscriber, signal

SKIP = "skip"
# A fill that was not reported a day after the trade's end was probably lost on the subscriber's side.
OVERDUE_AFTER = timedelta(hours=24)


@dataclass(slots=True)
class Thread:
    """Chains of reports, each with its corrections in order of ``rev``."""

    chains: dict[Chain, list[Callback]] = field(default_factory=dict)

    def take(self, record: Callback) -> None:
        self.chains.setdefault(record.chain, []).append(record)

    def known(self, chain: Chain, rev: int) -> Callback | None:
        """Return the report that has this place already."""
        revisions = self.chains.get(chain, [])
        return revisions[rev] if rev < len(revisions) else None

    def next_rev(self, chain: Chain) -> int:
        return len(self.chains.get(chain, []))

    def latest(self, chain: Chain) -> Callback | None:
        revisions = self.chains.get(chain)
        return revisions[-1] if revisions else None

    @property
    def fills(self) -> list[Callback]:
        """The latest version of each fill."""
        return [revisions[-1] for (stage, _), revisions in self.chains.items() if stage is Stage.EXECUTED]

    @property
    def resolved(self) -> Callback | None:
        return self.latest((Stage.RESOLVED, ""))

    @property
    def is_acked(self) -> bool:
        return (Stage.ACK, "") in self.chains

    @property
    def is_skipped(self) -> bool:
        ack = self.latest((Stage.ACK, ""))
        return ack is not None and ack.decision == SKIP

    def filled(self, *, without: Chain | None = None) -> Decimal:
        """Return the quantity of all fills but one."""
        return sum((one.quantity or Decimal(0) for one in self.fills if one.chain != without), Decimal(0))

    def covers(self, quantity: Decimal | None) -> bool:
        """Tell whether enough fills are known for a resolution of this quantity to hold."""
        return bool(self.fills) and self.filled() >= (quantity or Decimal(0))

    @property
    def is_resolved(self) -> bool:
        """Whether the resolution holds: one that came before its fills does not yet."""
        return self.resolved is not None and self.covers(self.resolved.quantity)

    def is_overdue(self, now: datetime) -> bool:
        """Whether a resolution has waited too long for its fills."""
        end = self.resolved
        return end is not None and not self.is_resolved and end.received_at + OVERDUE_AFTER <= now


def gather(records: Iterable[Callback]) -> dict[Pair, Thread]:
    """Fold reports, in the order in which they were stored, into threads."""
    threads: dict[Pair, Thread] = {}
    for record in records:
        threads.setdefault((record.subscriber, record.signal_id), Thread()).take(record)
    return threads
