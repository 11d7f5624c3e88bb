"""Checks a request must pass before it becomes an order; each failure has the venue's reject reason."""

from decimal import Decimal
from typing import Any

from simulators.oanda.instruments import MAXIMUM_ORDER_UNITS, Instrument
from simulators.oanda.orders import DEPENDENT_KEYS
from simulators.oanda.wire import Json, decimal_or_none, decimals, parse_time, price, rfc3339

_POSITION_FILLS = ("OPEN_ONLY", "REDUCE_FIRST", "REDUCE_ONLY", "DEFAULT")
_TRIGGERS = ("DEFAULT", "INVERSE", "BID", "ASK", "MID")
_TEXT_LIMIT = 128


class Rejected(Exception):
    """A request that is refused with a reject transaction."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def checked_units(value: Any) -> Decimal:
    """Read signed order units."""
    if value is None:
        raise Rejected("UNITS_MISSING")
    size = decimal_or_none(value)
    if size is None or size == 0:
        raise Rejected("UNITS_INVALID")
    if size != size.to_integral_value():
        raise Rejected("UNITS_PRECISION_EXCEEDED")
    if abs(size) > MAXIMUM_ORDER_UNITS:
        raise Rejected("UNITS_LIMIT_EXCEEDED")
    return size


def checked_price(value: Any, instrument: Instrument, prefix: str = "") -> Decimal:
    """Read a price; ``prefix`` names the on-fill order it belongs to."""
    if value is None:
        raise Rejected(f"{prefix}PRICE_MISSING")
    return _positive(value, instrument, f"{prefix}PRICE")


def _positive(value: Any, instrument: Instrument, name: str) -> Decimal:
    number = decimal_or_none(value)
    if number is None or number <= 0:
        raise Rejected(f"{name}_INVALID")
    if decimals(number) > instrument.precision:
        raise Rejected(f"{name}_PRECISION_EXCEEDED")
    return number


def checked_bound(value: Any, instrument: Instrument) -> Decimal | None:
    """Read the worst acceptable price."""
    if value is None:
        return None
    number = decimal_or_none(value)
    if number is None or number <= 0:
        raise Rejected("PRICE_BOUND_INVALID")
    if decimals(number) > instrument.precision:
        raise Rejected("PRICE_BOUND_PRECISION_EXCEEDED")
    return number


def checked_lifetime(request: Json, allowed: tuple[str, ...], now: int, prefix: str = "") -> Json:
    """Read timeInForce and gtdTime; the first allowed value is the default."""
    lifetime = request.get("timeInForce", allowed[0])
    if lifetime not in allowed:
        raise Rejected(f"{prefix}TIME_IN_FORCE_INVALID")
    if lifetime != "GTD":
        return {"timeInForce": lifetime}
    stem = prefix or "TIME_IN_FORCE_"
    try:
        until = parse_time(str(request.get("gtdTime")))
    except ValueError:
        raise Rejected(f"{stem}GTD_TIMESTAMP_MISSING") from None
    if until <= now:
        raise Rejected(f"{stem}GTD_TIMESTAMP_IN_PAST")
    return {"timeInForce": lifetime, "gtdTime": rfc3339(until)}


def checked_choices(request: Json) -> Json:
    """Read positionFill and triggerCondition of an entry order."""
    position_fill = request.get("positionFill", "DEFAULT")
    if position_fill not in _POSITION_FILLS:
        raise Rejected("ORDER_FILL_POSITION_ACTION_INVALID")
    trigger = request.get("triggerCondition", "DEFAULT")
    if trigger not in _TRIGGERS:
        raise Rejected("TRIGGER_CONDITION_INVALID")
    return {"positionFill": position_fill, "triggerCondition": trigger}


def checked_extensions(value: Any, stem: str) -> Json | None:
    """Read client extensions; ``stem`` is CLIENT_ORDER, CLIENT_TRADE or an on-fill form of the first."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Rejected(f"{stem}_ID_INVALID")
    for key in ("id", "tag", "comment"):
        text = value.get(key)
        if text is not None and (not isinstance(text, str) or not 0 < len(text) <= _TEXT_LIMIT):
            raise Rejected(f"{stem}_{key.upper()}_INVALID")
    return {key: value[key] for key in ("id", "tag", "comment") if value.get(key) is not None} or None


def checked_dependent(kind: str, details: Any, instrument: Instrument, now: int, on_fill: bool) -> Json:
    """Read the details of a protective order; prices stay decimals."""
    prefix = f"{kind}_ON_FILL_" if on_fill else ""
    if not isinstance(details, dict):
        raise Rejected(f"{prefix}PRICE_MISSING")
    checked = _checked_level(kind, details, instrument, prefix)
    checked |= checked_lifetime(details, ("GTC", "GTD", "GFD"), now, prefix)
    extensions = checked_extensions(details.get("clientExtensions"), f"{prefix}CLIENT_ORDER")
    return checked if extensions is None else {**checked, "clientExtensions": extensions}


def _checked_level(kind: str, details: Json, instrument: Instrument, prefix: str) -> Json:
    has_price, distance = details.get("price") is not None, details.get("distance")
    if kind == "TRAILING_STOP_LOSS":
        return {"distance": _checked_trail(distance, instrument, prefix)}
    if kind == "STOP_LOSS":
        if has_price and distance is not None:
            raise Rejected(f"{prefix or 'STOP_LOSS_ORDER_'}PRICE_AND_DISTANCE_BOTH_SPECIFIED")
        if not has_price and distance is None:
            raise Rejected(f"{prefix or 'STOP_LOSS_ORDER_'}PRICE_AND_DISTANCE_BOTH_MISSING")
        if distance is not None:
            return {"distance": _positive(distance, instrument, f"{prefix}DISTANCE" if prefix else "PRICE_DISTANCE")}
    return {"price": checked_price(details.get("price"), instrument, prefix)}


def _checked_trail(value: Any, instrument: Instrument, prefix: str) -> Decimal:
    name = f"{prefix}PRICE_DISTANCE"
    if value is None:
        raise Rejected(f"{name}_MISSING")
    distance = _positive(value, instrument, name)
    if distance < instrument.minimum_trailing_distance:
        raise Rejected(f"{name}_MINIMUM_NOT_MET")
    if distance > instrument.maximum_trailing_distance:
        raise Rejected(f"{name}_MAXIMUM_EXCEEDED")
    return distance


def checked_legs(request: Json, instrument: Instrument, now: int) -> dict[str, Json]:
    """Read the protective orders a fill is to create: order type -> details."""
    legs = {}
    for kind, key in DEPENDENT_KEYS.items():
        details = request.get(f"{key}OnFill")
        if details is not None:
            legs[kind] = checked_dependent(kind, details, instrument, now, on_fill=True)
    return legs


def wire_legs(legs: dict[str, Json], instrument: Instrument) -> Json:
    """Return on-fill details as the order and its transaction show them."""
    wire: Json = {}
    for kind, details in legs.items():
        shown = {
            key: price(value, instrument.precision) if key in ("price", "distance") else value
            for key, value in details.items()
        }
        wire[f"{DEPENDENT_KEYS[kind]}OnFill"] = shown
    return wire


def stored_legs(wire: Json) -> dict[str, Json]:
    """Return on-fill details of a resting order, prices as decimals again."""
    legs = {}
    for kind, key in DEPENDENT_KEYS.items():
        shown = wire.get(f"{key}OnFill")
        if shown is not None:
            legs[kind] = {k: Decimal(v) if k in ("price", "distance") else v for k, v in shown.items()}
    return legs
