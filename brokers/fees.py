"""What a dry run's executions cost where nobody says otherwise."""

from decimal import Decimal


def no_fee(market: str, quantity: Decimal, price: Decimal) -> Decimal:
    """Return nothing, whatever was traded."""
    return Decimal(0)
