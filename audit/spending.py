"""The report on paid estimates: what each surface spent on which model and day, and what came of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from audit.costs import UNSETTLED, Call, CostFold
from audit.since import chosen, records_since
from domain.vocabulary import Gate, Kind

ANSWERED = "answered"
CURRENCY = "USD"
_ZERO = Decimal(0)
_SIX = Decimal("0.000001")


class _Verdict(msgspec.Struct):
    gate: str
    passed: bool | None
    limit: Decimal
    unit: str
    note: str = ""


class _Estimate(msgspec.Struct):
    votes: tuple[msgspec.Raw, ...] = ()
    missing: tuple[msgspec.Raw, ...] = ()


class _Decision(msgspec.Struct):
    ts: datetime
    kind: str
    mode: str
    admitted: bool = False
    estimate: _Estimate | None = None
    verdicts: tuple[_Verdict, ...] = ()


@dataclass(slots=True)
class Spending:
    """Some calls added up, in USD; ``reserved`` is what unsettled ones may have cost, and counts as spent in full."""

    calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    settled: Decimal = _ZERO
    reserved: Decimal = _ZERO

    @property
    def total(self) -> Decimal:
        return self.settled + self.reserved

    @property
    def answered(self) -> int:
        return self.outcomes[ANSWERED]

    def failures(self) -> dict[str, int]:
        """Return how often each reason kept a call from an answer, the most frequent first."""
        return {outcome: n for outcome, n in self.outcomes.most_common() if outcome not in (ANSWERED, UNSETTLED)}

    @property
    def unsettled(self) -> int:
        return self.outcomes[UNSETTLED]

    def add(self, call: Call) -> None:
        """Take in one call."""
        self.calls += 1
        self.outcomes[call.outcome] += 1
        self.tokens_in += call.tokens_in
        self.tokens_out += call.tokens_out
        if call.settled is None:
            self.reserved += call.reserved
        else:
            self.settled += call.settled

    def as_dict(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "answered": self.answered,
            "unsettled": self.unsettled,
            "failed": self.failures(),
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "settled": str(self.settled),
            "reserved": str(self.reserved),
            "total": str(self.total),
            "currency": CURRENCY,
        }


@dataclass(frozen=True, slots=True)
class Cap:
    """The newest limit of one budget that a decision of the surface was held against."""

    limit: Decimal
    seen_at: datetime


@dataclass(slots=True)
class ModeSpending:
    """What one surface spent in one mode, and on how many decisions.

    Attributes:
        rows: day, provider and model -> its calls.
        asked: decisions for whose estimate models were asked; an answer from the cache is free.
        caps: budget (day, month, day of the fleet, month of the fleet) -> its newest limit, where one was seen.
    """

    mode: str
    total: Spending = field(default_factory=Spending)
    rows: dict[tuple[date, str, str], Spending] = field(default_factory=dict)
    decisions: int = 0
    asked: int = 0
    admitted: int = 0
    caps: dict[str, Cap] = field(default_factory=dict)

    def add(self, call: Call) -> None:
        """Take in one call."""
        self.total.add(call)
        self.rows.setdefault((call.at.date(), call.provider, call.model), Spending()).add(call)

    def each(self, number: int) -> Decimal | None:
        """Return what one of ``number`` cost; None of none."""
        return (self.total.total / number).quantize(_SIX) if number else None

    def as_dict(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            **self.total.as_dict(),
            "decisions": self.decisions,
            "decisions_asked_for": self.asked,
            "admitted": self.admitted,
            "per_decision": _text(self.each(self.decisions)),
            "per_decision_asked_for": _text(self.each(self.asked)),
            "per_admitted": _text(self.each(self.admitted)),
            "caps": {
                name: {"limit": str(cap.limit), "seen_at": cap.seen_at.isoformat()} for name, cap in self.caps.items()
            },
            "by_day_and_model": [
                {"day": day.isoformat(), "provider": provider, "model": model, **row.as_dict()}
                for (day, provider, model), row in sorted(self.rows.items())
            ],
        }


class SurfaceSpending:
    """What one surface spent, mode by mode."""

    def __init__(self, surface: str) -> None:
        self.surface = surface
        self.modes: dict[str, ModeSpending] = {}

    def add_calls(self, calls: Iterable[Call]) -> None:
        for call in calls:
            self._mode(call.mode).add(call)

    def add_decisions(self, decisions: Iterable[_Decision]) -> None:
        for row in decisions:
            if row.kind == Kind.DECISION:
                self._decision(self._mode(row.mode), row)

    def as_dict(self) -> dict[str, Any]:
        return {"surface": self.surface, "modes": [mode.as_dict() for _, mode in sorted(self.modes.items())]}

    def _mode(self, mode: str) -> ModeSpending:
        return self.modes.setdefault(mode, ModeSpending(mode))

    def _decision(self, mode: ModeSpending, row: _Decision) -> None:
        mode.decisions += 1
        mode.asked += row.estimate is not None and bool(row.estimate.votes or row.estimate.missing)
        mode.admitted += row.admitted
        for verdict in row.verdicts:
            # A gate that was not asked compared nothing; a budget of nothing belongs to a surface that buys nothing.
            if verdict.gate == Gate.COST and verdict.passed is not None and verdict.limit:
                mode.caps[verdict.note.partition(",")[0]] = Cap(verdict.limit, row.ts)


def spendings(logs: Path, moment: datetime | None, surfaces: Sequence[str] | None = None) -> list[SurfaceSpending]:
    """Return what each surface asked for, or each that has a costs log, spent on calls reserved since ``moment``.

    A call is settled after it was reserved, so nothing before ``moment`` need be read.

    Raises:
        Refuse: a surface asked for does not exist.
    """
    return [_spending(logs, name, moment) for name in chosen(logs, surfaces, "costs")]


def fleet(found: Iterable[SurfaceSpending]) -> Spending:
    """Return all calls of all surfaces added up: money spent in a dry run is spent all the same."""
    together = Spending()
    for mode in (mode for surface in found for mode in surface.modes.values()):
        one = mode.total
        together.calls += one.calls
        together.outcomes += one.outcomes
        together.tokens_in += one.tokens_in
        together.tokens_out += one.tokens_out
        together.settled += one.settled
        together.reserved += one.reserved
    return together


def _spending(logs: Path, surface: str, moment: datetime | None) -> SurfaceSpending:
    found, fold = SurfaceSpending(surface), CostFold()
    for record in records_since(logs / surface / "costs", moment, dict):
        fold.apply(record)
    found.add_calls(fold.calls.values())
    found.add_decisions(records_since(logs / surface / "decisions", moment, _Decision))
    return found


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
