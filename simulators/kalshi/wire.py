"""Money, counts, times and errors as the venue writes them on the wire."""

import json
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

Json = dict[str, Any]

ROOT = "/trade-api/v2"
SOCKET_PATH = "/trade-api/ws/v2"
CENT = Decimal("0.01")
_FOUR = Decimal("0.0001")
_SIX = Decimal("0.000001")
_MOST_DIGITS = 16


class ApiError(Exception):
    """A refusal the client reads: HTTP status and JSON body."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


def refusal(status: int, code: str, message: str = "", details: str = "") -> ApiError:
    """Return an error in the venue's usual shape; the message repeats the code in words unless given."""
    error: Json = {"code": code, "message": message or code.replace("_", " "), "service": "exchange"}
    if details:
        error["details"] = details
    return ApiError(status, {"error": error})


def unreadable(details: str) -> ApiError:
    """Return the 400 for a request that cannot be parsed: its fields stand at the top level of the body."""
    return ApiError(400, {"code": "bad_request", "message": "bad request", "details": details})


def dollars(value: Decimal) -> str:
    """Write an amount in dollars: four decimals, or six where the amount needs them."""
    exact = value.quantize(_SIX, ROUND_HALF_UP) + 0
    four = exact.quantize(_FOUR, ROUND_HALF_UP)
    return str(four if four == exact else exact)


def cents(value: Decimal) -> int:
    """Return an amount in whole cents, as the older wire has it."""
    return int((value * 100).to_integral_value(ROUND_HALF_UP))


def fp(count: int) -> str:
    """Write a number of contracts as the current wire has it."""
    return f"{count}.00"


def number(value: object) -> Decimal | None:
    """Read a decimal sent as string or JSON number; None when it is not one."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    # what is far beyond any amount would only cost time
    return found if found.is_finite() and abs(found.adjusted()) < _MOST_DIGITS else None


def iso(moment: datetime) -> str:
    """Write a time with ``Z``; like the venue it drops the zeros a fraction ends in."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return text + "Z"


def unix(moment: datetime) -> int:
    """Return whole seconds since 1970."""
    return int(moment.timestamp())


def unix_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def parse_time(text: str) -> datetime:
    """Read an ISO time with an offset.

    Raises:
        ValueError: the text is no time, or names no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no offset; add Z")
    return moment.astimezone(UTC)


def encode(payload: Any) -> bytes:
    """Write a reply body."""
    return json.dumps(payload, separators=(",", ":")).encode()
