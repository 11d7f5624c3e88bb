"""Settings of the stock surface, beside those that all surfaces share."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from domain.surface_settings import SurfaceSettings


class StockStrategy(StrEnum):
    STOP_ENTRY = "stop_entry"
    CROSSOVER = "crossover"


class DayTradeRule(StrEnum):
    """Which day-trade rule gate 6 counts by; ``AUTO`` takes the one in force on the day."""

    AUTO = "auto"
    LEGACY_PDT = "legacy_pdt"
    INTRADAY_MARGIN = "intraday_margin"
    CASH_T1 = "cash_t1"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class StockSettings(SurfaceSettings):
    """How the stock surface runs.

    ``markets`` are the symbols watched, and those in ``watchlist_file`` too, one a line, read when the process starts;
    with a file and no ``markets`` given, those of the file alone.
    ``strategies`` says which rules look at them; ``calendar`` is that of their exchange. ``keep_s`` is how often
    resting orders and stops are compared with what is held. ``flat_before_close_min`` ends every position that many
    minutes before the session does, empty never. ``day_trade_rule`` is the rule gate 6 counts by.
    """

    markets: tuple[str, ...] = ("TSLA", "NVDA", "SMCI", "META")
    watchlist_file: Path | None = None
    strategies: tuple[StockStrategy, ...] = (StockStrategy.STOP_ENTRY,)
    calendar: str = "XNYS"
    max_holding_hours: Decimal | None = None
    max_slip_bp: Decimal = Decimal(30)
    keep_s: float = 1.0
    flat_before_close_min: int | None = None
    day_trade_rule: DayTradeRule = DayTradeRule.AUTO

    def __post_init__(self) -> None:
        # Not super(): a slotted dataclass is a new class, which the implicit one would not find.
        SurfaceSettings.__post_init__(self)
        if not self.strategies:
            raise ValueError("strategies must name at least one of: " + ", ".join(StockStrategy))
        if self.keep_s <= 0:
            raise ValueError(f"keep_s must be above 0, found {self.keep_s}")
        if self.flat_before_close_min is not None and self.flat_before_close_min < 1:
            raise ValueError(f"flat_before_close_min must be at least 1, or empty, found {self.flat_before_close_min}")

    def names_markets(self) -> bool:
        return bool(self.markets) or self.watchlist_file is not None
