"""The caps on what is at stake: how much of each is used, and how much there is.

Sizing fills the room these caps leave and the gates check the sum against the same numbers, so the two cannot
disagree.
"""

from decimal import Decimal
from typing import Literal, NamedTuple

from domain.candidate import Candidate
from domain.vocabulary import Code
from risk.limits import Limits
from risk.state import RiskState

Measure = Literal["notional", "risk", "margin"]

_ZERO = Decimal(0)


class Cap(NamedTuple):
    """``used`` of ``limit`` (home currency) is taken; ``measure`` says which number of a size would be added."""

    code: Code
    name: str
    measure: Measure
    used: Decimal
    limit: Decimal


def market_caps(candidate: Candidate, state: RiskState, limits: Limits) -> tuple[Cap, ...]:
    """Return the caps on the candidate's market and on its group."""
    market = group = _ZERO
    for exposure in state.exposures:
        if exposure.market == candidate.market:
            market += exposure.notional
        if exposure.group == candidate.group:
            group += exposure.notional
    return (
        Cap(Code.MARKET_CAP, "market", "notional", market, limits.max_market_notional),
        Cap(Code.MARKET_CAP, "group", "notional", group, limits.max_group_notional),
    )


def equity_caps(candidate: Candidate, state: RiskState, limits: Limits) -> tuple[Cap, ...]:
    """Return the caps that grow and shrink with equity."""
    notional = margin = risk = group_risk = _ZERO
    for exposure in state.exposures:
        notional += exposure.notional
        margin += exposure.margin
        risk += exposure.risk
        if exposure.group == candidate.group:
            group_risk += exposure.risk
    equity = state.equity
    return (
        Cap(Code.RISK_BANKROLL, "all stops", "risk", risk, equity),
        Cap(Code.RISK_CONCENTRATION, "group at risk", "risk", group_risk, equity * limits.max_concentration),
        Cap(Code.RISK_LEVERAGE, "gross notional", "notional", notional, equity * limits.max_leverage),
        Cap(Code.RISK_CASH, "margin", "margin", margin, equity * (1 - limits.cash_reserve)),
    )
