"""Grammar of a fault script: actions, what each takes, and what it can be limited to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulators.ibkr.contracts import BY_SYMBOL
from simulators.rest.faults import (
    NUMBER,
    SECONDS,
    TEXT,
    FaultError,
    Json,
    Params,
    check_common,
    check_params,
    is_count,
    known_action,
    one_of,
    require,
)

_KEYS = ("message", "client")
SIGNED = ("a number", lambda value: isinstance(value, (int, float)) and not isinstance(value, bool))
FRACTION = ("a number above 0 and up to 1", lambda value: NUMBER[1](value) and 0 < value <= 1)
POSITIVE = ("a whole number from 1", lambda value: is_count(value) and value > 0)
STATUSES = (
    "a list of order statuses",
    lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
)


@dataclass(frozen=True, slots=True)
class Action:
    """What an action takes and what it means unless a fault says otherwise.

    A counted action fires on occasions (times, after); the others hold from when they are added, or from the first
    time of ``between``, until they are removed or until its second.
    """

    params: Params = field(default_factory=dict)
    required: tuple[str, ...] = ()
    message: str = "*"
    match: tuple[str, ...] = ()
    counted: bool = True


def _on(message: str, params: Params | None = None, required: tuple[str, ...] = ()) -> Action:
    return Action(params or {}, required, message, ("client", "symbol"))


def _span(match: tuple[str, ...], params: Params | None = None, required: tuple[str, ...] = ()) -> Action:
    return Action(params or {}, required, match=match, counted=False)


_SYMBOL = one_of(*BY_SYMBOL)
_RESTING = one_of("keep", "cancel", "scale")
_RESTORED = one_of("data_kept", "data_lost", "never")
ACTIONS: Mapping[str, Action] = {
    # the gateway and its connection to the broker
    "connectivity_lost": _span((), {"seconds": SECONDS, "restored": _RESTORED, "repeat": POSITIVE}),
    "restored_data_lost": _span(()),
    "restored_data_kept": _span(()),
    "farm_broken": _span((), {"farm": one_of("market", "history", "contracts"), "seconds": SECONDS}),
    "nightly_reset": _span((), {"seconds": SECONDS, "storm": POSITIVE}),
    "half_up": Action(match=("client",), message="startApi"),
    "dead_socket": _span(("client",)),
    "drop_socket": Action({"when": one_of("before", "after", "middle")}, match=_KEYS),
    "client_id_in_use": Action(match=("client",), message="startApi"),
    "id_rollback": Action({"by": POSITIVE}, match=("client",), message="startApi"),
    "late_orders": Action({"seconds": SECONDS}, ("seconds",), match=("client",), message="startApi"),
    "slow_answers": Action({"seconds": SECONDS}, ("seconds",), match=_KEYS),
    # orders
    "lost_reply": _on("placeOrder"),
    "swallowed_order": _on("placeOrder"),
    "rejected": _on("placeOrder", {"reason": TEXT, "code": POSITIVE}),
    "inactive": _on("placeOrder", {"reason": TEXT}),
    "order_message": _on("placeOrder", {"text": TEXT}),
    "tif_preset": _on("placeOrder"),
    "partial_fill": _on("placeOrder", {"fraction": FRACTION, "seconds": SECONDS}, ("fraction",)),
    "cancel_refused": _on("cancelOrder", {"code": POSITIVE}),
    "late_fill_after_cancel": _on("cancelOrder", {"seconds": SECONDS}),
    "omitted_child": _on("req*OpenOrders", {"leg": one_of("stop", "limit", "any")}),
    # what is told of orders
    "missing_status": _on("orderStatus", {"statuses": STATUSES}),
    "duplicate_status": _on("orderStatus", {"statuses": STATUSES}),
    "duplicate_execution": _on("execDetails"),
    "reordered_execution": _on("execDetails", {"seconds": SECONDS}),
    "commission_first": _on("execDetails"),
    "late_commission": _on("execDetails", {"seconds": SECONDS}),
    "execution_correction": _on("execDetails", {"price_change": SIGNED, "quantity_change": SIGNED, "seconds": SECONDS}),
    "busted_trade": _on("execDetails", {"seconds": SECONDS}),
    # market data
    "competing_session": _span(("client", "symbol")),
    "stale_ticker": _span(("client", "symbol")),
    "delayed_data": _span(("client", "symbol")),
    "no_quote": _span(("client", "symbol"), {"price": one_of(-1, 0), "sides": one_of("bid", "ask", "both")}),
    "not_subscribed": _span(("client", "symbol"), {"code": one_of(354, 10089)}),
    "keep_up_to_date_stops": _span(("client", "symbol")),
    "pacing_violation": _on("reqHistoricalData"),
    # the company
    "split": _span((), {"symbol": _SYMBOL, "new": POSITIVE, "old": POSITIVE, "orders": _RESTING}, ("symbol", "new")),
}  # fmt: skip
_COMMON = ("name", "match", "action", "times", "after", "between")


def check_fault(fault: Any, place: str) -> Action:
    """Check one fault and return its action.

    Args:
        fault: the decoded JSON.
        place: how to name it in a message, such as ``faults[2]``.

    Raises:
        FaultError: a field is missing, unknown or unusable.
    """
    action = known_action(fault, place, ACTIONS)
    for key in fault:
        if key not in _COMMON and key not in action.params:
            known = ", ".join((*_COMMON, *action.params))
            raise FaultError(f"{place}.{key}: unknown field for {fault['action']}; expected one of {known}")
    _check_scope(fault, place, action)
    check_params(fault, place, action.params, action.required)
    return action


def _check_scope(fault: Json, place: str, action: Action) -> None:
    if not action.counted and ("times" in fault or "after" in fault):
        raise FaultError(f"{place}.times: {fault['action']} holds for a span; use between, not times or after")
    check_common(fault, place)
    match, known = fault.get("match", {}), action.match
    good = isinstance(match, dict) and all(key in known for key in match)
    expected = f"an object with keys {', '.join(known)}" if known else "nothing: it holds for the whole gateway"
    require(fault, place, "match", expected, good)
    texts = all(isinstance(match.get(key, ""), str) for key in ("message", "symbol"))
    require(fault, place, "match", "texts for message and symbol, a whole number for client", texts
            and is_count(match.get("client", 0)))  # fmt: skip
