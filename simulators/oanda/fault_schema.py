"""Grammar of a fault script: actions, their parameters and the checks each value must pass."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulators.oanda.instruments import INSTRUMENTS
from simulators.oanda.wire import Json, parse_time
from simulators.rest.faults import FaultError, check_params, is_count, known_action, require

Check = Callable[[Any], bool]
# parameter -> (expectation, check)
Params = dict[str, tuple[str, Check]]
_MATCH = ("method", "path", "account")
LEGS = ("takeProfit", "stopLoss", "trailingStopLoss")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _is_list_of(names: tuple[str, ...]) -> Check:
    return lambda value: isinstance(value, list) and bool(value) and all(item in names for item in value)


_SECONDS = ("a number of wall-clock seconds, 0 or more", _is_number)
_TEXT = ("a text", lambda value: isinstance(value, str))
_FLAG = ("true or false", lambda value: isinstance(value, bool))
_REASON = ("a reason in capitals such as MARKET_HALTED", lambda v: isinstance(v, str) and v.isupper())
_INSTRUMENTS = ("a list of listed instruments", _is_list_of(tuple(INSTRUMENTS)))
_FRACTION = ("a number from 0 to 1", lambda value: _is_number(value) and value <= 1)
_STATUS = ("an HTTP status from 400 to 599", lambda value: is_count(value) and 400 <= value <= 599)


@dataclass(frozen=True, slots=True)
class Action:
    """What an action accepts: parameter -> (expectation, check); ``required`` ones and default match."""

    params: Params = field(default_factory=dict)
    required: tuple[str, ...] = ()
    method: str = "*"
    path: str = "/v3/*"
    # market-wide actions hold for a span of time, so counting requests means nothing to them
    counted: bool = True
    match: tuple[str, ...] = _MATCH


def _on_order(params: Params, required: tuple[str, ...] = ()) -> Action:
    return Action(params, required, "POST", "/v3/accounts/*/orders")


def _on_stream(params: Params) -> Action:
    return Action(params, (), "GET", "*/stream")


ACTIONS: dict[str, Action] = {
    "drop_before_accept": Action(),
    "drop_after_accept": Action(),
    "status": Action(
        {"status": _STATUS, "retry_after": _SECONDS, "body": _TEXT, "content_type": _TEXT, "after_accept": _FLAG},
        ("status",),
    ),
    "delay": Action({"seconds": _SECONDS, "after_accept": _FLAG}, ("seconds",)),
    "non_json": Action({"body": _TEXT}),
    "reject": _on_order({"reason": _REASON}, ("reason",)),
    "cancel_201": _on_order({"reason": _REASON}, ("reason",)),
    "partial_fill": _on_order({"fraction": _FRACTION}, ("fraction",)),
    "lose_bracket": _on_order({"legs": ("a list out of " + ", ".join(LEGS), _is_list_of(LEGS))}),
    "order_not_found_lag": _on_order({"seconds": _SECONDS}, ("seconds",)),
    "late_transactions": Action({"seconds": _SECONDS}, ("seconds",), path="*", match=("account",)),
    "duplicate_transactions": Action(path="/v3/accounts/*/transactions/*"),
    "stall_stream": _on_stream({"instruments": _INSTRUMENTS, "after_seconds": _SECONDS, "seconds": _SECONDS}),
    "mute_stream": _on_stream({"after_seconds": _SECONDS, "seconds": _SECONDS}),
    "cut_stream": _on_stream({"after_seconds": _SECONDS}),
    "end_stream": _on_stream({"after_seconds": _SECONDS}),
    "weekend": Action({"instruments": _INSTRUMENTS}, counted=False, match=()),
    "freeze_quote": Action({"instruments": _INSTRUMENTS}, counted=False, match=()),
}
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
    _check_common(fault, place, action)
    check_params(fault, place, action.params, action.required)
    return action


def _check_common(fault: Json, place: str, action: Action) -> None:
    times, after = fault.get("times"), fault.get("after", 0)
    if not action.counted and ("times" in fault or "after" in fault):
        raise FaultError(f"{place}.times: {fault['action']} holds for a span; use between, not times or after")
    require(fault, place, "times", "a whole number from 1, or null", times is None or (is_count(times) and times > 0))
    require(fault, place, "after", "a whole number from 0", is_count(after))
    require(fault, place, "between", "two simulated times [from, to]", _is_span(fault.get("between")))
    match = fault.get("match", {})
    known = action.match
    good = isinstance(match, dict) and all(key in known and isinstance(value, str) for key, value in match.items())
    expected = f"an object of texts with keys {', '.join(known)}" if known else "nothing: it holds for the whole market"
    require(fault, place, "match", expected, good)


def _is_span(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(item, str) for item in value):
        return False
    try:
        return parse_time(value[0]) < parse_time(value[1])
    except ValueError:
        return False
