"""How much to trade: a fixed fraction of equity lost at the stop, cut to the room that every cap leaves."""

from decimal import ROUND_DOWN, Context, Decimal
from typing import TypeAlias

from domain.candidate import Candidate
from domain.decision import Size, make_size
from domain.quotes import Instrument, Quote
from domain.vocabulary import Side
from risk.caps import Cap, Measure, equity_caps, market_caps
from risk.limits import Limits
from risk.state import RiskState

_ZERO, _ONE = Decimal(0), Decimal(1)
# Rounding a quotient or a remainder down is what keeps quantity * price from passing a cap in its 28th digit.
_DOWN = Context(prec=28, rounding=ROUND_DOWN)
_divide, _subtract = _DOWN.divide, _DOWN.subtract
_BUY = Side.BUY

# What one unit of quantity puts at stake, in home currency.
PerUnit: TypeAlias = dict[Measure, Decimal]


def size(candidate: Candidate, state: RiskState, limits: Limits) -> Size:
    """Return the quantity to trade and what it puts at stake; zero when anything needed is unknown."""
    unit, instrument = per_unit(candidate, state), state.instrument
    if unit is None or instrument is None:
        return _of(_ZERO, None, limits)
    quantity = _divide(state.equity * limits.risk_fraction, unit["risk"])
    if quantity > instrument.quantity_max:
        quantity = instrument.quantity_max
    if (budget := limits.budget(candidate.market)) is not None and quantity * unit["notional"] > budget:
        quantity = _divide(budget, unit["notional"])
    quantity = _cut(quantity, market_caps(candidate, state, limits), unit)
    quantity = _cut(quantity, equity_caps(candidate, state, limits), unit)
    return _of(instrument.round_quantity(quantity if quantity > 0 else _ZERO), unit, limits)


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
    if step == minimum:  # the usual case, and a tenth of the work
        return step
    steps = minimum // step + (1 if minimum % step else 0)
    return max(steps, _ONE) * step


def per_unit(candidate: Candidate, state: RiskState) -> PerUnit | None:
    """Return what one unit puts at stake, or None when quote, home rate, instrument or a real stop is missing."""
    quote, instrument = state.quote_of(candidate.market), state.instrument
    if quote is None or instrument is None:
        return None
    rate, distance = quote.home_rate, _stop_distance(candidate, quote)
    if rate is None or rate <= 0 or distance <= 0:
        return None
    if instrument.payout is not None:
        # Paid for in full: the cost is all there is to lose, and sold at 0.95 means bought the other side for 0.05.
        cost = distance * rate
        return {"notional": cost, "risk": cost, "margin": cost}
    price = quote.ask if candidate.side is _BUY else quote.bid
    if candidate.trigger is not None:
        price = candidate.entry_at(quote)
    notional = price * rate
    return {"notional": notional, "risk": distance * rate, "margin": notional * instrument.margin_rate}


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
    latest = _distance(candidate, quote)
    if quote is candidate.quote:
        return latest
    decided = _distance(candidate, candidate.quote)
    return max(latest, decided) if min(latest, decided) > 0 else _ZERO


def _distance(candidate: Candidate, quote: Quote) -> Decimal:
    if candidate.trigger is not None:
        return (candidate.entry_at(quote) - candidate.stop_loss) * candidate.side.sign
    return quote.ask - candidate.stop_loss if candidate.side is _BUY else candidate.stop_loss - quote.bid


def _cut(quantity: Decimal, caps: tuple[Cap, ...], unit: PerUnit) -> Decimal:
    """Return the most of ``quantity`` that still fits under ``caps``; not above zero if one is passed already."""
    for _, _, measure, used, limit in caps:
        each, room = unit[measure], _subtract(limit, used)
        # A product that rounds to less than the room is less: only one that does not is worth the division.
        if quantity * each >= room and (each > 0 or room < 0):
            fitting = _divide(room, each) if each > 0 else _ZERO
            quantity = fitting if fitting < quantity else quantity
    return quantity


def _of(quantity: Decimal, unit: PerUnit | None, limits: Limits) -> Size:
    if unit is None:
        return make_size(quantity, _ZERO, _ZERO, _ZERO, limits.currency)
    return make_size(
        quantity, quantity * unit["notional"], quantity * unit["risk"], quantity * unit["margin"], limits.currency
    )
