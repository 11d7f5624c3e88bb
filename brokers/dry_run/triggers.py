"""What a closed bar does to one trade's stop, target and trailing stop, with every doubt held against the trade."""

from dataclasses import dataclass
from decimal import Decimal

from brokers.port import BrokerTrade
from domain.quotes import Bar, Ohlc
from domain.vocabulary import ExitReason, Side


@dataclass(frozen=True, slots=True)
class Exit:
    reason: ExitReason
    price: Decimal


@dataclass(frozen=True, slots=True)
class _Stop:
    level: Decimal
    reason: ExitReason


def exit_on(trade: BrokerTrade, trail: Decimal | None, bar: Bar) -> Exit | None:
    """Return how ``bar`` ends the trade, or None.

    A bar that opens beyond a level fills at its open. When both levels lie inside one bar the stop comes first. A bar
    that had begun before the trade opened shows prices of before it: its open is no gap, and its best price no target.

    Args:
        trail: level of the trailing stop before this bar.
    """
    side = _exit_prices(trade, bar)
    stop, target, sign = _stop(trade, trail), trade.take_profit, trade.side.sign
    whole = bar.start >= trade.opened_at
    if stop is not None and whole and (side.open - stop.level) * sign <= 0:
        return Exit(stop.reason, side.open)
    if target is not None and whole and (side.open - target) * sign >= 0:
        return Exit(ExitReason.TAKE_PROFIT, side.open)
    if stop is not None and (_worst(trade, side) - stop.level) * sign <= 0:
        return Exit(stop.reason, stop.level)
    if target is not None and ((_best(trade, side) if whole else side.close) - target) * sign >= 0:
        return Exit(ExitReason.TAKE_PROFIT, target)
    return _trailed_in(trade, trail, side, whole=whole)


def trail_after(trade: BrokerTrade, trail: Decimal | None, bar: Bar) -> Decimal | None:
    """Return the trailing stop's level after ``bar``: it follows the best price and never retreats."""
    if trade.trailing_distance is None:
        return None
    side, sign = _exit_prices(trade, bar), trade.side.sign
    best = _best(trade, side) if bar.start >= trade.opened_at else side.close
    level = best - trade.trailing_distance * sign
    return level if trail is None or (level - trail) * sign > 0 else trail


def first_trail(trade: BrokerTrade) -> Decimal | None:
    if trade.trailing_distance is None:
        return None
    return trade.price - trade.trailing_distance * trade.side.sign


def _trailed_in(trade: BrokerTrade, trail: Decimal | None, side: Ohlc, *, whole: bool) -> Exit | None:
    """Fill a trailing stop that this bar's best price raised and its close, which surely came later, fell through."""
    if trade.trailing_distance is None or trail is None or not whole:
        return None
    sign = trade.side.sign
    level = _best(trade, side) - trade.trailing_distance * sign
    if (level - trail) * sign > 0 and (side.close - level) * sign <= 0:
        return Exit(ExitReason.TRAILING_STOP, level)
    return None


def _stop(trade: BrokerTrade, trail: Decimal | None) -> _Stop | None:
    """Return the nearer of stop and trailing stop."""
    fixed, sign = trade.stop_loss, trade.side.sign
    if trail is not None and (fixed is None or (trail - fixed) * sign > 0):
        return _Stop(trail, ExitReason.TRAILING_STOP)
    return None if fixed is None else _Stop(fixed, ExitReason.STOP_LOSS)


def _exit_prices(trade: BrokerTrade, bar: Bar) -> Ohlc:
    return bar.bid if trade.side is Side.BUY else bar.ask


def _worst(trade: BrokerTrade, side: Ohlc) -> Decimal:
    return side.low if trade.side is Side.BUY else side.high


def _best(trade: BrokerTrade, side: Ohlc) -> Decimal:
    return side.high if trade.side is Side.BUY else side.low
