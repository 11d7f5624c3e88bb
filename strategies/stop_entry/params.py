"""Parameters of the stop-entry strategy.

This module is the single authority for the ``STRATEGY_`` keys of the stocks surface; ``docs/strategies.md`` lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from domain.vocabulary import TimeInForce
from strategies.stop_entry.overrides import Override, parse_overrides
from strategies.track_record import Fees

_HUNDRED = Decimal(100)
_DAY_S = 86_400
_POSITIVE = ("stuck_s", "retry_s", "rearm_s", "settle_s", "max_stop_refusals", "commission_max_pct")
_NOT_NEGATIVE = (
    "stop_limit_slip_pct",
    "reprice_pct",
    "reprice_min_s",
    "cancel_before_close_min",
    "cooldown_min",
    "prior_weight",
    "commission_share",
    "commission_min",
)


class _Derived:
    """What is read out of the settings once; no fields, so a changed copy made with ``replace`` reads it anew."""

    __slots__ = ("by_symbol",)
    by_symbol: Mapping[str, Override]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopEntryParams(_Derived):
    """How the stop-entry strategy buys and protects; names ending in ``_pct`` are percentages (5 is five percent).

    Attributes:
        entry_pct: how far above the last trade the buy stop waits.
        stop_limit: the entry is a stop limit order; see ``stop_limit_slip_pct``.
        stop_limit_slip_pct: how far above its trigger a stop limit entry may fill.
        entry_tif: how long an entry rests: ``day`` ends with its session, ``gtc`` is ended by us before the close.
        trail_pct: distance of the trailing stop below the best price.
        trailing_limit: the protective order is a trailing limit, which may remain unfilled; see ``stuck_s``.
        trail_limit_offset_pct: how far below its stop a trailing limit still sells, in percent of the price.
        overrides: symbols that differ: ``TSLA:entry=4,trail=8,usd=1500; NVDA:usd=1200``.
        cancel_before_close_min: minutes before the close at which an unfilled entry is taken back and none is armed.
        rearm_next_session: an entry that did not fill is armed again in the next session.
        allow_pre_market: entries are armed, and may fill, before the opening.
        allow_after_hours: entries are armed, and may fill, after the close.
        reprice_pct: how far above where it would be placed now a waiting trigger may be before it is moved down.
        reprice_min_s: seconds for which an entry rests before it may be moved.
        rearm_s: seconds of rest after an entry was refused by the broker or by a gate.
        cooldown_min: minutes without an entry after a stop-out.
        stuck_s: seconds after which a triggered stop limit that did not fill is given up: a protective one is replaced
            by an exit at market, an entry is taken back.
        retry_s: seconds after which a cancel or a stop without an answer, or refused, is tried again.
        max_stop_refusals: refused protective orders in a row after which the position is closed at market.
        settle_s: seconds after an execution during which the position the broker reports may lag behind it.
        period_s: length in seconds of the bars whose record the estimate is made of.
        history_bars: bars to load before trading.
        atr: window of the average true range, in bars.
        prior_edge_bp: what a trade is believed to earn before costs where nothing was seen, in basis points.
        prior_weight: how many trades that belief counts as.
        commission_share: commission for each share, in US dollars.
        commission_min: least commission of an order, in US dollars.
        commission_max_pct: most commission of an order, in percent of its value.
    """

    entry_pct: Decimal = Decimal(5)
    stop_limit: bool = False
    stop_limit_slip_pct: Decimal = Decimal(1)
    entry_tif: TimeInForce = TimeInForce.DAY
    trail_pct: Decimal = Decimal(10)
    trailing_limit: bool = False
    trail_limit_offset_pct: Decimal = Decimal("0.2")
    overrides: str = ""
    cancel_before_close_min: Decimal = Decimal(15)
    rearm_next_session: bool = True
    allow_pre_market: bool = False
    allow_after_hours: bool = False
    reprice_pct: Decimal = Decimal(1)
    reprice_min_s: int = 300
    rearm_s: int = 60
    cooldown_min: Decimal = Decimal(20)
    stuck_s: int = 10
    retry_s: int = 5
    max_stop_refusals: int = 3
    settle_s: int = 120
    period_s: int = 1800
    history_bars: int = 3250
    atr: int = 14
    prior_edge_bp: Decimal = Decimal(0)
    prior_weight: Decimal = Decimal(10)
    commission_share: Decimal = Decimal("0.005")
    commission_min: Decimal = Decimal(1)
    commission_max_pct: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            _require(getattr(self, name) > 0, name, "be above 0", getattr(self, name))
        for name in _NOT_NEGATIVE:
            _require(getattr(self, name) >= 0, name, "not be negative", getattr(self, name))
        _require(self.trail_limit_offset_pct > 0, "trail_limit_offset_pct", "be above 0", self.trail_limit_offset_pct)
        _require(0 < self.period_s <= _DAY_S, "period_s", f"lie in 1 to {_DAY_S} s", self.period_s)
        _require(
            self.history_bars > self.atr >= 2, "history_bars", "be above atr, and atr at least 2", self.history_bars
        )
        object.__setattr__(self, "by_symbol", parse_overrides(self.overrides))
        self._check_percentages()

    def _check_percentages(self) -> None:
        for symbol in ("", *self.by_symbol):
            of = f" or the overrides of {symbol}" if symbol else ""
            for name, found in (("entry_pct", self.entry_of(symbol)), ("trail_pct", self.trail_of(symbol))):
                _require(0 < found < _HUNDRED, name + of, "lie between 0 and 100", found)

    def entry_of(self, symbol: str) -> Decimal:
        """Return how many percent above the last trade the entry of ``symbol`` waits."""
        found = self.by_symbol.get(symbol)
        return self.entry_pct if found is None or found.entry is None else found.entry

    def trail_of(self, symbol: str) -> Decimal:
        """Return the distance of the trailing stop of ``symbol`` in percent of its best price."""
        found = self.by_symbol.get(symbol)
        return self.trail_pct if found is None or found.trail is None else found.trail

    @property
    def fees(self) -> Fees:
        return Fees(share=self.commission_share, least=self.commission_min, most_pct=self.commission_max_pct)

    @property
    def market_budgets(self) -> tuple[str, ...]:
        """Return the dollars that single symbols were given, as ``SYMBOL:amount``."""
        return tuple(f"{symbol}:{found.usd}" for symbol, found in self.by_symbol.items() if found.usd is not None)

    @property
    def warmup_bars(self) -> int:
        """Return how many bars to load before trading."""
        return self.history_bars


def _require(fits: bool, name: str, rule: str, found: object) -> None:
    if not fits:
        raise ValueError(f"{name} must {rule}, found {found}")
