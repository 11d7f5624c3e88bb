"""Order requests of both wires, read into tickets."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from simulators.kalshi.orders import Force, Prevention, Side, Ticket
from simulators.kalshi.wire import ApiError, Json, number, refusal, unreadable

W = TypeVar("W", Side, Force, Prevention)
# letters, digits, hyphen and underscore: the venue was seen to refuse a dot with invalid_parameters
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_PRICES = ("yes_price", "no_price", "yes_price_dollars", "no_price_dollars")
_OLDER_FORCES = {**{force.value: force for force in Force}, "": Force.GTC}


def invalid_order(details: str) -> ApiError:
    """Return the 400 for an order that cannot be taken."""
    return refusal(400, "invalid_order", details=details)


def read_current(body: Json) -> Ticket:
    """Read a request of the current wire.

    Raises:
        ApiError: a field is missing or unusable.
    """
    ticker = _text(body, "ticker")
    if not ticker:
        raise refusal(400, "missing_parameters", details="ticker is required")
    force = _word(Force, body, "time_in_force")
    expires = _moment(body, "expiration_time")
    if expires is not None and force is not Force.GTC:
        raise invalid_order("expiration_time needs good_till_canceled")
    return Ticket(
        ticker=ticker,
        side=_word(Side, body, "side"),
        price=_amount(body, "price"),
        count=read_count(body.get("count"), "count"),
        force=force,
        prevention=_word(Prevention, body, "self_trade_prevention_type"),
        client_order_id=read_client_id(body, "client_order_id"),
        expires=expires,
        post_only=_flag(body, "post_only"),
        reduce_only=_flag(body, "reduce_only"),
        cancel_on_pause=_flag(body, "cancel_order_on_pause"),
        group=_text(body, "order_group_id"),
    )


def read_older(body: Json) -> Ticket:
    """Read a request of the older wire: outcome and action, one price in cents or dollars.

    Raises:
        ApiError: a field is missing or unusable.
    """
    ticker, outcome, action = _text(body, "ticker"), _text(body, "side"), _text(body, "action")
    if not ticker:
        raise refusal(400, "missing_parameters", details="ticker is required")
    if outcome not in ("yes", "no") or action not in ("buy", "sell"):
        raise invalid_order("side should be yes or no, action buy or sell")
    if _text(body, "type") not in ("", "limit"):
        raise invalid_order("type should be limit")
    force = _OLDER_FORCES.get(_text(body, "time_in_force"))
    if force is None:
        raise invalid_order("time_in_force is unknown")
    max_cost = number(body.get("buy_max_cost"))
    expires = _moment(body, "expiration_ts")
    return Ticket(
        ticker=ticker,
        side=older_side(outcome, action),
        price=older_price(body),
        count=read_count(body.get("count_fp", body.get("count")), "count"),
        force=Force.FOK if max_cost is not None else force,
        prevention=_word(Prevention, {"word": "taker_at_cross", **_renamed(body)}, "word"),
        client_order_id=read_client_id(body, "client_order_id"),
        expires=expires,
        post_only=_flag(body, "post_only"),
        reduce_only=_flag(body, "reduce_only") or body.get("sell_position_floor") == 0,
        cancel_on_pause=_flag(body, "cancel_order_on_pause"),
        group=_text(body, "order_group_id"),
        max_cost=None if max_cost is None else max_cost / 100,
        outcome=outcome,
        action=action,
    )


def _renamed(body: Json) -> Json:
    chosen = body.get("self_trade_prevention_type")
    return {} if chosen is None else {"word": chosen}


def older_side(outcome: str, action: str) -> Side:
    """Return the side of the YES book that an outcome and an action mean."""
    return Side.BID if (outcome == "yes") == (action == "buy") else Side.ASK


def older_price(body: Json) -> Decimal:
    """Return the YES price of a request of the older wire.

    Raises:
        ApiError: not exactly one price is given, or it is no number.
    """
    given = [name for name in _PRICES if body.get(name) is not None]
    if len(given) != 1:
        raise invalid_order(f"exactly one of {', '.join(_PRICES[:-1])}, or {_PRICES[-1]} should be provided")
    value = number(body[given[0]])
    if value is None:
        raise invalid_order(f"{given[0]} should be a number")
    price = value if given[0].endswith("dollars") else value / 100
    return 1 - price if given[0].startswith("no") else price


def read_count(value: Any, name: str) -> int:
    """Read a number of contracts; no listed contract trades in fractions.

    Raises:
        ApiError: it is not a whole number above zero.
    """
    count = number(value)
    if count is None or count <= 0 or count != count.to_integral_value():
        raise invalid_order(f"{name} should be a whole number of contracts above zero")
    return int(count)


def read_client_id(body: Json, name: str) -> str:
    """Read a client's own order id.

    Raises:
        ApiError: it has characters the venue does not take.
    """
    found = _text(body, name)
    if body.get(name) is not None and not isinstance(body[name], str):
        raise unreadable(f"{name} should be a text")
    if found and _CLIENT_ID.match(found) is None:
        raise refusal(400, "invalid_parameters", details=f"{name} should be 1 to 64 letters, digits, - or _")
    return found


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _flag(body: Json, name: str) -> bool:
    return body.get(name) is True


def _word(kind: type[W], body: Json, name: str) -> W:
    try:
        return kind(str(body.get(name)))
    except ValueError as exc:
        known = ", ".join(kind)
        raise invalid_order(f"{name} should be one of {known}") from exc


def _amount(body: Json, name: str) -> Decimal:
    value = number(body.get(name))
    if value is None:
        raise invalid_order(f"{name} should be a number of dollars")
    return value


def _moment(body: Json, name: str) -> datetime | None:
    value = number(body.get(name))
    if value is None:
        return None
    try:
        return datetime.fromtimestamp(int(value), UTC)
    except (OverflowError, ValueError, OSError) as exc:
        raise invalid_order(f"{name} should be unix seconds") from exc
