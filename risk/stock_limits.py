"""The limits of a surface that trades shares: the same keys, with defaults that suit a small cash account."""

from dataclasses import dataclass
from decimal import Decimal

from domain.vocabulary import Side
from risk.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLimits(Limits):
    """Limits of a surface that buys shares for an amount of dollars each and protects them with a trailing stop.

    A position costs ``market_budget`` at most, so that the risk to its stop rarely sets the size; it is a second bound.
    """

    risk_fraction: Decimal = Decimal("0.02")
    max_positions: int = 20
    one_per_market: bool = True
    max_market_notional: Decimal = Decimal(2000)
    max_group_notional: Decimal = Decimal(2000)
    max_notional: Decimal | None = Decimal(20000)
    market_budget: Decimal | None = Decimal(1000)
    max_concentration: Decimal = Decimal("0.05")
    daily_loss: Decimal = Decimal(500)
    max_leverage: Decimal = Decimal(1)
    cash_reserve: Decimal = Decimal("0.1")
    dedup_window_s: int = 60
    cooldown_s: int = 1200
    max_quote_age_s: Decimal = Decimal(30)
    max_spread_bp: Decimal = Decimal(30)
    max_slippage_bp: Decimal = Decimal(50)
    min_edge_bp: Decimal = Decimal(5)
    min_confidence: Decimal = Decimal("0.3")
    sides: tuple[Side, ...] = (Side.BUY,)
