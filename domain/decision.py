"""A candidate's way through the gates, with every number that was compared."""

from dataclasses import dataclass
from decimal import Decimal

from domain.candidate import Candidate, Estimate
from domain.making import draft
from domain.vocabulary import Code, Gate, Mode, Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One gate's answer.

    ``value`` was compared with ``limit`` (both in ``unit``). ``passed`` is None for a gate that was not asked because
    an earlier one refused and asking would have cost something.
    """

    gate: Gate
    passed: bool | None
    code: Code | None
    value: Decimal
    limit: Decimal
    unit: str
    note: str = ""

    @property
    def margin(self) -> Decimal:
        """Return how far value and limit lie apart, relative to the limit; used to find the nearest miss."""
        gap = abs(self.value - self.limit)
        return gap / abs(self.limit) if self.limit else gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much would be traded: units, and in home currency the notional, the loss at the stop and the margin."""

    quantity: Decimal
    notional: Decimal
    risk: Decimal
    margin: Decimal
    currency: str


_VerdictDraft, _SizeDraft = draft(Verdict), draft(Size)


def make_verdict(
    gate: Gate, passed: bool | None, code: Code | None, value: Decimal, limit: Decimal, unit: str, note: str
) -> Verdict:
    """Return the verdict, made quickly: a candidate costs ten."""
    made = _VerdictDraft()
    made.gate, made.passed, made.code = gate, passed, code
    made.value, made.limit, made.unit, made.note = value, limit, unit, note
    made.__class__ = Verdict
    verdict: Verdict = made
    return verdict


def make_size(quantity: Decimal, notional: Decimal, risk: Decimal, margin: Decimal, currency: str) -> Size:
    """Return the size, made quickly."""
    made = _SizeDraft()
    made.quantity, made.notional, made.risk, made.margin = quantity, notional, risk, margin
    made.currency = currency
    made.__class__ = Size
    size: Size = made
    return size


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about one candidate and why; written before anything is done."""

    id: str
    surface: Surface
    mode: Mode
    candidate: Candidate
    estimate: Estimate
    size: Size
    verdicts: tuple[Verdict, ...]
    admitted: bool
    code: Code | None
    signal_id: str | None

    @property
    def refusals(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.passed is False)
