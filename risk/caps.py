"""The caps on what is at stake: how much of each is used, and how much there is.

Sizing fills the room these caps leave and the gates check the sum against the same numbers, so the two cannot
disagree.
"""

from decimal import Decimal
from typing import Literal, TypeAlias

from domain.candidate import Candidate
from domain.vocabulary import Code
from risk.limits import Limits
from risk.state import RiskState

Measure = Literal["notional", "risk", "margin"]

_ZERO = Decimal(0)


# Its code and name, which number of a size would be added, and how much (home currency) of how much is taken. A plain
# tuple: a candidate costs a dozen of them, and a NamedTuple takes six times as long to make.
Cap: TypeAlias = "tuple[Code, str, Measure, Decimal, Decimal]"

_MARKET, _BANKROLL, _CONCENTRATION = Code.MARKET_CAP, Code.RISK_BANKROLL, Code.RISK_CONCENTRATION
_LEVERAGE, _CASH, _EXPOSURE = Code.RISK_LEVERAGE, Code.RISK_CASH, Code.RISK_EXPOSURE


def market_caps(candidate: Candidate, state: RiskState, limits: Limits) -> tuple[Cap, ...]:
    """Return the caps on the candidate's market and on its group."""
    in_market, in_group = candidate.market, candidate.group
    market = group = _ZERO
    for exposure in state.exposures:
        if exposure.market == in_market:
            market += exposure.notional
        if exposure.group == in_group:
            group += exposure.notional
    return (
        (_MARKET, "market", "notional", market, limits.max_market_notional),
        (_MARKET, "group", "notional", group, limits.max_group_notional),
    )


def equity_caps(candidate: Candidate, state: RiskState, limits: Limits) -> tuple[Cap, ...]:
    """Return the caps that grow and shrink with equity."""
    in_group, equity, group_risk = candidate.group, state.equity, _ZERO
    for exposure in state.exposures:
        if exposure.group == in_group:
            group_risk += exposure.risk
    caps: tuple[Cap, ...] = (
        (_BANKROLL, "all stops", "risk", state.all_risk, equity),
        (_CONCENTRATION, "group at risk", "risk", group_risk, equity * limits.max_concentration),
        (_LEVERAGE, "gross notional", "notional", state.all_notional, equity * limits.max_leverage),
        (_CASH, "margin", "margin", state.all_margin + state.unsettled, equity * limits.usable),
    )
    most = limits.max_notional
    return caps if most is None else (*caps, (_EXPOSURE, "all notional", "notional", state.all_notional, most))
