"""Gate 6: the surface can afford this trade."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.caps import equity_caps
from risk.check import Check, number, verdict, within
from risk.limits import Limits
from risk.sizing import least, missing, smallest
from risk.state import RiskState

_GATE, _LOSS, _TRADES = Gate.RISK, Code.RISK_DAILY_LOSS, Code.RISK_DAY_TRADE
_POSITIONS, _SIZE = Code.RISK_POSITIONS, Code.RISK_SIZE
_NONE, _ONE = number(0), number(1)


def risk(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse what would break a rule of the account; a size of zero is the answer only when nothing says more."""
    asked = size if size.quantity else smallest(candidate, state, limits)
    positions, most = number(len(state.exposures) + 1), limits.positions
    return verdict(
        _GATE,
        [
            *_day(state, limits),
            (positions <= most, _POSITIONS, positions, most, "positions", ""),
            *within(equity_caps(candidate, state, limits), asked),
            _tradeable(candidate, size, state),
        ],
    )


def _day(state: RiskState, limits: Limits) -> list[Check]:
    loss, most = state.day_start_equity - state.equity, limits.daily_loss
    # Reaching the limit is enough: the surface trips its breaker on the very same comparison.
    checks: list[Check] = [(loss < most, _LOSS, loss, most, limits.currency, "realised and marked")]
    if state.breaker_tripped:
        checks.insert(0, (False, _LOSS, _ONE, _NONE, "trips", "breaker of this trading day"))
    allowed = [most for most in (limits.max_day_trades, state.day_trade_limit) if most is not None]
    if allowed:
        trades, rule = number(state.day_trades + 1), number(min(allowed))
        checks.append((trades <= rule, _TRADES, trades, rule, "trades", ""))
    return checks


def _tradeable(candidate: Candidate, size: Size, state: RiskState) -> Check:
    quantity = size.quantity
    note = "" if quantity else missing(candidate, state) or "below the smallest trade"
    minimum = least(state.instrument) if state.instrument else _ONE
    return quantity >= minimum, _SIZE, quantity, minimum, "units", note
