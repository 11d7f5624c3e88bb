"""Grammar of a fault script: actions, their parameters and the checks each value must pass."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulators.kalshi.wire import ROOT, SOCKET_PATH, Json, parse_time
from simulators.rest.faults import FaultError, check_params, is_count, known_action, require

Check = Callable[[Any], bool]
# parameter -> (expectation, check)
Params = dict[str, tuple[str, Check]]
_MATCH = ("method", "path", "ticker", "account")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _is_offset(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    try:
        parse_time(value)
    except (TypeError, ValueError):
        return False
    return True


_WALL = ("a number of wall-clock seconds, 0 or more", _is_number)
_SIMULATED = ("a number of simulated seconds, 0 or more", _is_number)
_OFFSET = ("a number of wall-clock seconds, below 0 for a clock that is behind", _is_offset)
_TEXT = ("a text", lambda value: isinstance(value, str))
_FLAG = ("true or false", lambda value: isinstance(value, bool))
_FRACTION = ("a number from 0 to 1", lambda value: _is_number(value) and value <= 1)
_STATUS = ("an HTTP status from 200 to 599", lambda value: is_count(value) and 200 <= value <= 599)
_TIME = ("a simulated time with an offset, such as 2014-05-06T12:00:00Z", _is_time)
_RESULT = ("yes or no", lambda value: value in ("yes", "no"))
_KIND = ("repeat or unknown", lambda value: value in ("repeat", "unknown"))
_SKIP = ("a whole number from 1", lambda value: is_count(value) and value > 0)


@dataclass(frozen=True, slots=True)
class Action:
    """What an action accepts: parameter -> (expectation, check); ``required`` ones and the default match."""

    params: Params = field(default_factory=dict)
    required: tuple[str, ...] = ()
    method: str = "*"
    path: str = f"{ROOT}/*"
    # what holds for a market over a span of time is not counted in requests
    counted: bool = True
    match: tuple[str, ...] = _MATCH


def _on_order(params: Params | None = None, required: tuple[str, ...] = ()) -> Action:
    return Action(params or {}, required, "POST", f"{ROOT}/portfolio/*orders*")


def _on_socket(params: Params) -> Action:
    return Action(params, (), "GET", SOCKET_PATH, match=("account", "ticker"))


def _on_market(params: Params | None = None, required: tuple[str, ...] = ()) -> Action:
    return Action(params or {}, required, counted=False, match=("ticker",))


_DISPUTE: Params = {"after": _SIMULATED, "seconds": _SIMULATED, "result": _RESULT, "timer": _SIMULATED}
ACTIONS: dict[str, Action] = {
    "status": Action(
        {"status": _STATUS, "body": _TEXT, "content_type": _TEXT, "retry_after": _WALL, "after_accept": _FLAG},
        ("status",),
    ),
    "delay": Action({"seconds": _WALL, "after_accept": _FLAG}, ("seconds",)),
    "drop_request": Action(),
    "drop_reply": Action(),
    "non_json": Action({"body": _TEXT}),
    "rate_limit": Action(),
    "wrong_cursor": Action({"kind": _KIND}, method="GET"),
    "ok_without_order": _on_order({"body": _TEXT, "processed": _FLAG}),
    "partial_fill": _on_order({"fraction": _FRACTION}, ("fraction",)),
    "late_listing": _on_order({"seconds": _WALL}, ("seconds",)),
    "legacy_refused": Action({"status": _STATUS}, path=f"{ROOT}/portfolio/orders*"),
    "cut_websocket": _on_socket({"after_seconds": _WALL}),
    "silent_websocket": _on_socket({"after_seconds": _WALL, "seconds": _WALL}),
    "gap_websocket": _on_socket({"skip": _SKIP}),
    "exchange_paused": Action(counted=False, match=()),
    "clock_off": Action({"seconds": _OFFSET}, ("seconds",), counted=False, match=()),
    "put_away": Action({"seconds": _SIMULATED}, ("seconds",), counted=False, match=()),
    "stale_quotes": _on_market(),
    "market_paused": _on_market(),
    "early_close": _on_market({"closes_at": _TIME}),
    "disputed_result": _on_market(_DISPUTE),
    "late_settlement": _on_market({"seconds": _SIMULATED}, ("seconds",)),
}
_COMMON = ("name", "match", "action", "times", "after", "between")
# a dispute waits a number of seconds, every other fault lets a number of occasions pass
_OWN_AFTER = ("disputed_result",)


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
            known = ", ".join(dict.fromkeys((*_COMMON, *action.params)))
            raise FaultError(f"{place}.{key}: unknown field for {fault['action']}; expected one of {known}")
    _check_common(fault, place, action)
    check_params(fault, place, action.params, action.required)
    return action


def _check_common(fault: Json, place: str, action: Action) -> None:
    times, after = fault.get("times"), fault.get("after", 0)
    own_after = fault["action"] in _OWN_AFTER
    if not action.counted and ("times" in fault or ("after" in fault and not own_after)):
        raise FaultError(f"{place}.times: {fault['action']} holds for a span; use between, not times or after")
    require(fault, place, "times", "a whole number from 1, or null", times is None or (is_count(times) and times > 0))
    require(fault, place, "after", "a whole number from 0", own_after or is_count(after))
    require(fault, place, "between", "two simulated times [from, to]", _is_span(fault.get("between")))
    match, known = fault.get("match", {}), action.match
    good = isinstance(match, dict) and all(key in known and isinstance(value, str) for key, value in match.items())
    expected = f"an object of texts with keys {', '.join(known)}" if known else "nothing: it holds for the whole venue"
    require(fault, place, "match", expected, good)


def _is_span(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 2 or not all(_is_time(item) for item in value):
        return False
    return parse_time(value[0]) < parse_time(value[1])
