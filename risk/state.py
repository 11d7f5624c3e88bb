"""The snapshot of a surface on which one decision is taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, get_args

from domain.clock import require_utc
from domain.quotes import Instrument, Quote
from domain.vocabulary import Side, State

_ZERO = Decimal(0)
Status = Literal["open", "pending", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What one position, or one order on its way, puts at stake, in home currency and always without a sign.

    ``risk`` is the loss at its stop. An order whose outcome nobody knows counts in full.
    """

    market: str
    group: str
    side: Side
    thesis: str
    notional: Decimal
    risk: Decimal
    margin: Decimal
    status: Status

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise ValueError(f"status must be one of {', '.join(get_args(Status))}, found {self.status!r}")
        # A short carried with a negative notional would make room in every cap instead of taking it.
        for name, value in (("notional", self.notional), ("risk", self.risk), ("margin", self.margin)):
            if not value.is_finite() or value < 0:
                raise ValueError(f"{name} of the exposure in {self.market} must be at least 0, found {value}")


class _Totals:
    """What all exposures add up to, summed once because sizing and the risk gate both ask.

    They are no fields: a changed copy is made with ``replace``, which sums anew; ``copy`` would leave them out.
    """

    __slots__ = ("all_margin", "all_notional", "all_risk")
    all_margin: Decimal
    all_notional: Decimal
    all_risk: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskState(_Totals):
    """Everything the gates look at besides the candidate, its estimate and the limits.

    Attributes:
        now: moment of the decision.
        state: operating state of the surface.
        stop_files: names of the STOP files found; a place that cannot be read is named as well.
        equity: bankroll plus realised plus marked profit, home currency.
        day_start_equity: equity when the trading day began, home currency.
        breaker_tripped: the daily-loss breaker has tripped in this trading day.
        exposures: positions and orders that may still become one.
        cooldowns: market -> moment until which it rests after a stop-out.
        recent: market, side and thesis -> moment when last admitted.
        suspended: category, strategy or sub-strategy -> reason.
        market_open: the session calendar says that the market is open.
        quote: latest quote of the candidate's market at ``now``.
        instrument: the candidate's market and its precision.
        spent_day_usd: spent on paid estimates this day.
        spent_month_usd: spent on paid estimates this month.
        fleet_day_usd: spent this day by all surfaces of the house together.
        fleet_month_usd: spent this month by all surfaces together.
        next_usd: what the estimate asked for next may cost at most; zero once it was made, or is free.
        day_trades: day trades already made or reserved in the rule's window.
        day_trade_limit: how many the account's own rule allows in its window; None is no such rule.
        unsettled: money of the account that may not be spent before it has settled, home currency.
    """

    now: datetime
    state: State
    stop_files: tuple[str, ...]
    equity: Decimal
    day_start_equity: Decimal
    breaker_tripped: bool
    exposures: tuple[Exposure, ...]
    cooldowns: Mapping[str, datetime]
    recent: Mapping[tuple[str, Side, str], datetime]
    suspended: Mapping[str, str]
    market_open: bool
    quote: Quote | None
    instrument: Instrument | None
    spent_day_usd: Decimal
    spent_month_usd: Decimal
    day_trades: int = 0
    day_trade_limit: int | None = None
    unsettled: Decimal = _ZERO
    fleet_day_usd: Decimal = _ZERO
    fleet_month_usd: Decimal = _ZERO
    next_usd: Decimal = _ZERO

    def __post_init__(self) -> None:
        require_utc(self.now, "RiskState.now")
        notional = risk = margin = _ZERO
        for exposure in self.exposures:
            notional += exposure.notional
            risk += exposure.risk
            margin += exposure.margin
        object.__setattr__(self, "all_notional", notional)
        object.__setattr__(self, "all_risk", risk)
        object.__setattr__(self, "all_margin", margin)

    @property
    def day_pnl(self) -> Decimal:
        """Return realised plus marked profit since the trading day began."""
        return self.equity - self.day_start_equity

    def quote_of(self, market: str) -> Quote | None:
        """Return the latest quote, or None when there is none or it belongs to another market."""
        return self.quote if self.quote is not None and self.quote.market == market else None
