"""Grammar of a fault script: actions, their parameters and the checks each value must pass."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulators.oanda.instruments import INSTRUMENTS
from simulators.oanda.wire import parse_time
from simulators.rest.faults import (
    FLAG,
    FRACTION,
    SECONDS,
    STATUS,
    TEXT,
    Params,
    check_common,
    check_counted,
    check_match,
    check_params,
    known_action,
    refuse_unknown,
)

_MATCH = ("method", "path", "account")
LEGS = ("takeProfit", "stopLoss", "trailingStopLoss")


def _is_list_of(names: tuple[str, ...]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(item in names for item in value)


_REASON = ("a reason in capitals such as MARKET_HALTED", lambda v: isinstance(v, str) and v.isupper())
_INSTRUMENTS = ("a list of listed instruments", _is_list_of(tuple(INSTRUMENTS)))


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
        {"status": STATUS, "retry_after": SECONDS, "body": TEXT, "content_type": TEXT, "after_accept": FLAG},
        ("status",),
    ),
    "delay": Action({"seconds": SECONDS, "after_accept": FLAG}, ("seconds",)),
    "non_json": Action({"body": TEXT}),
    "reject": _on_order({"reason": _REASON}, ("reason",)),
    "cancel_201": _on_order({"reason": _REASON}, ("reason",)),
    "partial_fill": _on_order({"fraction": FRACTION}, ("fraction",)),
    "lose_bracket": _on_order({"legs": ("a list out of " + ", ".join(LEGS), _is_list_of(LEGS))}),
    "order_not_found_lag": _on_order({"seconds": SECONDS}, ("seconds",)),
    "late_transactions": Action({"seconds": SECONDS}, ("seconds",), path="*", match=("account",)),
    "duplicate_transactions": Action(path="/v3/accounts/*/transactions/*"),
    "stall_stream": _on_stream({"instruments": _INSTRUMENTS, "after_seconds": SECONDS, "seconds": SECONDS}),
    "mute_stream": _on_stream({"after_seconds": SECONDS, "seconds": SECONDS}),
    "cut_stream": _on_stream({"after_seconds": SECONDS}),
    "end_stream": _on_stream({"after_seconds": SECONDS}),
    "weekend": Action({"instruments": _INSTRUMENTS}, counted=False, match=()),
    "freeze_quote": Action({"instruments": _INSTRUMENTS}, counted=False, match=()),
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
    if not action.counted:
        check_counted(fault, place)
    check_common(fault, place, parse_time)
    check_match(fault, place, action.match, "whole market")
    check_params(fault, place, action.params, action.required)
    return action
