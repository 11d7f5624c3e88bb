"""Whether a signal is entered: every reason to skip, in the order in which they are asked.

Pure: no clock, no file, no socket. The reasons are words of the reports the feed receives.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tbot_client.brokers.port import Account, Instrument, Quote
from tbot_client.config import Config, Limits
from tbot_client.size import units
from tbot_client.trade import Trade

BP = Decimal(10_000)
# Where the settings name none: of the price, and of an event contract's payout, where a cent is 100.
DRIFT_BP, CONTRACT_DRIFT_BP = Decimal(10), Decimal(200)
# The highest trading fee known of an event contract is this part of price x what it lacks to the payout.
FEE_RATE = Decimal("0.07")
CENT = Decimal("0.01")
# An order of shares costs at least so much, and at most this part of its value.
SHARES_FEE, SHARES_FEE_RATE = Decimal(1), Decimal("0.01")
NOTHING = Decimal(0)


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
    trade: Trade, config: Config, instrument: Instrument | None, quote: Quote | None, account: Account | None
) -> tuple[str, Decimal]:
    """Return why the signal is skipped at this price, and else the units to order.

    Args:
        account: None for a rule that does not depend on it.
    """
    if instrument is None:
        return "unknown_instrument", NOTHING
    if quote is None or not quote.tradeable:
        return "market_closed", NOTHING
    price = quote.entry(trade.side)
    if abs(price - trade.reference) / _basis(trade, instrument) * BP > drift_bp(config.limits, instrument):
        return "drift", NOTHING
    if _is_passed(trade, instrument, quote):
        return "levels_passed", NOTHING
    if quote.home_rate is None and config.size.rule != "fixed":
        return "no_conversion", NOTHING
    ordered = _units(trade, config, instrument, quote, account)
    if not ordered:
        return "minimum_lot", NOTHING
    return ("balance", NOTHING) if _is_too_dear(trade, config, instrument, ordered, account) else ("", ordered)


def _basis(trade: Trade, instrument: Instrument) -> Decimal:
    return trade.reference if instrument.payout is None else instrument.payout


def drift_bp(limits: Limits, instrument: Instrument) -> Decimal:
    """Return how far the price may be from the publisher's, in basis points."""
    if limits.max_drift_bp is not None:
        return limits.max_drift_bp
    return DRIFT_BP if instrument.payout is None else CONTRACT_DRIFT_BP


def has_limit(instrument: Instrument) -> bool:
    """Tell whether an entry is an order with a limit, for which the account must have the money."""
    return instrument.takes_worst or instrument.payout is not None


def worst_price(trade: Trade, config: Config, instrument: Instrument | None) -> Decimal | None:
    """Return the last price within the drift limit, for an entry that can be told one."""
    if instrument is None or not has_limit(instrument):
        return None
    drift = drift_bp(config.limits, instrument) / BP * _basis(trade, instrument)
    return trade.reference + (drift if trade.side == "buy" else -drift)


def _is_passed(trade: Trade, instrument: Instrument, quote: Quote) -> bool:
    """Tell whether the price is beyond a level.

    Protective orders are measured at the price one would leave at. A contract has none: it may be worth entering when
    nobody bids for it, as long as there is something to win and to lose.
    """
    sign = 1 if trade.side == "buy" else -1
    if instrument.payout is None and trade.is_contract:
        return True
    price = quote.exit(trade.side) if instrument.payout is None else quote.entry(trade.side)
    return (price - trade.stop) * sign <= 0 or (trade.target is not None and (trade.target - price) * sign <= 0)


def _units(trade: Trade, config: Config, instrument: Instrument, quote: Quote, account: Account | None) -> Decimal:
    """Size an entry; what a contract costs is what it can lose, whatever its levels say."""
    cost = instrument.cost(trade.side, quote.entry(trade.side))
    stop = trade.stop if instrument.payout is None else NOTHING
    equity = NOTHING if account is None else account.equity
    return units(config.size, instrument, equity=equity, price=cost, stop=stop, rate=quote.home_rate or Decimal(1))


def _is_too_dear(
    trade: Trade, config: Config, instrument: Instrument, ordered: Decimal, account: Account | None
) -> bool:
    """Tell whether the account can't pay for an order at the worst price allowed, fee included."""
    worst = worst_price(trade, config, instrument)
    if worst is None or account is None or account.cash is None:
        return False
    if instrument.payout is None:
        value = ordered * worst
        return value + max(SHARES_FEE, SHARES_FEE_RATE * value) > account.cash
    each = min(max(instrument.cost(trade.side, worst), NOTHING), instrument.payout)
    # Price and fee together grow with the price, so that no fill within the limit costs more than this.
    fee = FEE_RATE * each * (1 - each / instrument.payout)
    return ordered * (each + fee) + CENT > account.cash
