"""Trading fees and what they do to a balance.

Formulas: kalshi.com fee schedule; rounding: docs.kalshi.com/getting_started/fee_rounding (accounts that are not direct
members keep whole cents).
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from simulators.kalshi.listing import Series
from simulators.kalshi.wire import CENT

_TAKER = Decimal("0.07")
_MAKER = Decimal("0.0175")
_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Charge:
    """What one fill does: change of the balance, fee as told to the client, rounding still owed to the order."""

    change: Decimal
    fee: Decimal
    owed: Decimal


def trade_fee(series: Series, count: int, price: Decimal, *, is_taker: bool) -> Decimal:
    """Return the fee of one fill before the balance is rounded: a hundredth of a cent, rounded up."""
    rate = _TAKER
    if not is_taker:
        rate = _MAKER if series.fee_type == "quadratic_with_maker_fees" else Decimal(0)
    exact = rate * count * price * (1 - price) * Decimal(str(series.fee_multiplier))
    return exact.quantize(_STEP, ROUND_CEILING)


def settle_fill(revenue: Decimal, fee: Decimal, owed: Decimal) -> Charge:
    """Round a fill to whole cents against the client, and give back a cent once an order is owed more than one.

    Args:
        revenue: what the fill pays before fees; negative for a purchase.
        fee: from ``trade_fee``.
        owed: what earlier fills of the same order were rounded by and not given back.
    """
    exact = revenue - fee
    floored = exact.quantize(CENT, ROUND_FLOOR)
    rounding = exact - floored
    owed += rounding
    rebate = CENT if owed > CENT else Decimal(0)
    return Charge(floored + rebate, fee + rounding - rebate, owed - rebate)
