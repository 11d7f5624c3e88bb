"""How many units an entry is, by the subscriber's own rule.

Every rule rounds down: never above the caps, never more at risk than asked for.
"""

from decimal import ROUND_DOWN, Decimal

from tbot_client.brokers.port import Instrument
from tbot_client.config import Size


def units(
    size: Size, instrument: Instrument, *, equity: Decimal, price: Decimal, stop: Decimal, rate: Decimal
) -> Decimal:
    """Return the units to order, or 0 when the rule asks for less than the instrument's smallest order.

    Args:
        equity: of the account, in its currency.
        price: what an entry would cost now, in quote currency.
        stop: where the position would be given up, in quote currency.
        rate: account currency for one unit of quote currency.
    """
    wanted = _by_rule(size, max(equity, Decimal(0)), price * rate, abs(price - stop) * rate)
    capped = min(wanted, size.max_units, instrument.maximum)
    rounded = capped.quantize(Decimal(1).scaleb(-instrument.unit_digits), ROUND_DOWN)
    return rounded if rounded > 0 and rounded >= instrument.minimum else Decimal(0)


def _by_rule(size: Size, equity: Decimal, value: Decimal, loss: Decimal) -> Decimal:
    """Return units before caps; ``value`` and ``loss`` are of one unit, in account currency."""
    if size.rule == "fixed":
        return size.units or Decimal(0)
    per_unit = value if size.rule == "fraction" else loss
    return equity * (size.fraction or Decimal(0)) / per_unit if per_unit > 0 else Decimal(0)
