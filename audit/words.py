"""Numbers and strangers' words, made fit for a line that a person reads."""

from collections.abc import Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any

DIGITS = 6
# What adapters and venues call the end of an order, for whoever does not know their words. Others stand for themselves.
_GLOSSES = {
    "BOUNDS_VIOLATION": "nobody met the price",
    "PARTIAL_FILL": "the rest found nobody",
    "OPPOSITE_POSITION": "another trade of the account holds the other side",
    "MARKET_HALTED": "the market is not trading",
    "INSUFFICIENT_MARGIN": "the account has too little money for it",
    "STOP_LOSS_ON_FILL_LOSS": "the price was beyond the stop already",
    "TAKE_PROFIT_ON_FILL_LOSS": "the price was beyond the target already",
}


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, ``1 signal`` or ``2 signals``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def rounded(number: str) -> str:
    """Return a decimal with at most six significant digits; digits before the point are all kept."""
    try:
        value = Decimal(number)
    except InvalidOperation:
        return number
    if not value.is_finite() or len(value.as_tuple().digits) <= DIGITS:
        return number
    return f"{Context(prec=max(DIGITS, value.adjusted() + 1)).plus(value):f}"


def printable(text: str) -> str:
    """Replace what could steer a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def glossed(reason: str) -> str:
    """Return a reason with what it means, where it is a code that has a meaning here."""
    meaning = _GLOSSES.get(reason)
    return f"{reason}: {meaning}" if meaning else reason


def compared(verdict: Mapping[str, Any], side: str) -> str:
    """Say what a gate held against what, in words where its numbers say nothing."""
    if has_no_price(verdict["unit"], verdict["limit"]):
        return f"no price to {side} at"
    return f"{rounded(verdict['value'])} against {rounded(verdict['limit'])} {verdict['unit']}".strip()


def has_no_price(unit: str, limit: Decimal | str) -> bool:
    """Tell whether a verdict is the slippage gate's on a side of the book where nobody stands."""
    return unit == "price" and not Decimal(limit)
