"""What single symbols do otherwise than the rest: ``TSLA:entry=4,trail=8,usd=1500; NVDA:usd=1200``."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

_WORDS = ("entry", "trail", "usd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """The numbers of one symbol; None leaves that number to the general setting.

    ``entry`` and ``trail`` are percentages, ``usd`` is what a position may cost.
    """

    entry: Decimal | None = None
    trail: Decimal | None = None
    usd: Decimal | None = None


def parse_overrides(text: str) -> Mapping[str, Override]:
    """Return symbol -> what it does otherwise; symbols are parted by semicolons, their numbers by commas.

    Raises:
        ValueError: an entry is not ``SYMBOL:word=number,…``, a word is unknown, or a symbol or word stands twice.
    """
    found: dict[str, Override] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        symbol, colon, numbers = entry.partition(":")
        symbol = symbol.strip().upper()
        if not (symbol and colon and numbers.strip()):
            raise ValueError(f"overrides must be 'SYMBOL:entry=4,trail=8,usd=1500; …', found {entry!r}")
        if symbol in found:
            raise ValueError(f"overrides must name each symbol once, found {symbol} twice")
        found[symbol] = Override(**_numbers(symbol, numbers))
    return found


def _numbers(symbol: str, text: str) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for part in text.split(","):
        word, _, number = (piece.strip() for piece in part.partition("="))
        if word not in _WORDS or word in found:
            raise ValueError(f"overrides of {symbol} must be entry, trail or usd, each once, found {part.strip()!r}")
        found[word] = _positive(symbol, part, number)
    return found


def _positive(symbol: str, part: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0:
        raise ValueError(f"overrides of {symbol} must be numbers above 0, found {part.strip()!r}")
    return number
