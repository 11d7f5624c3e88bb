"""How the gateway spells numbers, times, replies and refusals."""

import json
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from simulators.rest.transport import Response

Json = dict[str, Any]
ROOT = "/v1/api"
SOCKET_PATH = f"{ROOT}/ws"
_CENT = Decimal("0.01")


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, error: str, *, plain: bool = False) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.plain = plain

    def response(self) -> Response:
        """Return the reply: ``{"error": …}``, with the status in it from 400 on, or bare text where ``plain``."""
        if self.plain:
            return Response(self.status, self.error.encode(), {"Content-Type": "text/plain"})
        body: Json = {"error": self.error}
        return reply(body if self.status < 400 else {**body, "statusCode": self.status}, self.status)


def reply(body: Any, status: int = 200) -> Response:
    """Return a reply of JSON."""
    return Response(status, encode(body), {"Content-Type": "application/json;charset=utf-8"})


def encode(body: Any) -> bytes:
    """Write JSON as the gateway does."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def decimal(value: Any) -> Decimal | None:
    """Read a number a client sent as a number or as text; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = Decimal(str(value).replace(",", ""))
    except ArithmeticError:
        return None
    return found if found.is_finite() else None


def whole(text: str) -> int | None:
    """Read a whole number out of an address; None if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def price_text(value: Decimal) -> str:
    """Spell a price with two decimals, or more where it has more."""
    return f"{value:f}" if value.normalize() != value.quantize(_CENT) else f"{value.quantize(_CENT):f}"


def size_text(value: Decimal) -> str:
    """Spell a size with commas for thousands: ``1,300``."""
    whole = value.to_integral_value()
    return f"{whole:,f}" if whole == value else f"{value.normalize():,f}"


def cents(value: Decimal) -> float:
    """Return an amount of money as JSON numbers have it."""
    return float(value.quantize(_CENT, ROUND_HALF_UP))


def plain(value: Decimal) -> str:
    """Spell a quantity without trailing zeros, as order descriptions do."""
    return f"{value.normalize():f}"


def unix_ms(moment: datetime) -> int:
    """Return epoch milliseconds."""
    return round(moment.timestamp() * 1000)


def order_time(moment: datetime) -> str:
    """Spell a time as order lists do: ``140506143000``, UTC."""
    return moment.astimezone(UTC).strftime("%y%m%d%H%M%S")


def trade_time(moment: datetime) -> str:
    """Spell a time as trade lists do: ``20140506-14:30:00``, UTC."""
    return moment.astimezone(UTC).strftime("%Y%m%d-%H:%M:%S")
