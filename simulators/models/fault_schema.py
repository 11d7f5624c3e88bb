"""Grammar of a fault script: actions, their parameters and the checks each value must pass."""

import math
from dataclasses import dataclass, field
from typing import Any

from simulators.models.catalogue import PROVIDERS
from simulators.oanda.wire import parse_time
from simulators.rest.faults import (
    FLAG,
    STATUS,
    TEXT,
    FaultError,
    Params,
    check_common,
    check_match,
    check_params,
    is_count,
    known_action,
    refuse_unknown,
    require,
)

MATCH = ("provider", "model", "contains")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


_SECONDS = ("a number of wall-clock seconds, 0 or more", _is_number)
_COUNT = ("a whole number from 0", is_count)
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
        {"status": STATUS, "retry_after": _SECONDS, "body": TEXT, "content_type": TEXT}, required=("status",)
    ),
    "overloaded": Action({"retry_after": _SECONDS}),
    "rate_limited": Action({"retry_after": _SECONDS}),
    "out_of_credit": Action(),
    "auth": Action({"denied": FLAG}),
    "retired_model": Action(),
    "slow": Action({"seconds": _SECONDS}, required=("seconds",), combines=True),
    "hang": Action({"paid": FLAG}),
    "cut": Action(combines=True),
    "refusal": Action({"form": _FORM}),
    "malformed_json": Action({"text": TEXT}),
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
    refuse_unknown(fault, place, action.params, ("every",))
    check_common(fault, place, parse_time)
    check_match(fault, place, MATCH, "")
    every, provider = fault.get("every", 1), fault.get("match", {}).get("provider", "*")
    require(fault, place, "every", "a whole number from 1", is_count(every) and every > 0)
    if provider not in ("*", *PROVIDERS):
        raise FaultError(f"{place}.match.provider: expected one of {', '.join(PROVIDERS)}; found {provider!r}")
    check_params(fault, place, action.params, action.required)
    return action
