"""Protective levels around an entry, in multiples of the ATR, on the instrument's tick."""

from dataclasses import dataclass
from decimal import Decimal

from domain.quotes import Instrument, Quote
from domain.vocabulary import Side
from strategies.fx.params import FxParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """Where a trade ends: prices, and the distance of a trailing stop if there is one."""

    stop_loss: Decimal
    take_profit: Decimal
    trailing_distance: Decimal | None


def bracket(instrument: Instrument, quote: Quote, side: Side, atr: Decimal, params: FxParams) -> Bracket | None:
    """Place stop and target from the entry price the quote offers.

    Returns:
        None where no bracket fits: the spread alone would set the stop off, or the target rounds to the entry.
    """
    entry = quote.entry_price(side)
    stop = instrument.round_price(entry - side.sign * atr * _decimal(params.stop_atr), side)
    target = instrument.round_price(entry + side.sign * atr * _decimal(params.target_atr))
    room, gain = (quote.exit_price(side) - stop) * side.sign, (target - entry) * side.sign
    if room <= 0 or gain <= 0 or min(stop, target) <= 0:
        return None
    return Bracket(stop_loss=stop, take_profit=target, trailing_distance=_trailing(instrument, atr, params))


def price_of(value: float, instrument: Instrument) -> Decimal:
    """Return an indicator's price difference as Decimal, two digits finer than the tick."""
    exponent = instrument.tick.normalize().as_tuple().exponent
    digits = -int(exponent) + 2
    return Decimal(str(round(value, digits)))


def _trailing(instrument: Instrument, atr: Decimal, params: FxParams) -> Decimal | None:
    if params.trailing_atr is None:
        return None
    distance = max(atr * _decimal(params.trailing_atr), instrument.pip * _decimal(params.min_trailing_pips))
    # Rounded as a sold position's stop is: up, hence away from the market.
    return max(instrument.round_price(distance, Side.SELL), instrument.tick)


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))
