"""What a desk proposes: candidates, and how the estimate comes about that decides between them."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from domain.candidate import Candidate, Estimate

Judged: TypeAlias = tuple[Candidate, Estimate]
# Names the candidate that an estimate speaks for, at the prices of that moment; None when there is none any more.
Finish: TypeAlias = Callable[[], Judged | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Something worth judging.

    Attributes:
        candidates: what it may become: one where a rule names the side, both where only the estimate can tell.
        predict: works the estimate out, in a thread of its own when ``is_slow``; what it returns is called back in the
            loop, so that a candidate is always made from the newest quote.
        costs_usd: the most that ``predict`` may cost; the gates are asked before it is spent.
        refused: called when they refused, so that nothing was predicted.
    """

    candidates: tuple[Candidate, ...]
    predict: Callable[[], Finish]
    is_slow: bool = False
    costs_usd: Decimal = Decimal(0)
    refused: Callable[[], object] = lambda: None


def judged(candidate: Candidate, estimate: Estimate) -> Proposal:
    """Return a proposal whose estimate is there already."""
    return Proposal(candidates=(candidate,), predict=lambda: lambda: (candidate, estimate))


def blank(candidate: Candidate) -> Estimate:
    """Return what stands in a decision whose estimate was never asked for: the market's own view, and no confidence."""
    zero = Decimal(0)
    return Estimate(
        probability=min(candidate.quote.mid, Decimal(1)),
        gross_edge_bp=zero,
        cost_bp=zero,
        edge_bp=zero,
        confidence=zero,
        eta_hours=zero,
        method="none",
    )
