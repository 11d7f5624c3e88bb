"""The limits of one surface.

This module is the single authority for the ``RISK_`` keys; ``docs/gates.md`` lists them with their defaults, which
suit a small foreign-exchange account.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation

from domain.vocabulary import Side

_POSITIVE = ("bankroll", "risk_fraction", "daily_loss", "max_leverage", "max_concentration", "max_quote_age_s")
_PER_UNIT = ("max_concentration", "cash_reserve", "min_confidence")
# Half a percent is 0.005; a fraction above a tenth is far likelier to be a percentage typed by mistake.
_MOST_RISK = Decimal("0.1")


class _Derived:
    """Numbers that follow from the limits, worked out once instead of for every candidate.

    They are no fields: a changed copy is made with ``replace``, which works them out anew; ``copy`` leaves them out.
    """

    __slots__ = ("budgets", "dedup_window", "positions", "quorum", "usable")
    budgets: Mapping[str, Decimal]
    dedup_window: Decimal
    positions: Decimal
    quorum: Decimal
    usable: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(_Derived):
    """What a surface may do; amounts are in home currency, which is ``currency``, unless the name ends in ``_usd``.

    Attributes:
        bankroll: money this surface may lose, and the base of its equity.
        currency: home currency, three capitals.
        risk_fraction: fraction of equity lost when one position is stopped out.
        max_positions: positions at once, counting pending and unknown ones.
        one_per_market: a market holds one position at a time, whatever its side; the venue would net two.
        max_market_notional: gross notional in one market.
        max_group_notional: gross notional in one group (event or underlying).
        max_notional: gross notional of all positions together; None is no such cap.
        market_budget: what one position may cost, whatever the risk to its stop; None leaves the size to the risk.
        market_budgets: ``MARKET:amount`` entries that take the place of ``market_budget`` for their market.
        max_concentration: fraction of equity at risk, to the stops, in one group.
        daily_loss: loss of one trading day, realised and marked, at which trading ends for that day.
        max_leverage: gross notional as a multiple of equity.
        cash_reserve: fraction of equity kept free of margin.
        max_day_trades: day trades in the rule's own window, counting the one this entry would make; None is no rule.
        dedup_window_s: seconds before the same market, side and thesis may be admitted again.
        cooldown_s: seconds a market rests after a stop-out.
        storm_stop_outs: stop-outs of one sub-strategy within ``storm_window_s`` seconds that suspend it.
        storm_window_s: seconds over which those stop-outs are counted.
        max_quote_age_s: seconds since the venue made the quote, and since it reached us.
        max_spread_bp: spread in basis points of the mid price; of an event contract, of its payout (1 cent is 100).
        max_slippage_bp: adverse move since the decision price, in basis points of that price, or of the payout.
        min_edge_bp: edge net of spread and fees, in basis points of the decision price, or of the payout.
        disagreement_premium: basis points of edge asked on top per unit of disagreement.
        min_confidence: confidence, 0 to 1.
        min_quorum: models that must have voted with a weight above zero.
        max_disagreement: spread between models: standard deviation of their log-odds.
        cost_day_usd: paid estimates of one day (UTC).
        cost_month_usd: paid estimates of one month (UTC).
        fleet_cost_day_usd: paid estimates of one day by all surfaces of the house together.
        fleet_cost_month_usd: paid estimates of one month by all surfaces together.
        sides: sides that may be opened.
        blocked: markets, or ``market:side``, that may not be opened.
        suspended: categories, strategies and sub-strategies suspended by hand.
    """

    bankroll: Decimal
    currency: str = "USD"
    risk_fraction: Decimal = Decimal("0.005")
    max_positions: int = 4
    one_per_market: bool = False
    max_market_notional: Decimal = Decimal(25000)
    max_group_notional: Decimal = Decimal(40000)
    max_notional: Decimal | None = None
    market_budget: Decimal | None = None
    market_budgets: tuple[str, ...] = ()
    max_concentration: Decimal = Decimal("0.01")
    daily_loss: Decimal = Decimal(150)
    max_leverage: Decimal = Decimal(5)
    cash_reserve: Decimal = Decimal("0.5")
    max_day_trades: int | None = None
    dedup_window_s: int = 900
    cooldown_s: int = 1800
    storm_stop_outs: int = 3
    storm_window_s: int = 14400
    max_quote_age_s: Decimal = Decimal(10)
    max_spread_bp: Decimal = Decimal(3)
    max_slippage_bp: Decimal = Decimal(2)
    min_edge_bp: Decimal = Decimal(2)
    disagreement_premium: Decimal = Decimal(20)
    min_confidence: Decimal = Decimal("0.55")
    min_quorum: int = 0
    max_disagreement: Decimal = Decimal("0.25")
    cost_day_usd: Decimal = Decimal(1)
    cost_month_usd: Decimal = Decimal(20)
    fleet_cost_day_usd: Decimal = Decimal(2)
    fleet_cost_month_usd: Decimal = Decimal(40)
    sides: tuple[Side, ...] = (Side.BUY, Side.SELL)
    blocked: tuple[str, ...] = ()
    suspended: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require_numbers(self)
        _require_fractions(self)
        if self.daily_loss > self.bankroll:
            raise ValueError(f"daily_loss must not exceed the bankroll of {self.bankroll}, found {self.daily_loss}")
        if self.storm_stop_outs < 1:
            raise ValueError(f"storm_stop_outs must be at least 1, found {self.storm_stop_outs}")
        if len(self.currency) != 3 or not self.currency.isupper():
            raise ValueError(f"currency must be three capitals, found {self.currency!r}")
        _require_entries(self.blocked)
        _derive(self)

    def budget(self, market: str) -> Decimal | None:
        """Return what one position in ``market`` may cost, None when only the risk to its stop sets the size."""
        return self.budgets.get(market, self.market_budget) if self.budgets else self.market_budget


def _derive(limits: Limits) -> None:
    derived: dict[str, object] = {
        "budgets": dict(map(_budget, limits.market_budgets)),
        "dedup_window": Decimal(limits.dedup_window_s),
        "positions": Decimal(limits.max_positions),
        "quorum": Decimal(limits.min_quorum),
        "usable": 1 - limits.cash_reserve,
    }
    for name, number in derived.items():
        object.__setattr__(limits, name, number)


def _require_numbers(limits: Limits) -> None:
    for field in fields(limits):
        value = getattr(limits, field.name)
        if not isinstance(value, Decimal | int):
            continue
        if not Decimal(value).is_finite() or value < 0:
            raise ValueError(f"{field.name} must be a finite number of at least 0, found {value}")
        if field.name in _POSITIVE and value == 0:
            raise ValueError(f"{field.name} must be above 0, found {value}")


def _require_fractions(limits: Limits) -> None:
    for name in _PER_UNIT:
        if getattr(limits, name) > 1:
            raise ValueError(f"{name} is a fraction and must not exceed 1, found {getattr(limits, name)}")
    if limits.risk_fraction > _MOST_RISK:
        found = limits.risk_fraction
        raise ValueError(f"risk_fraction must not exceed {_MOST_RISK} (half a percent is 0.005), found {found}")


def _require_entries(blocked: Iterable[str]) -> None:
    """Refuse a misspelt side: an entry that can never match would block nothing, silently."""
    for entry in blocked:
        market, colon, side = entry.partition(":")
        if not market or (colon and side not in tuple(Side)):
            raise ValueError(f"blocked entries are 'MARKET' or 'MARKET:buy' or 'MARKET:sell', found {entry!r}")


def _budget(entry: str) -> tuple[str, Decimal]:
    """Read ``MARKET:amount``."""
    market, _, amount = entry.rpartition(":")
    try:
        number = Decimal(amount)
    except InvalidOperation:
        number = Decimal("NaN")
    if not market or not number.is_finite() or number <= 0:
        raise ValueError(f"market_budgets entries are 'MARKET:amount' with an amount above 0, found {entry!r}")
    return market, number
