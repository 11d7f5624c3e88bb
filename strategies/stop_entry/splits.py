"""Splits: how a share count or a price that jumped by a small ratio is recognised."""

from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from math import log

_MOST = 20
# How many shares one became: n:1 forward, 1:n reverse, and 3:2 both ways.
RATIOS: tuple[Fraction, ...] = tuple(
    sorted(
        {Fraction(n) for n in range(2, _MOST + 1)}
        | {Fraction(1, n) for n in range(2, _MOST + 1)}
        | {Fraction(3, 2), Fraction(2, 3)}
    )
)
# A split share opens a few percent from its rescaled close, like any other share.
_NEAR = 0.05
_ONE = Decimal(1)


def suspect(ours: Decimal, brokers: Decimal) -> Fraction | None:
    """Return how many shares one of ours seems to have become, None where no split explains the two counts.

    A count that does not divide is met with its fraction paid out: 15 shares in a 1:10 split are 1 or 1.5.
    """
    if ours <= 0 or brokers <= 0 or ours == brokers:
        return None
    for ratio in RATIOS:
        exact = _times(ours, ratio)
        if brokers == exact or (ratio.denominator > 1 and brokers == exact.quantize(_ONE, ROUND_FLOOR)):
            return ratio
    return None


def off_scale(price: Decimal | None, reference: Decimal | None) -> Fraction | None:
    """Return the split that a jump from the last adjusted close to ``price`` looks like, None for an ordinary move.

    Compared in logarithms: within 5 % of a ratio. A real move of that size is taken for a split too; it then costs an
    entry, where trading on the wrong scale would cost the position.
    """
    if price is None or reference is None or price <= 0 or reference <= 0:
        return None
    moved = log(reference / price)
    nearest = min(RATIOS, key=lambda ratio: abs(moved - log(ratio)))
    return nearest if abs(moved - log(nearest)) <= _NEAR else None


def _times(value: Decimal, ratio: Fraction) -> Decimal:
    return value * ratio.numerator / ratio.denominator
