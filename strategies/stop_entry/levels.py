"""Where an entry and its protection lie, on the tick.

A buy stop's trigger is rounded up and a sell stop's level down: away from the market, so that rounding never lets an
order go off sooner than was asked. The bound of a stop limit is rounded down, so that it never promises more.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from strategies.stop_entry.params import StopEntryParams

_ONE, _HUNDRED = Decimal(1), Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """``stop`` is where the trailing stop of a position bought at ``trigger`` begins."""

    trigger: Decimal
    limit: Decimal | None
    stop: Decimal
    trail_percent: Decimal
    trail_offset: Decimal | None


def levels(symbol: str, last: Decimal, tick: Decimal, params: StopEntryParams) -> Levels | None:
    """Place the entry and its stop from the price of the last trade; None where a price so low has no room for them."""
    percent = params.trail_of(symbol)
    trigger = up(last * (1 + params.entry_of(symbol) / _HUNDRED), tick)
    stop = down(trigger * (1 - percent / _HUNDRED), tick)
    if not 0 < stop < trigger:
        return None
    slip = trigger * params.stop_limit_slip_pct / _HUNDRED
    return Levels(
        trigger=trigger,
        limit=max(down(trigger + slip, tick), trigger) if params.stop_limit else None,
        stop=stop,
        trail_percent=percent,
        trail_offset=trail_offset(trigger, tick, params),
    )


def trail_offset(price: Decimal, tick: Decimal, params: StopEntryParams) -> Decimal | None:
    """Return how far below its stop a trailing limit still sells, at least a tick; None for a trailing stop."""
    return max(up(price * params.trail_limit_offset_pct / _HUNDRED, tick), tick) if params.trailing_limit else None


def up(price: Decimal, tick: Decimal) -> Decimal:
    """Return ``price`` on the tick, rounded up."""
    return (price / tick).quantize(_ONE, ROUND_CEILING) * tick


def down(price: Decimal, tick: Decimal) -> Decimal:
    """Return ``price`` on the tick, rounded down."""
    return (price / tick).quantize(_ONE, ROUND_FLOOR) * tick
