"""What was decided of each signal: the price it was decided at, and what was put at risk."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from audit.since import records_since
from domain.vocabulary import Kind

# Decisions older than this are not looked for when only a span is asked for: their slippage is unknown then.
LOOKBACK = timedelta(days=90)


class Expected(NamedTuple):
    """``price`` is what the rule saw, ``risk`` what was to be lost at the stop with ``quantity``, home currency."""

    price: float
    risk: float
    quantity: float

    def split(self, ratio: float) -> "Expected":
        """Return it in shares and prices of after a split into ``ratio`` shares."""
        return Expected(self.price / ratio, self.risk, self.quantity * ratio)


class _Candidate(msgspec.Struct, gc=False):
    decision_price: str = "0"


class _Size(msgspec.Struct, gc=False):
    quantity: str = "0"
    risk: str = "0"


class _Decision(msgspec.Struct, gc=False):
    """The fields wanted of a decision, and of a split; other records have none of them."""

    kind: str
    signal_id: str | None = None
    admitted: bool = False
    candidate: _Candidate | None = None
    size: _Size | None = None
    new: int = 1
    old: int = 1


def expected(decisions: Path, since: datetime | None) -> Mapping[str, Expected]:
    """Return signal -> what was decided of it, for trades resolved at or after ``since``."""
    found: dict[str, Expected] = {}
    for record in records_since(decisions, None if since is None else since - LOOKBACK, _Decision):
        key = record.signal_id
        if record.kind == Kind.DECISION and record.admitted and key and record.candidate and record.size:
            price, size = record.candidate.decision_price, record.size
            found[key] = Expected(float(price), float(size.risk), float(size.quantity))
        elif record.kind == Kind.CORPORATE_ACTION and key in found:
            found[key] = found[key].split(record.new / record.old)
    return found
