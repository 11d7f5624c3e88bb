"""Fault scripts: the checks and counters every grammar shares, and the grammar for requests over HTTP.

That grammar is the read-only simulators' and the Client Portal's; the others put their own on the shared parts.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Generic, TypeVar

Json = dict[str, Any]
# parameter -> (expectation, check)
Params = Mapping[str, tuple[str, Callable[[Any], bool]]]


class FaultError(ValueError):
    """A fault script that cannot be used; the message names the field."""


def parse_moment(text: str) -> datetime:
    """Read an ISO-8601 time with an offset.

    Raises:
        ValueError: it is none, or names no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with an offset; found {text!r}")
    return moment.astimezone(UTC)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def one_of(*words: Any) -> tuple[str, Callable[[Any], bool]]:
    """Return the check of a parameter with a closed set of words."""
    return f"one of {', '.join(map(str, words))}", lambda value: value in words


SECONDS = ("a number of wall-clock seconds, 0 or more", _is_number)
NUMBER = ("a number, 0 or more", _is_number)
TEXT: tuple[str, Callable[[Any], bool]] = ("a text", lambda value: isinstance(value, str))
FLAG = ("true or false", lambda value: isinstance(value, bool))
FRACTION = ("a number from 0 to 1", lambda value: _is_number(value) and value <= 1)
STATUS: tuple[str, Callable[[Any], bool]] = (
    "an HTTP status from 400 to 599",
    lambda value: is_count(value) and 400 <= value <= 599,
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


@dataclass(slots=True, eq=False, kw_only=True)
class Scripted:
    """What every line of a script has, with its counters.

    ``between`` are two times as its simulator counts them; None means always.
    """

    name: str
    action: str
    times: int | None
    after: int
    between: tuple[Any, Any] | None
    params: Json
    seen: int = 0
    fired: int = 0

    def holds(self, now: Any) -> bool:
        """Tell whether its span covers a time."""
        return self.between is None or self.between[0] <= now < self.between[1]

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


F = TypeVar("F", bound=Scripted)


class Script(Generic[F]):
    """The faults in force, in script order."""

    def __init__(self, read: Callable[..., F]) -> None:
        self.faults: list[F] = []
        self._read = read

    def add(self, script: Any, *now: Any) -> None:
        """Add every fault of a script, or none when one is wrong.

        Args:
            script: the decoded JSON, a list or a single fault.
            now: the simulated time, where the faults of a grammar remember when they were added.

        Raises:
            FaultError: the script cannot be used; the message names the field.
        """
        items = script if isinstance(script, list) else [script]
        added = [self._read(item, f"faults[{i}]", *now) for i, item in enumerate(items)]
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


@dataclass(slots=True, eq=False, kw_only=True)
class Fault(Scripted):
    """A fault of requests."""

    method: str
    path: str

    def matches(self, method: str, path: str, now: datetime) -> bool:
        """Tell whether a request is one of those meant."""
        return self.method in ("*", method) and fnmatchcase(path, self.path) and self.holds(now)


class FaultBook(Script[Fault]):
    """The faults of requests in force, in script order."""

    def __init__(self, actions: Mapping[str, Action]) -> None:
        super().__init__(self._fault)
        self.actions = {**COMMON, **actions}

    def take(self, action: str, method: str, path: str, now: datetime) -> Json | None:
        """Count a request for an action; return the parameters of the fault that fires on it, if any."""
        for fault in self.faults:
            if fault.action == action and fault.matches(method, path, now) and fault.take():
                return fault.params
        return None

    def _fault(self, item: Any, place: str) -> Fault:
        action = known_action(item, place, self.actions)
        refuse_unknown(item, place, action.params)
        match = item.get("match", {})
        check_common(item, place)
        good = isinstance(match, dict) and all(key in ("method", "path") for key in match)
        require(item, place, "match", "an object with method and path", good)
        check_params(item, place, action.params, action.required)
        return Fault(
            name=item["name"],
            action=item["action"],
            method=match.get("method", "*").upper(),
            path=match.get("path", action.path),
            times=item.get("times", 1 if action.once else None),
            after=item.get("after", 0),
            between=span_of(item),
            params={key: item[key] for key in action.params if key in item},
        )


A = TypeVar("A")


def known_action(item: Any, place: str, actions: Mapping[str, A]) -> A:
    """Return the action that a fault names.

    Raises:
        FaultError: it is no object, has no name, or names none of them.
    """
    if not isinstance(item, dict):
        raise FaultError(f"{place}: expected an object, found {item!r}")
    require(item, place, "name", "a text", isinstance(item.get("name"), str))
    action = actions.get(str(item.get("action")))
    if action is None:
        raise FaultError(f"{place}.action: expected one of {', '.join(actions)}; found {item.get('action')!r}")
    return action


def refuse_unknown(item: Json, place: str, params: Params, more: Sequence[str] = ()) -> None:
    """Refuse a field that a fault of its action has not; ``more`` are those of a grammar beside the common ones.

    Raises:
        FaultError: there is one.
    """
    known = tuple(dict.fromkeys(("name", "match", "action", "times", "after", *more, "between", *params)))
    for key in item:
        if key not in known:
            raise FaultError(f"{place}.{key}: unknown field for {item['action']}; expected one of {', '.join(known)}")


def check_common(item: Json, place: str, parse: Callable[[str], Any] = parse_moment) -> None:
    """Check when and how often a fault is to fire.

    Args:
        parse: reads a simulated time; raises ValueError.

    Raises:
        FaultError: a field is unusable.
    """
    times, after = item.get("times"), item.get("after", 0)
    require(item, place, "times", "a whole number from 1, or null", times is None or (is_count(times) and times > 0))
    require(item, place, "after", "a whole number from 0", is_count(after))
    require(item, place, "between", "two simulated times [from, to]", _is_span(item.get("between"), parse))


def check_params(item: Json, place: str, params: Params, required: Sequence[str]) -> None:
    """Check the parameters of a fault's action.

    Raises:
        FaultError: one is missing or unusable.
    """
    for key, (expected, check) in params.items():
        if key in item:
            require(item, place, key, expected, check(item[key]))
        elif key in required:
            raise FaultError(f"{place}.{key}: {item['action']} needs {expected}")


def require(item: Json, place: str, key: str, expected: str, good: bool) -> None:
    """Raise FaultError in the common words unless a field is good."""
    if not good:
        raise FaultError(f"{place}.{key}: expected {expected}; found {item.get(key)!r}")


def check_counted(item: Json, place: str) -> None:
    """Refuse a count of occasions for what holds over a span of time.

    Raises:
        FaultError: it has one.
    """
    if "times" in item or "after" in item:
        raise FaultError(f"{place}.times: {item['action']} holds for a span; use between, not times or after")


def check_match(item: Json, place: str, known: Sequence[str], whole: str) -> None:
    """Check what a fault is limited to: texts by key; without keys it holds for the ``whole``.

    Raises:
        FaultError: it is limited to something else.
    """
    match = item.get("match", {})
    good = isinstance(match, dict) and all(key in known and isinstance(value, str) for key, value in match.items())
    expected = f"an object of texts with keys {', '.join(known)}" if known else f"nothing: it holds for the {whole}"
    require(item, place, "match", expected, good)


def scripted(item: Json, params: Params) -> dict[str, Any]:
    """Return what every line of a checked script has, its span excepted."""
    return {
        "name": item["name"],
        "action": item["action"],
        "times": item.get("times"),
        "after": item.get("after", 0),
        "params": {key: item[key] for key in params if key in item},
    }


def span_of(item: Json, parse: Callable[[str], Any] = parse_moment) -> tuple[Any, Any] | None:
    """Return the span of a checked fault, None when it names none; ``parse`` as in `check_common`."""
    between = item.get("between")
    return None if between is None else (parse(between[0]), parse(between[1]))


def _is_span(value: Any, parse: Callable[[str], Any]) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(item, str) for item in value):
        return False
    try:
        return bool(parse(value[0]) < parse(value[1]))
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
