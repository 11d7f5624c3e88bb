"""The ten gates in order, what they say together about a candidate, and what many such answers add up to."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from domain.candidate import Candidate, Estimate
from domain.decision import Decision, Size, Verdict, make_verdict
from domain.making import draft
from domain.vocabulary import Code, Gate
from risk import sizing
from risk.gates.category import category
from risk.gates.confidence import confidence
from risk.gates.cost import cost
from risk.gates.dedup import dedup
from risk.gates.direction import direction
from risk.gates.edge import edge
from risk.gates.market_cap import market_cap
from risk.gates.risk import risk
from risk.gates.slippage import slippage
from risk.gates.stop_file import stop_file
from risk.limits import Limits
from risk.state import RiskState

Ask = Callable[[Candidate, Estimate, Size, RiskState, Limits], Verdict]


class Step(NamedTuple):
    """One place in the chain; a gate that is not free is not asked once an earlier one has refused.

    A gate that judges the estimate cannot be asked before there is one.
    """

    gate: Gate
    ask: Ask
    is_free: bool = True
    judges_estimate: bool = False


CHAIN: tuple[Step, ...] = (
    Step(Gate.STOP_FILE, stop_file),
    Step(Gate.DEDUP, dedup),
    Step(Gate.MARKET_CAP, market_cap),
    Step(Gate.DIRECTION, direction),
    Step(Gate.CATEGORY, category),
    Step(Gate.RISK, risk),
    Step(Gate.SLIPPAGE, slippage),
    Step(Gate.EDGE, edge, judges_estimate=True),
    Step(Gate.CONFIDENCE, confidence, judges_estimate=True),
    Step(Gate.COST, cost, is_free=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the chain says: ``code`` is that of the first refusal, None when admitted."""

    admitted: bool
    code: Code | None
    size: Size
    verdicts: tuple[Verdict, ...]


_OutcomeDraft = draft(Outcome)


class Passage(NamedTuple):
    """How many candidates reached a gate without a refusal, and how many of them it refused."""

    gate: Gate
    entered: int
    refused: int


def decide(candidate: Candidate, estimate: Estimate, state: RiskState, limits: Limits) -> Outcome:
    """Size the candidate and ask every gate; the gates after a refusal are asked where that costs nothing."""
    size = sizing.size(candidate, state, limits)
    verdicts: list[Verdict] = []
    refusal: Verdict | None = None
    for step in CHAIN:
        if refusal is None or step.is_free:
            verdict = step.ask(candidate, estimate, size, state, limits)
            if refusal is None and not verdict.passed:
                refusal = verdict
        else:
            verdict = _unasked(step.gate)
        verdicts.append(verdict)
    return _outcome(refusal, size, tuple(verdicts))


def look(candidate: Candidate, blank: Estimate, state: RiskState, limits: Limits) -> Outcome:
    """Ask every gate that needs no estimate: whoever would be refused anyway need not pay for one.

    Args:
        blank: stands for the estimate that was not made; no gate reads it.
        state: with ``next_usd``, so that the last gate asks whether the estimate can be paid.
    """
    size = sizing.size(candidate, state, limits)
    verdicts: list[Verdict] = []
    for step in CHAIN:
        asked = not step.judges_estimate
        verdicts.append(step.ask(candidate, blank, size, state, limits) if asked else _unasked(step.gate))
    return _outcome(first_refusal(verdicts), size, tuple(verdicts))


def first_refusal(verdicts: Sequence[Verdict]) -> Verdict | None:
    """Return the verdict that decided against the candidate, if any did."""
    return next((verdict for verdict in verdicts if verdict.passed is False), None)


def nearest_miss(verdicts: Sequence[Verdict]) -> Verdict | None:
    """Return the refusal that missed its limit by the least, relative to that limit."""
    return min((verdict for verdict in verdicts if verdict.passed is False), key=lambda v: v.margin, default=None)


def funnel(outcomes: Iterable[Outcome | Decision]) -> tuple[Passage, ...]:
    """Count the candidates on their way through the gates; the refused ones and the admitted ones add up to all."""
    refusals = [first_refusal(outcome.verdicts) for outcome in outcomes]
    counted = Counter(refusal.gate for refusal in refusals if refusal is not None)
    passages, entered = [], len(refusals)
    for step in CHAIN:
        passages.append(Passage(step.gate, entered, counted[step.gate]))
        entered -= counted[step.gate]
    return tuple(passages)


def _outcome(refusal: Verdict | None, size: Size, verdicts: tuple[Verdict, ...]) -> Outcome:
    made = _OutcomeDraft()
    made.admitted, made.code = (True, None) if refusal is None else (False, refusal.code)
    made.size, made.verdicts = size, verdicts
    made.__class__ = Outcome
    outcome: Outcome = made
    return outcome


def _unasked(gate: Gate) -> Verdict:
    zero = Decimal(0)
    return make_verdict(gate, None, None, zero, zero, "", "not asked")
