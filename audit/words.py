"""Numbers and strangers' words, made fit for a line that a person reads."""

from decimal import Context, Decimal, InvalidOperation

DIGITS = 6


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
