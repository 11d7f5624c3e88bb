"""Gate 6: the surface can afford this trade."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.caps import equity_caps
from risk.check import Check, at_least, at_most, number, verdict, within
from risk.limits import Limits
from risk.sizing import least, missing, smallest
from risk.state import RiskState

_NONE, _ONE = number(0), number(1)


def risk(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse what would break a rule of the account; a size of zero is the answer only when nothing says more."""
    asked = size if size.quantity else smallest(candidate, state, limits)
    return verdict(
        Gate.RISK,
        [
            *_day(state, limits),
            at_most(Code.RISK_POSITIONS, number(len(state.exposures) + 1), number(limits.max_positions), "positions"),
            *[within(cap, asked) for cap in equity_caps(candidate, state, limits)],
            _tradeable(candidate, size, state),
        ],
    )


def _day(state: RiskState, limits: Limits) -> list[Check]:
    loss = -state.day_pnl
    # Reaching the limit is enough: the surface trips its breaker on the very same comparison.
    passed = loss < limits.daily_loss
    checks: list[Check] = [
        (passed, Code.RISK_DAILY_LOSS, loss, limits.daily_loss, limits.currency, "realised and marked")
    ]
    if state.breaker_tripped:
        checks.insert(0, at_most(Code.RISK_DAILY_LOSS, _ONE, _NONE, "trips", "breaker of this trading day"))
    if limits.max_day_trades is not None:
        trades = number(state.day_trades + 1)
        checks.append(at_most(Code.RISK_DAY_TRADE, trades, number(limits.max_day_trades), "trades"))
    return checks


def _tradeable(candidate: Candidate, size: Size, state: RiskState) -> Check:
    note = "" if size.quantity else missing(candidate, state) or "below the smallest trade"
    minimum = least(state.instrument) if state.instrument else _ONE
    return at_least(Code.RISK_SIZE, size.quantity, minimum, "units", note)
