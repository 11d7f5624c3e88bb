"""The limits of a surface that trades shares: the same keys, with defaults that suit a small cash account."""

from dataclasses import dataclass
from decimal import Decimal

from domain.vocabulary import Side
from risk.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLimits(Limits):
    """Limits of a surface that buys shares for an amount of dollars each and protects them with a trailing stop.

    A position costs ``market_budget`` at most, so that the risk to its stop rarely sets the size; it is a second bound.
    Two positions in one symbol would be one to the broker, and nothing here protects shares sold short: neither can be
    allowed.
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

    def __post_init__(self) -> None:
        # Not super(): a slotted dataclass is a new class, which the implicit one would not find.
        Limits.__post_init__(self)
        if not self.one_per_market:
            raise ValueError("one_per_market must be true for stocks: the broker makes one position of two in a symbol")
        if self.sides != (Side.BUY,):
            raise ValueError(f"sides must be buy for stocks: nothing is sold short, found {', '.join(self.sides)}")
