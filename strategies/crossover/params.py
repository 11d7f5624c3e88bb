"""Parameters of the crossover strategy.

This module is the single authority for the ``CROSS_`` keys; ``docs/strategies.md`` lists them.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from strategies.track_record import Fees

_DAY_S = 86_400
# After four times its length an exponential average has forgotten all but 0.03 % of where it was seeded.
_WARMUP_FACTOR = 4


class Average(StrEnum):
    """Which moving average is taken: the simple or the exponential one."""

    SMA = "sma"
    EMA = "ema"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossParams:
    """How the crossover strategy reads the market; windows are in bars, names ending in ``_atr`` multiples of the ATR.

    Attributes:
        period_s: length of a bar in seconds.
        average: ``sma`` or ``ema``.
        fast: window of the fast average.
        slow: window of the slow average.
        atr: window of the average true range.
        min_gap_atr: how far the averages must be apart for a crossing to count; 0 counts each.
        stop_atr: distance from entry to stop.
        target_risks: distance from entry to target as a multiple of that to the stop; empty for no target.
        trailing_atr: distance of the trailing stop; empty for none.
        history_bars: bars to load before trading; the estimate is made of the trades in them.
        prior_edge_bp: what a trade is believed to earn before costs where nothing was seen, in basis points.
        prior_weight: how many trades that belief counts as.
        commission_share: commission for each share, in US dollars.
        commission_min: least commission of an order, in US dollars.
        commission_max_pct: most commission of an order, in percent of its value.
    """

    period_s: int = 900
    average: Average = Average.SMA
    fast: int = 10
    slow: int = 30
    atr: int = 14
    min_gap_atr: float = 0.0
    stop_atr: float = 2.0
    target_risks: float | None = 2.0
    trailing_atr: float | None = None
    history_bars: int = 2000
    prior_edge_bp: Decimal = Decimal(0)
    prior_weight: Decimal = Decimal(10)
    commission_share: Decimal = Decimal("0.005")
    commission_min: Decimal = Decimal(1)
    commission_max_pct: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        _require(0 < self.period_s <= _DAY_S, "period_s", f"lie in 1 to {_DAY_S} s", self.period_s)
        _require(self.fast >= 1, "fast", "be at least 1 bar", self.fast)
        _require(self.fast < self.slow, "fast", f"be below slow ({self.slow})", self.fast)
        _require(self.atr >= 2, "atr", "be at least 2 bars", self.atr)
        _require(self.stop_atr > 0, "stop_atr", "be above 0", self.stop_atr)
        for name in ("target_risks", "trailing_atr"):
            found = getattr(self, name)
            _require(found is None or found > 0, name, "be above 0 or empty", found)
        for name in ("min_gap_atr", "prior_weight", "commission_share", "commission_min"):
            _require(getattr(self, name) >= 0, name, "not be negative", getattr(self, name))
        _require(self.commission_max_pct > 0, "commission_max_pct", "be above 0", self.commission_max_pct)
        _require(
            self.history_bars >= self.required_bars,
            "history_bars",
            f"be at least {self.required_bars}, which the windows need",
            self.history_bars,
        )

    @property
    def required_bars(self) -> int:
        """Return how many bars make the averages independent of where they began."""
        longest = self.slow if self.average is Average.SMA else self.slow * _WARMUP_FACTOR
        return max(longest, self.atr * _WARMUP_FACTOR) + 1

    @property
    def warmup_bars(self) -> int:
        """Return how many bars to load before trading."""
        return self.history_bars

    @property
    def fees(self) -> Fees:
        return Fees(share=self.commission_share, least=self.commission_min, most_pct=self.commission_max_pct)


def _require(fits: bool, name: str, rule: str, found: object) -> None:
    if not fits:
        raise ValueError(f"{name} must {rule}, found {found}")
