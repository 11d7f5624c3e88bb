"""How much to trade: a fixed fraction of equity lost at the stop, cut to the room that every cap leaves."""

from collections.abc import Iterator
from decimal import ROUND_DOWN, Context, Decimal
from typing import NamedTuple

from domain.candidate import Candidate
from domain.decision import Size
from domain.quotes import Instrument, Quote
from risk.caps import Cap, Measure, equity_caps, market_caps
from risk.limits import Limits
from risk.state import RiskState

_ZERO, _ONE = Decimal(0), Decimal(1)
# Rounding a quotient or a remainder down is what keeps quantity * price from passing a cap in its 28th digit.
_DOWN = Context(prec=28, rounding=ROUND_DOWN)


class PerUnit(NamedTuple):
    """What one unit of quantity puts at stake, in home currency."""

    notional: Decimal
    risk: Decimal
    margin: Decimal


def size(candidate: Candidate, state: RiskState, limits: Limits) -> Size:
    """Return the quantity to trade and what it puts at stake; zero when anything needed is unknown."""
    unit = per_unit(candidate, state)
    if unit is None or state.instrument is None:
        return _of(_ZERO, None, limits)
    wanted = _DOWN.divide(state.equity * limits.risk_fraction, unit.risk)
    caps = market_caps(candidate, state, limits) + equity_caps(candidate, state, limits)
    quantity = min(wanted, state.instrument.quantity_max, *_rooms(caps, unit))
    return _of(state.instrument.round_quantity(max(quantity, _ZERO)), unit, limits)


def smallest(candidate: Candidate, state: RiskState, limits: Limits) -> Size:
    """Return the least that the instrument lets anyone trade; zero when anything needed is unknown.

    The gates ask with it when the size is zero: a full cap then answers for itself instead of as "size is 0".
    """
    unit = per_unit(candidate, state)
    if unit is None or state.instrument is None:
        return _of(_ZERO, None, limits)
    return _of(least(state.instrument), unit, limits)


def least(instrument: Instrument) -> Decimal:
    """Return the smallest tradeable quantity: the minimum, rounded up to the step, and never nothing."""
    step, minimum = instrument.quantity_step, instrument.quantity_min
    steps = minimum // step + (1 if minimum % step else 0)
    return max(steps, _ONE) * step


def per_unit(candidate: Candidate, state: RiskState) -> PerUnit | None:
    """Return what one unit puts at stake, or None when quote, home rate, instrument or a real stop is missing."""
    quote = state.quote_of(candidate.market)
    if quote is None or state.instrument is None or quote.home_rate is None or quote.home_rate <= 0:
        return None
    distance = _stop_distance(candidate, quote)
    if distance <= 0:
        return None
    notional = quote.entry_price(candidate.side) * quote.home_rate
    return PerUnit(notional, distance * quote.home_rate, notional * state.instrument.margin_rate)


def missing(candidate: Candidate, state: RiskState) -> str:
    """Return in words why ``per_unit`` has no answer; empty when it has one."""
    quote = state.quote_of(candidate.market)
    if quote is None:
        return f"no quote of {candidate.market}"
    if state.instrument is None:
        return "instrument unknown"
    if quote.home_rate is None or quote.home_rate <= 0:
        return "no home rate"
    return "" if _stop_distance(candidate, quote) > 0 else "stop not beyond the entry"


def _stop_distance(candidate: Candidate, quote: Quote) -> Decimal:
    """Return the longer way to the stop, from the decision's quote or the latest; not positive if either is through it.

    Taking the longer one keeps a market that has run towards the stop from making the position larger.
    """
    decided = candidate.stop_distance
    if quote is candidate.quote:
        return max(decided, _ZERO)
    latest = (quote.entry_price(candidate.side) - candidate.stop_loss) * candidate.side.sign
    return max(latest, decided) if min(latest, decided) > 0 else _ZERO


def _rooms(caps: tuple[Cap, ...], unit: PerUnit) -> Iterator[Decimal]:
    """Yield, for each measure, the quantity that still fits under its caps (below zero when one is passed already)."""
    least: dict[Measure, Decimal] = {}
    for _, _, measure, used, limit in caps:
        room = _DOWN.subtract(limit, used)
        if measure not in least or room < least[measure]:
            least[measure] = room
    for measure, room in least.items():
        each: Decimal = getattr(unit, measure)
        if each > 0:
            yield _DOWN.divide(room, each)
        elif room < 0:
            yield _ZERO


def _of(quantity: Decimal, unit: PerUnit | None, limits: Limits) -> Size:
    if unit is None:
        unit = PerUnit(_ZERO, _ZERO, _ZERO)
    return Size(
        quantity=quantity,
        notional=quantity * unit.notional,
        risk=quantity * unit.risk,
        margin=quantity * unit.margin,
        currency=limits.currency,
    )
