"""Settings of the surfaces that trade event contracts, read by each of them and by its resolver."""

from dataclasses import dataclass
from decimal import Decimal

from domain.surface_settings import SurfaceSettings

EVERY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSettings(SurfaceSettings):
    """How an event surface runs; ``markets`` names series of contracts, ``*`` stands for every series.

    Attributes:
        categories: the venue's categories that are looked at; empty for all.
        list_s: seconds between two readings of what is listed.
        ask_s: seconds until a market's estimate is renewed.
        asks_at_once: estimates worked out side by side.
        horizon_hours: how far away a contract's close may lie.
        min_price, max_price: a YES price outside is left alone: there the fee and the last cent are all there is.
        void_in_terms: trade a contract whose own text is silent about what happens when there is nothing to settle by;
            the venue's contract terms decide then, which a person should have read.
        market_weight: weight of the market's price in the blend, 0 to 1, until enough outcomes were seen to fit it.
    """

    markets: tuple[str, ...] = (EVERY,)
    categories: tuple[str, ...] = ()
    max_slip_bp: Decimal = Decimal(100)
    max_holding_hours: Decimal | None = None
    list_s: float = 300.0
    ask_s: float = 600.0
    asks_at_once: int = 2
    horizon_hours: Decimal = Decimal(48)
    min_price: Decimal = Decimal("0.03")
    max_price: Decimal = Decimal("0.97")
    void_in_terms: bool = False
    market_weight: Decimal | None = None

    def __post_init__(self) -> None:
        SurfaceSettings.__post_init__(self)
        if self.list_s <= 0 or self.ask_s <= 0 or self.horizon_hours <= 0 or self.asks_at_once < 1:
            raise ValueError("list_s, ask_s, horizon_hours and asks_at_once must be above zero")
        if not 0 <= self.min_price < self.max_price <= 1:
            raise ValueError(f"min_price and max_price must lie in 0 to 1, found {self.min_price} and {self.max_price}")
        if self.market_weight is not None and not 0 <= self.market_weight <= 1:
            raise ValueError(f"market_weight must lie in 0 to 1, found {self.market_weight}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StSettings(EventSettings):
    """Short-term contracts: decided within hours by a thermometer, a price or a score.

    ``odds_file`` holds bookmakers' odds for games; without one no game is traded.
    """

    markets: tuple[str, ...] = ("KXHIGHNY", "KXBTCD")
    odds_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LtSettings(EventSettings):
    """Long-term questions: politics, economics, science; decided by an announcement."""

    categories: tuple[str, ...] = (
        "Politics", "Elections", "World", "Economics", "Financials", "Companies", "Science and Technology",
    )  # fmt: skip
    loop_s: float = 5.0
    ask_s: float = 21_600.0
    list_s: float = 3_600.0
    horizon_hours: Decimal = Decimal(2160)
