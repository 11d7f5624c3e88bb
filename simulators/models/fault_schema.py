"""Grammar of a fault script: actions, their parameters and the checks each value must pass."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulators.models.catalogue import PROVIDERS
from simulators.models.wire import Json
from simulators.oanda.wire import parse_time
from simulators.rest.faults import FaultError, check_params, is_count, known_action, require

Check = Callable[[Any], bool]
# parameter -> (expectation, check)
Params = dict[str, tuple[str, Check]]
MATCH = ("provider", "model", "contains")
_COMMON = ("name", "match", "action", "times", "after", "every", "between")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


_SECONDS = ("a number of wall-clock seconds, 0 or more", _is_number)
_TEXT = ("a text", lambda value: isinstance(value, str))
_FLAG = ("true or false", lambda value: isinstance(value, bool))
_COUNT = ("a whole number from 0", is_count)
_STATUS = ("an HTTP status from 400 to 599", lambda value: is_count(value) and 400 <= value <= 599)
_FORM = ("'answer' or 'filter'", lambda value: value in ("answer", "filter"))
_ANY = ("any JSON value", lambda value: True)


@dataclass(frozen=True, slots=True)
class Action:
    """What an action accepts: parameter -> (expectation, check), and whether it can go with another on one request."""

    params: Params = field(default_factory=dict)
    required: tuple[str, ...] = ()
    combines: bool = False


ACTIONS: dict[str, Action] = {
    "status": Action(
        {"status": _STATUS, "retry_after": _SECONDS, "body": _TEXT, "content_type": _TEXT}, required=("status",)
    ),
    "overloaded": Action({"retry_after": _SECONDS}),
    "rate_limited": Action({"retry_after": _SECONDS}),
    "out_of_credit": Action(),
    "auth": Action({"denied": _FLAG}),
    "retired_model": Action(),
    "slow": Action({"seconds": _SECONDS}, required=("seconds",), combines=True),
    "hang": Action({"paid": _FLAG}),
    "cut": Action(combines=True),
    "refusal": Action({"form": _FORM}),
    "malformed_json": Action({"text": _TEXT}),
    "wrong_schema": Action({"value": _ANY}),
    "out_of_range": Action({"value": _ANY}),
    "truncated": Action({"tokens": _COUNT}),
    "empty": Action(),
    "no_usage": Action(combines=True),
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
    for key in fault:
        if key not in _COMMON and key not in action.params:
            known = ", ".join((*_COMMON, *action.params))
            raise FaultError(f"{place}.{key}: unknown field for {fault['action']}; expected one of {known}")
    _check_common(fault, place)
    check_params(fault, place, action.params, action.required)
    return action


def _check_common(fault: Json, place: str) -> None:
    times, every = fault.get("times"), fault.get("every", 1)
    require(fault, place, "times", "a whole number from 1, or null", times is None or (is_count(times) and times > 0))
    require(fault, place, "after", "a whole number from 0", is_count(fault.get("after", 0)))
    require(fault, place, "every", "a whole number from 1", is_count(every) and every > 0)
    require(fault, place, "between", "two simulated times [from, to]", _is_span(fault.get("between")))
    match = fault.get("match", {})
    good = isinstance(match, dict) and all(key in MATCH and isinstance(value, str) for key, value in match.items())
    require(fault, place, "match", f"an object of texts with keys {', '.join(MATCH)}", good)
    provider = match.get("provider", "*")
    if provider not in ("*", *PROVIDERS):
        raise FaultError(f"{place}.match.provider: expected one of {', '.join(PROVIDERS)}; found {provider!r}")


def _is_span(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(item, str) for item in value):
        return False
    try:
        return parse_time(value[0]) < parse_time(value[1])
    except ValueError:
        return False
