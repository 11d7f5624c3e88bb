"""The exit plan that a candidate proposes."""

from datetime import datetime, timedelta
from decimal import Decimal

from domain.candidate import Candidate
from domain.exits.plan import ExitPlan, Target, Trailing


def plan_of(candidate: Candidate, *, time_limit: timedelta | None = None, flat_at: datetime | None = None) -> ExitPlan:
    """Return the plan of what a candidate proposes: its stop, its target, its trailing stop, and the caller's clock."""
    target = candidate.take_profit
    return ExitPlan(
        stop=candidate.stop_loss,
        trailing=trailing_of(candidate.trailing_distance, candidate.trailing_percent),
        targets=() if target is None else (Target(price=target),),
        time_limit=time_limit,
        flat_at=flat_at,
    )


def trailing_of(distance: Decimal | None, percent: Decimal | None) -> Trailing | None:
    if percent is not None:
        return Trailing(percent=percent)
    return None if distance is None else Trailing(distance=distance)
