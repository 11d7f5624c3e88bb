"""Values of Kalshi's JSON, over both generations of its wire.

Today's wire has prices and money as ``<name>_dollars`` strings and counts as ``<name>_fp`` strings; the older one has
cents and whole numbers under the plain name. An absent field is None or an error, never a zero.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.clock import parse_iso

Json = Mapping[str, Any]
CENTS = Decimal(100)
ONE = Decimal(1)
ZERO = Decimal(0)


def number(value: Any) -> Decimal:
    """Read a number without the zeros it ends in; NaN, infinities and anything that is no number are refused."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError(f"expected a number, found {type(value).__name__}")
    read = Decimal(str(value))
    if not read.is_finite():
        raise ValueError(f"expected a finite number, found {value!r}")
    return Decimal(format(read.normalize(), "f"))


def money(data: Json, name: str) -> Decimal | None:
    """Read an amount in dollars; None when it was not sent."""
    text = data.get(f"{name}_dollars")
    if text not in (None, ""):
        return number(text)
    cents = data.get(name)
    return None if cents is None else number(cents) / CENTS


def count(data: Json, name: str) -> Decimal | None:
    """Read a number of contracts; None when it was not sent."""
    for key in (f"{name}_fp", name):
        if data.get(key) not in (None, ""):
            return number(data[key])
    return None


def required_money(data: Json, name: str) -> Decimal:
    return _required(money(data, name), f"{name}_dollars", name)


def required_count(data: Json, name: str) -> Decimal:
    return _required(count(data, name), f"{name}_fp", name)


def price(data: Json, name: str) -> Decimal | None:
    """Read a probability of the book; None when it was not sent. Bounds included: an empty side shows 0 or 1."""
    read = money(data, name)
    if read is not None and not 0 <= read <= 1:
        raise ValueError(f"expected {name} between 0 and 1 dollar, found {read}")
    return read


def traded_price(data: Json, name: str) -> Decimal:
    """Read a price at which something was done, which cannot be 0 or 1."""
    read = _required(price(data, name), f"{name}_dollars", name)
    if not 0 < read < 1:
        raise ValueError(f"expected {name} inside (0, 1), found {read}")
    return read


def text(data: Json, name: str) -> str:
    """Read a text that may be missing."""
    found = data.get(name)
    return "" if found is None else str(found)


def moment(value: Any) -> datetime:
    """Read a time: ISO-8601 with offset, or Unix seconds or milliseconds."""
    if isinstance(value, str) and not value.isdigit():
        return parse_iso(value)
    seconds = number(value)
    # Milliseconds since 1973 are above what seconds will be for three thousand years.
    return datetime.fromtimestamp(float(seconds / 1000 if seconds > 10**11 else seconds), UTC)


def optional_moment(value: Any) -> datetime | None:
    return None if value in (None, "", 0) else moment(value)


def _required(value: Decimal | None, *names: str) -> Decimal:
    if value is None:
        raise ValueError(f"expected {' or '.join(names)}, found neither")
    return value
