"""Grammar of a fault script: actions, their parameters and the checks each value must pass."""

from dataclasses import dataclass, field
from typing import Any

from simulators.kalshi.wire import ROOT, SOCKET_PATH, parse_time
from simulators.rest.faults import (
    FLAG,
    FRACTION,
    NUMBER,
    SECONDS,
    TEXT,
    Params,
    check_common,
    check_counted,
    check_match,
    check_params,
    is_count,
    known_action,
    refuse_unknown,
)

_MATCH = ("method", "path", "ticker", "account")


def _is_offset(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    try:
        parse_time(value)
    except (TypeError, ValueError):
        return False
    return True


_SIMULATED = ("a number of simulated seconds, 0 or more", NUMBER[1])
_OFFSET = ("a number of wall-clock seconds, below 0 for a clock that is behind", _is_offset)
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
        {"status": _STATUS, "body": TEXT, "content_type": TEXT, "retry_after": SECONDS, "after_accept": FLAG},
        ("status",),
    ),
    "delay": Action({"seconds": SECONDS, "after_accept": FLAG}, ("seconds",)),
    "drop_request": Action(),
    "drop_reply": Action(),
    "non_json": Action({"body": TEXT}),
    "rate_limit": Action(),
    "wrong_cursor": Action({"kind": _KIND}, method="GET"),
    "ok_without_order": _on_order({"body": TEXT, "processed": FLAG}),
    "partial_fill": _on_order({"fraction": FRACTION}, ("fraction",)),
    "late_listing": _on_order({"seconds": SECONDS}, ("seconds",)),
    "legacy_refused": Action({"status": _STATUS}, path=f"{ROOT}/portfolio/orders*"),
    "cut_websocket": _on_socket({"after_seconds": SECONDS}),
    "silent_websocket": _on_socket({"after_seconds": SECONDS, "seconds": SECONDS}),
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


def check_fault(fault: Any, place: str) -> Action:
    """Check one fault and return its action.

    Args:
        fault: the decoded JSON.
        place: how to name it in a message, such as ``faults[2]``.

    Raises:
        FaultError: a field is missing, unknown or unusable.
    """
    action = known_action(fault, place, ACTIONS)
    refuse_unknown(fault, place, action.params)
    # a dispute waits a number of seconds, every other fault lets a number of occasions pass
    timed = {key: value for key, value in fault.items() if key != "after" or "after" not in action.params}
    if not action.counted:
        check_counted(timed, place)
    check_common(timed, place, parse_time)
    check_match(fault, place, action.match, "whole venue")
    check_params(fault, place, action.params, action.required)
    return action
