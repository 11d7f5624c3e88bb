"""Whether a signal is entered: every reason to skip, in the order in which they are asked.

Pure: no clock, no file, no socket. The reasons are words of the reports the feed receives.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tbot_client.brokers.port import Instrument, Quote
from tbot_client.config import Config
from tbot_client.size import units
from tbot_client.trade import Trade

BP = Decimal(10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What besides the signal a decision depends on."""

    now: datetime
    is_stopped: bool
    is_distrusted: bool
    is_day_over: bool
    open_count: int


def refusal(trade: Trade, config: Config, situation: Situation) -> str:
    """Return why the signal is skipped before any price is asked for, or an empty string."""
    if trade.end_reason:
        return "closed"
    if is_expired(trade, config.limits.max_age_s, situation.now):
        return "expired"
    if unwanted := _filtered(trade, config):
        return unwanted
    if situation.is_distrusted:
        return "history"
    if situation.is_stopped:
        return "stopped"
    if situation.is_day_over:
        return "daily_loss"
    return "max_open" if situation.open_count >= config.size.max_open else ""


def is_expired(trade: Trade, max_age_s: int, now: datetime) -> bool:
    """Tell whether it is too late: the feed said so, the signal's own end passed, or it is older than we accept."""
    return trade.expired or now >= trade.expires_at or now - trade.published_at > timedelta(seconds=max_age_s)


def _filtered(trade: Trade, config: Config) -> str:
    wanted = config.filters
    for name, value, allowed in (
        ("surface", trade.surface, config.feed.surfaces),
        ("instrument", trade.market, wanted.instruments),
        ("side", trade.side, wanted.sides),
        ("sub_strategy", trade.sub_strategy, wanted.sub_strategies),
    ):
        if allowed and value not in allowed:
            return f"filter:{name}"
    if wanted.min_confidence is not None and (trade.confidence or Decimal(0)) < wanted.min_confidence:
        return "filter:confidence"
    if wanted.min_edge_bp is not None and (trade.edge_bp or Decimal(0)) < wanted.min_edge_bp:
        return "filter:edge"
    return ""


def priced(
    trade: Trade, config: Config, instrument: Instrument | None, quote: Quote | None, equity: Decimal
) -> tuple[str, Decimal]:
    """Return why the signal is skipped at this price, and else the units to order."""
    nothing = Decimal(0)
    if instrument is None:
        return "unknown_instrument", nothing
    if quote is None or not quote.tradeable:
        return "market_closed", nothing
    price = quote.entry(trade.side)
    sign = 1 if trade.side == "buy" else -1
    if abs(price - trade.reference) / trade.reference * BP > config.limits.max_drift_bp:
        return "drift", nothing
    # Both protective orders are measured at the price one would leave at.
    leaving = quote.exit(trade.side)
    if (leaving - trade.stop) * sign <= 0 or (trade.target - leaving) * sign <= 0:
        return "levels_passed", nothing
    if quote.home_rate is None and config.size.rule != "fixed":
        return "no_conversion", nothing
    rate = quote.home_rate or Decimal(1)
    ordered = units(config.size, instrument, equity=equity, price=price, stop=trade.stop, rate=rate)
    return ("", ordered) if ordered else ("minimum_lot", nothing)
