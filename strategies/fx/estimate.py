"""What is believed about a proposal: odds, edge net of costs, confidence and time to resolution.

The tilt is a prior, not a measurement: ``docs/strategies.md`` says how the audit will show what it is worth.
"""

from dataclasses import dataclass
from decimal import Decimal
from math import sqrt

from domain.candidate import Estimate
from domain.quotes import Quote
from strategies.fx.bracket import Bracket
from strategies.fx.params import FxParams
from strategies.fx.reading import Reading
from strategies.fx.setups import Setup, unit
from strategies.fx.walk import driftless

_BP = 10_000.0
_PLACES = Decimal("0.0001")
_HOUR_S = 3600.0
# No rule on closed bars knows more than this, whatever the bracket.
_MOST_LIKELY = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """How far the levels are, in price: from the price a position could be closed at now, and from the entry."""

    exit_to_stop: float
    exit_to_target: float
    entry_to_stop: float
    trailing: float | None
    entry: float
    spread: float


def distances(quote: Quote, setup: Setup, levels: Bracket) -> Distances:
    """Measure a bracket on a quote."""
    sign, entry, out = setup.side.sign, quote.entry_price(setup.side), quote.exit_price(setup.side)
    trailing = levels.trailing_distance
    return Distances(
        exit_to_stop=float((out - levels.stop_loss) * sign),
        exit_to_target=float((levels.take_profit - out) * sign),
        entry_to_stop=float((entry - levels.stop_loss) * sign),
        trailing=None if trailing is None else float(trailing),
        entry=float(entry),
        spread=float(quote.spread),
    )


def estimate(reading: Reading, setup: Setup, far: Distances, params: FxParams) -> Estimate:
    """Return odds, edge, confidence and ETA of one setup in its bracket.

    A position is opened at one side of the quote and closed at the other, so the walk that decides it starts at the
    closing side: nearer to the stop and farther from the target by one spread. Its gross edge p·target − (1−p)·stop
    is 0 without a tilt, and the spread is then paid once, as cost.
    """
    odds = driftless(far.exit_to_stop, far.exit_to_target, far.trailing)
    probability = max(odds.probability, min(odds.probability + tilt(reading, setup, params), _MOST_LIKELY))
    gross = probability * far.exit_to_target - (1.0 - probability) * odds.loss
    gross_bp = _quantised(gross / far.entry * _BP)
    cost_bp = _quantised(far.spread / far.entry * _BP + params.commission_bp)
    return Estimate(
        probability=_quantised(probability),
        gross_edge_bp=gross_bp,
        cost_bp=cost_bp,
        edge_bp=gross_bp - cost_bp,
        confidence=_quantised(confidence(reading, setup, far.spread, params)),
        eta_hours=max(_quantised(eta_hours(far.entry_to_stop, reading.atr, params.period_s)), _PLACES),
    )


def tilt(reading: Reading, setup: Setup, params: FxParams) -> float:
    """Return what trend strength adds to the odds: 0 for an untriggered setup, at most ``max_tilt``."""
    if not setup.triggered:
        return 0.0
    straightness = unit(reading.drift * setup.side.sign)
    # The mean first: three ones and then a division may come out a hair above one.
    return params.max_tilt * min((straightness + _strength(reading.adx) + setup.clarity) / 3.0, 1.0)


def confidence(reading: Reading, setup: Setup, spread: float, params: FxParams) -> float:
    """Return in [0, 1] how well trend, momentum and volatility agree with the setup, scaled by the warm-up seen."""
    sign = setup.side.sign
    apart = unit((reading.fast - reading.slow) * sign / reading.atr)
    momentum = unit(0.5 + (reading.rsi - 50.0) * sign / 40.0)
    ratio = reading.atr / reading.usual_atr
    # Half asleep (below 0.4 of its usual ATR) or gone wild (above 4 times) a market says little about its next hour.
    regime = unit((ratio - 0.4) / 0.4) * unit((4.0 - ratio) / 2.0)
    room = unit(reading.atr / (params.min_atr_spreads * spread)) if spread > 0 else 1.0
    return reading.warmth * ((_strength(reading.adx) + apart) / 2.0 + momentum + regime * room) / 3.0


def eta_hours(distance: float, atr: float, period_s: int) -> float:
    """Return distance to the stop / ATR per hour.

    A bar's range grows with the square root of its length, so the hourly ATR is ATR × sqrt(3600 / period).
    """
    return distance / (atr * sqrt(_HOUR_S / period_s))


def _strength(adx: float) -> float:
    """Return an ADX of 10 (none) to 40 (strong) as 0 to 1."""
    return unit((adx - 10.0) / 30.0)


def _quantised(value: float) -> Decimal:
    # Adding 0 turns the -0.0000 of a rounding error into 0.0000.
    return Decimal(str(value)).quantize(_PLACES) + 0
