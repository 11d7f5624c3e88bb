"""The limits of a surface that trades event contracts: the same keys, with defaults that suit one dollar contracts."""

from dataclasses import dataclass
from decimal import Decimal

from risk.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLimits(Limits):
    """Limits whose basis points are of a payout of 1 USD: one cent is 100.

    A contract is paid for in full, so risk, notional and margin of a position are all what it cost.
    """

    risk_fraction: Decimal = Decimal("0.01")
    max_positions: int = 20
    one_per_market: bool = True
    max_market_notional: Decimal = Decimal(100)
    max_group_notional: Decimal = Decimal(200)
    max_concentration: Decimal = Decimal("0.1")
    daily_loss: Decimal = Decimal(100)
    max_leverage: Decimal = Decimal(1)
    cash_reserve: Decimal = Decimal("0.2")
    dedup_window_s: int = 3600
    max_quote_age_s: Decimal = Decimal(30)
    max_spread_bp: Decimal = Decimal(500)
    max_slippage_bp: Decimal = Decimal(100)
    min_edge_bp: Decimal = Decimal(200)
    disagreement_premium: Decimal = Decimal(200)
    min_confidence: Decimal = Decimal("0.3")
    max_disagreement: Decimal = Decimal("1.3")


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelLimits(EventLimits):
    """Limits of a surface that asks a panel: one opinion is no panel."""

    min_quorum: int = 2
