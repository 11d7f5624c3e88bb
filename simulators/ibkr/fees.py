"""Commissions by IBKR's fixed plan for US stocks."""

from decimal import Decimal

PER_SHARE = Decimal("0.005")
MINIMUM = Decimal("1.00")
# of the trade's value; it caps the minimum as well
MAXIMUM = Decimal("0.01")
_KEPT = Decimal("0.000001")


def commission_total(quantity: Decimal, value: Decimal) -> Decimal:
    """Return what an order has cost after so many shares worth so much; exchange fees are left out."""
    return min(max(quantity * PER_SHARE, MINIMUM), value * MAXIMUM).quantize(_KEPT)
