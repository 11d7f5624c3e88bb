"""Fault scripts of the read-only simulators: grammar, matching and counters."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

Json = dict[str, Any]
# parameter -> (expectation, check)
Params = Mapping[str, tuple[str, Callable[[Any], bool]]]


class FaultError(ValueError):
    """A fault script that cannot be used; the message names the field."""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def one_of(*words: Any) -> tuple[str, Callable[[Any], bool]]:
    """Return the check of a parameter with a closed set of words."""
    return f"one of {', '.join(map(str, words))}", lambda value: value in words


SECONDS = ("a number of wall-clock seconds, 0 or more", _is_number)
NUMBER = ("a number, 0 or more", _is_number)
TEXT: tuple[str, Callable[[Any], bool]] = ("a text", lambda value: isinstance(value, str))
STATUS: tuple[str, Callable[[Any], bool]] = (
    "an HTTP status from 400 to 599",
    lambda value: _is_count(value) and 400 <= value <= 599,
)


@dataclass(frozen=True, slots=True)
class Action:
    """What an action accepts and the path it means unless a fault says otherwise; ``once`` stands for ``times: 1``."""

    params: Params = field(default_factory=dict)
    required: tuple[str, ...] = ()
    path: str = "*"
    once: bool = False


# what every read-only simulator can do wrong
COMMON: Mapping[str, Action] = {
    "status": Action({"status": STATUS, "retry_after": SECONDS, "body": TEXT}, ("status",)),
    "delay": Action({"seconds": SECONDS}, ("seconds",)),
    "malformed": Action({"body": TEXT}),
    "drop": Action(),
}


@dataclass(slots=True)
class Fault:
    """One line of the script with its counters."""

    name: str
    action: str
    method: str
    path: str
    times: int | None
    after: int
    between: tuple[datetime, datetime] | None
    params: Json
    seen: int = 0
    fired: int = 0

    def matches(self, method: str, path: str, now: datetime) -> bool:
        """Tell whether a request is one of those meant."""
        in_time = self.between is None or self.between[0] <= now < self.between[1]
        return self.method in ("*", method) and fnmatchcase(path, self.path) and in_time

    def take(self) -> bool:
        """Count one occasion and tell whether the fault fires on it."""
        if self.times is not None and self.fired >= self.times:
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        self.fired += 1
        return True

    def state(self) -> Json:
        """Return name, action and counters."""
        return {"name": self.name, "action": self.action, "seen": self.seen, "fired": self.fired, "params": self.params}


class FaultBook:
    """The faults in force, in script order."""

    def __init__(self, actions: Mapping[str, Action]) -> None:
        self.actions = {**COMMON, **actions}
        self.faults: list[Fault] = []

    def add(self, script: Any) -> None:
        """Add every fault of a script, or none when one is wrong.

        Raises:
            FaultError: the script cannot be used; the message names the field.
        """
        items = script if isinstance(script, list) else [script]
        added = [self._fault(item, f"faults[{i}]") for i, item in enumerate(items)]
        names = [fault.name for fault in (*self.faults, *added)]
        for i, fault in enumerate(added):
            if names.count(fault.name) > 1:
                raise FaultError(f"faults[{i}].name: {fault.name!r} is taken; every fault needs a name of its own")
        self.faults.extend(added)

    def clear(self, name: str | None = None) -> int:
        """Remove one fault, or all; return how many went."""
        before = len(self.faults)
        self.faults = [fault for fault in self.faults if name is not None and fault.name != name]
        return before - len(self.faults)

    def take(self, action: str, method: str, path: str, now: datetime) -> Json | None:
        """Count a request for an action; return the parameters of the fault that fires on it, if any."""
        for fault in self.faults:
            if fault.action == action and fault.matches(method, path, now) and fault.take():
                return fault.params
        return None

    def _fault(self, item: Any, place: str) -> Fault:
        if not isinstance(item, dict):
            raise FaultError(f"{place}: expected an object, found {item!r}")
        _require(item, place, "name", "a text", isinstance(item.get("name"), str))
        action = self.actions.get(str(item.get("action")))
        if action is None:
            known = ", ".join(self.actions)
            raise FaultError(f"{place}.action: expected one of {known}; found {item.get('action')!r}")
        _check(item, place, action)
        match, between = item.get("match", {}), item.get("between")
        return Fault(
            name=item["name"],
            action=item["action"],
            method=match.get("method", "*").upper(),
            path=match.get("path", action.path),
            times=item.get("times", 1 if action.once else None),
            after=item.get("after", 0),
            between=None if between is None else (parse_moment(between[0]), parse_moment(between[1])),
            params={key: item[key] for key in action.params if key in item},
        )


def _check(item: Json, place: str, action: Action) -> None:
    known = ("name", "match", "action", "times", "after", "between", *action.params)
    for key in item:
        if key not in known:
            raise FaultError(f"{place}.{key}: unknown field; expected one of {', '.join(known)}")
    times, after, match = item.get("times"), item.get("after", 0), item.get("match", {})
    _require(item, place, "times", "a whole number from 1, or null", times is None or (_is_count(times) and times > 0))
    _require(item, place, "after", "a whole number from 0", _is_count(after))
    _require(item, place, "between", "two simulated times [from, to]", _is_span(item.get("between")))
    good = isinstance(match, dict) and all(key in ("method", "path") for key in match)
    _require(item, place, "match", "an object with method and path", good)
    for key, (expected, check) in action.params.items():
        if key in item:
            _require(item, place, key, expected, check(item[key]))
        elif key in action.required:
            raise FaultError(f"{place}.{key}: {item['action']} needs {expected}")


def _require(item: Json, place: str, key: str, expected: str, good: bool) -> None:
    if not good:
        raise FaultError(f"{place}.{key}: expected {expected}; found {item.get(key)!r}")


def parse_moment(text: str) -> datetime:
    """Read an ISO-8601 time with an offset.

    Raises:
        ValueError: it is none, or names no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with an offset; found {text!r}")
    return moment.astimezone(UTC)


def _is_span(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(item, str) for item in value):
        return False
    try:
        return parse_moment(value[0]) < parse_moment(value[1])
    except ValueError:
        return False


def load_script(path: Path) -> Any:
    """Read a script file.

    Raises:
        FaultError: the file cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise FaultError(f"faults: cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise FaultError(f"faults: expected a JSON list in {path}; found {exc}") from exc
