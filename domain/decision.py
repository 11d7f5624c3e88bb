"""A candidate's way through the gates, with every number that was compared."""

from dataclasses import dataclass, fields
from decimal import Decimal

from domain.candidate import Candidate, Estimate
from domain.vocabulary import Code, Gate, Mode, Surface


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
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

    # A frozen dataclass's own __init__ takes 0.96 us; setting the slots directly takes 0.65, ten times a candidate.
    def __init__(
        self, *, gate: Gate, passed: bool | None, code: Code | None, value: Decimal, limit: Decimal, unit: str,
        note: str = "",
    ) -> None:  # fmt: skip
        _set_gate(self, gate)
        _set_passed(self, passed)
        _set_code(self, code)
        _set_value(self, value)
        _set_limit(self, limit)
        _set_unit(self, unit)
        _set_note(self, note)

    @property
    def margin(self) -> Decimal:
        """Return how far value and limit lie apart, relative to the limit; used to find the nearest miss."""
        gap = abs(self.value - self.limit)
        return gap / abs(self.limit) if self.limit else gap


_set_gate, _set_passed, _set_code, _set_value, _set_limit, _set_unit, _set_note = (
    vars(Verdict)[field.name].__set__ for field in fields(Verdict)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much would be traded: units, and in home currency the notional, the loss at the stop and the margin."""

    quantity: Decimal
    notional: Decimal
    risk: Decimal
    margin: Decimal
    currency: str


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
