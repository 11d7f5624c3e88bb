"""Settings that a surface and its resolver read from the same env file, and what real money needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from domain.errors import Misconfigured
from domain.vocabulary import DeadMan, Mode, Surface

# surface -> what the keys of its env file begin with
PREFIXES: Mapping[Surface, tuple[str, ...]] = {
    Surface.FX: ("TBOT_", "FX_", "RISK_", "STRATEGY_", "OANDA_"),
    Surface.ST: ("TBOT_", "ST_", "RISK_", "KALSHI_", "NWS_", "COINBASE_"),
    Surface.LT: ("TBOT_", "LT_", "RISK_", "KALSHI_", "MODELS_"),
    Surface.STK: ("TBOT_", "STK_", "RISK_", "STRATEGY_", "CROSS_", "IBKR_"),
}
MAJORS = ("EUR_USD", "GBP_USD", "USD_JPY", "USD_CHF", "AUD_USD", "USD_CAD", "NZD_USD", "EUR_GBP")


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceSettings:
    """How one surface runs; ``FX_`` is the prefix of the FX surface.

    Times ending in ``_s`` are seconds on the process's clock. ``max_slip_bp`` bounds the fill of an entry against the
    quote it was decided on, in basis points of that price, or of the payout of an event contract;
    ``max_holding_hours`` ends a position that is still open, empty never; ``storm_pause_s`` is how long a sub-strategy
    rests after too many stop-outs; ``record_days`` is how many days of recorded quotes and bars are kept, empty all;
    ``dead_man`` is what subscribers are advised to do when the feed falls silent.
    ``live`` and ``live_account`` are two of the three keys that real money needs; the third is the file
    ``state/<surface>.armed``.
    """

    mode: Mode = Mode.DRY_RUN
    markets: tuple[str, ...] = MAJORS
    loop_s: float = 1.0
    signal_ttl_s: int = 600
    max_slip_bp: Decimal = Decimal("3")
    max_holding_hours: Decimal | None = Decimal("24")
    reconcile_s: float = 300.0
    unknown_query_s: float = 5.0
    flatten_on_breaker: bool = False
    storm_pause_s: int = 3600
    dead_man: DeadMan = DeadMan.HOLD
    record_quotes: bool = True
    record_days: int | None = None
    live: bool = False
    live_account: str | None = None

    def __post_init__(self) -> None:
        if not self.names_markets():
            raise ValueError("markets must name at least one market, found none")
        held = 1 if self.max_holding_hours is None else self.max_holding_hours
        if self.loop_s <= 0 or self.signal_ttl_s <= 0 or held <= 0 or self.reconcile_s <= 0:
            raise ValueError("loop_s, signal_ttl_s, max_holding_hours and reconcile_s must be above zero")
        if self.record_days is not None and self.record_days < 1:
            raise ValueError(f"record_days must be at least 1, or empty, found {self.record_days}")

    def names_markets(self) -> bool:
        return bool(self.markets)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderHost:
    """The host an account's orders go to.

    ``key`` is the setting that chooses between the broker's hosts, ``practice`` and ``live`` are its two values.
    """

    account_id: str
    chosen: str
    key: str
    practice: str
    live: str

    @property
    def is_live(self) -> bool:
        return self.chosen == self.live


def require_armed(settings: SurfaceSettings, surface: Surface, host: OrderHost, *, arm_text: str | None) -> None:
    """Raise Misconfigured unless mode and broker fit together and, for real money, all three keys agree.

    Args:
        arm_text: contents of the arm file, None when there is none.
    """
    prefix, account_id = f"{surface.upper()}_", host.account_id
    if settings.mode is Mode.PAPER and host.is_live:
        raise Misconfigured(
            f"a practice host with {prefix}MODE=paper",
            "the live host",
            f"set {host.key}={host.practice}, or {prefix}MODE=live",
        )
    if settings.mode is not Mode.LIVE:
        return
    if not host.is_live:
        raise Misconfigured(
            f"the live host with {prefix}MODE=live",
            "a practice host",
            f"set {host.key}={host.live}, or {prefix}MODE=paper",
        )
    problems: Mapping[str, bool] = {
        f"{prefix}LIVE=true": settings.live,
        f"{prefix}LIVE_ACCOUNT={account_id}": settings.live_account == account_id,
        f"state/{surface}.armed holding {account_id}": arm_text is not None and arm_text.strip() == account_id,
    }
    missing = [name for name, given in problems.items() if not given]
    if missing:
        raise Misconfigured("three keys for live trading", f"missing {'; '.join(missing)}", "set them, or use paper")
