"""Protective levels of a crossover's entry: a stop in ATRs, a target in multiples of the risk, on the tick."""

from dataclasses import dataclass
from decimal import Decimal

from domain.quotes import Instrument, Quote
from domain.vocabulary import Side
from strategies.crossover.params import CrossParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """Where a trade ends: prices, and the distance of a trailing stop if there is one."""

    entry: Decimal
    stop_loss: Decimal
    take_profit: Decimal | None
    trailing_distance: Decimal | None

    @property
    def risk(self) -> Decimal:
        return abs(self.entry - self.stop_loss)


def bracket(instrument: Instrument, entry: Decimal, side: Side, atr: Decimal, params: CrossParams) -> Bracket | None:
    """Place stop and target around an entry price; None where a price or distance so small has no room for them."""
    stop = instrument.round_price(entry - side.sign * atr * _decimal(params.stop_atr), side)
    target = None
    if params.target_risks is not None:
        gain = abs(entry - stop) * _decimal(params.target_risks)
        target = instrument.round_price(entry + side.sign * gain)
    if (entry - stop) * side.sign <= 0 or min(stop, entry if target is None else target) <= 0:
        return None
    if target is not None and (target - entry) * side.sign <= 0:
        return None
    trailing = None
    if params.trailing_atr is not None:
        # Rounded as a sold position's stop is: up, hence away from the market.
        distance = instrument.round_price(atr * _decimal(params.trailing_atr), Side.SELL)
        trailing = max(distance, instrument.tick)
    return Bracket(entry=entry, stop_loss=stop, take_profit=target, trailing_distance=trailing)


def is_live(levels: Bracket, quote: Quote, side: Side) -> bool:
    """Tell whether the spread leaves the stop alone: it lies beyond the price a position could be closed at now."""
    return (quote.exit_price(side) - levels.stop_loss) * side.sign > 0


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))
