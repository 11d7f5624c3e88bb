"""What the venue charges for taking an order, at its most.

The formula is 0.07 × contracts × p × (1 − p) × multiplier. Today's rounding (up to a hundredth of a cent a fill, the
rest given back over an order) never charges more than the old one, up to the next cent an order, which is used here.
Source: docs.kalshi.com/getting_started/fee_rounding and the fee schedule.
"""

from decimal import ROUND_CEILING, Decimal

from domain.errors import Refuse

TAKER_RATE = Decimal("0.07")
_CENT = Decimal("0.01")
_KNOWN = ("quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees")


def is_known(fee_type: str) -> bool:
    """Tell whether the formula of a kind of fee is known here."""
    return fee_type in _KNOWN


def taker_fee(
    price: Decimal, contracts: Decimal, *, fee_type: str = "quadratic", fee_multiplier: Decimal = Decimal(1)
) -> Decimal:
    """Return the most an order that takes ``contracts`` at ``price`` is charged, in USD, whole cents.

    The fee is the same for YES at p and for NO at 1 − p.

    Raises:
        Refuse: the series has a fee of a kind whose formula is not known, or the price is no price of a contract.
    """
    if fee_type not in _KNOWN:
        raise Refuse(f"a fee type out of {', '.join(_KNOWN)}", repr(fee_type), "leave the series out")
    if not 0 <= price <= 1 or contracts < 0 or fee_multiplier < 0:
        found = f"{price}, {contracts} and {fee_multiplier}"
        raise Refuse("a price in [0, 1], and contracts and a multiplier of 0 or more", found, "correct the order")
    raw = TAKER_RATE * contracts * price * (1 - price) * fee_multiplier
    return raw.quantize(_CENT, rounding=ROUND_CEILING)


def fee_per_contract(
    price: Decimal, contracts: Decimal, *, fee_type: str = "quadratic", fee_multiplier: Decimal = Decimal(1)
) -> Decimal:
    """Return the share of the order's fee that each of its contracts bears, in USD.

    A single contract bears the whole rounding: 2 cents at a price of 0.50, where one of a hundred bears 1.75.
    """
    if contracts <= 0:
        raise Refuse("more than 0 contracts", str(contracts), "ask for the fee of an order")
    return taker_fee(price, contracts, fee_type=fee_type, fee_multiplier=fee_multiplier) / contracts


def fee_of(market: str, contracts: Decimal, price: Decimal) -> Decimal:
    """Return what an imagined order is charged in any market of the usual fee, in USD."""
    return taker_fee(price, contracts)
