"""Numbers, times and errors as the venue writes them on the wire."""

import json
import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

Json = dict[str, Any]

# prices are kept as whole points of 1e-5, finer than or equal to every displayPrecision listed
POINTS_EXPONENT = -5
_AMOUNT = Decimal("0.0001")
_FACTOR = Decimal("0.000001")
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)\Z")
_TIME_KEYS = frozenset(
    {"time", "createTime", "openTime", "closeTime", "filledTime", "cancelledTime", "gtdTime", "createdTime"}
    | {"lastOrderFillTimestamp", "resettablePLTime", "from", "to"}
)


class ApiError(Exception):
    """A refusal the client reads: HTTP status and JSON body."""

    def __init__(self, status: int, message: str, code: str | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = dict(extra)
        if code is not None:
            self.body["errorCode"] = code
        self.body["errorMessage"] = message


def invalid_value(name: str, detail: str = "") -> ApiError:
    """Return the 400 for a query value that cannot be used."""
    return ApiError(400, f"Invalid value specified for '{name}'{'. ' + detail if detail else ''}")


def amount(value: Decimal) -> str:
    """Write a home-currency amount with four decimals."""
    return str(booked(value))


def booked(value: Decimal) -> Decimal:
    """Round an amount to what the wire shows, so that balances are the sum of the profits a client was told."""
    # adding zero turns a negative zero into a plain one
    return value.quantize(_AMOUNT, ROUND_HALF_EVEN) + 0


def ratio(value: Decimal) -> str:
    """Write a percentage or rate with five decimals."""
    return str(value.quantize(Decimal("0.00001"), ROUND_HALF_EVEN) + 0)


def factor(value: Decimal) -> str:
    """Write a conversion factor: plain one when it is one, else six decimals."""
    return "1" if value == 1 else str(value.quantize(_FACTOR, ROUND_HALF_EVEN))


def units(value: Decimal) -> str:
    """Write a unit count."""
    return format(value.normalize() + 0, "f")


def price(value: Decimal, precision: int) -> str:
    """Write a price with the instrument's displayPrecision."""
    return str(value.quantize(Decimal(1).scaleb(-precision), ROUND_HALF_UP))


def from_points(points: int) -> Decimal:
    """Return the price of a whole number of points."""
    return Decimal(points).scaleb(POINTS_EXPONENT)


def to_points(value: Decimal) -> int:
    """Return a price in whole points."""
    return int(value.scaleb(-POINTS_EXPONENT).to_integral_value(ROUND_HALF_UP))


def decimal_or_none(value: object) -> Decimal | None:
    """Read a decimal sent as string or JSON number; None when it is not one."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def decimals(value: Decimal) -> int:
    """Return the number of decimal places written in ``value``."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def rfc3339(ms: int) -> str:
    """Write epoch milliseconds as RFC 3339 with nine fractional digits."""
    seconds, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}000000Z"


def parse_time(text: str) -> int:
    """Read RFC 3339 or UNIX seconds into epoch milliseconds.

    Raises:
        ValueError: the text is neither.
    """
    found = _RFC3339.match(text)
    if found is None:
        seconds = decimal_or_none(text)
        if seconds is None or abs(seconds) > Decimal(10) ** 11:
            raise ValueError(f"not a time: {text!r}")
        return int(seconds * 1000)
    zone = "+00:00" if found[3] == "Z" else found[3]
    whole = int(datetime.fromisoformat(found[1] + zone).timestamp()) * 1000
    return whole + int((found[2] or "0").ljust(9, "0")[:3])


def unix_times(value: Any) -> Any:
    """Return a copy of a reply with every time rewritten as UNIX seconds."""
    if isinstance(value, list):
        return [unix_times(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _unix(item) if key in _TIME_KEYS else unix_times(item) for key, item in value.items()}


def _unix(value: Any) -> Any:
    if not isinstance(value, str) or _RFC3339.match(value) is None:
        return value
    return f"{Decimal(parse_time(value)).scaleb(-3):.9f}"


def encode(payload: Any) -> bytes:
    """Write a reply body."""
    return json.dumps(payload, separators=(",", ":")).encode()
