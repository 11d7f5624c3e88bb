"""Fault script: what goes wrong, for whom, how often, and how often it did."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from simulators.models.fault_schema import ACTIONS, check_fault
from simulators.models.wire import Json
from simulators.oanda.wire import parse_time
from simulators.rest.faults import FaultError

_ALWAYS = (-(2**62), 2**62)


@dataclass(frozen=True, slots=True)
class Occasion:
    """One request for text, as the fault script sees it; ``now`` is simulated, in milliseconds."""

    provider: str
    model: str
    prompt: str
    now: int


@dataclass(slots=True)
class Fault:
    """One line of the script with its counters."""

    name: str
    action: str
    provider: str
    model: str
    contains: str
    times: int | None
    after: int
    every: int
    between: tuple[int, int]
    params: Json
    seen: int = 0
    fired: int = 0

    def matches(self, occasion: Occasion) -> bool:
        """Tell whether a request is one of those meant."""
        return (
            self.provider in ("*", occasion.provider)
            and fnmatchcase(occasion.model, self.model)
            and self.contains in occasion.prompt
            and self.between[0] <= occasion.now < self.between[1]
        )

    def take(self) -> bool:
        """Count one occasion and tell whether the fault fires on it."""
        if self.times is not None and self.fired >= self.times:
            return False
        self.seen += 1
        if self.seen <= self.after or (self.seen - self.after) % self.every:
            return False
        self.fired += 1
        return True

    def state(self) -> Json:
        """Return name, action and counters."""
        return {"name": self.name, "action": self.action, "seen": self.seen, "fired": self.fired, "params": self.params}


@dataclass(frozen=True, slots=True)
class Taken:
    """The faults that fire on one request: action -> fault."""

    by_action: dict[str, Fault] = field(default_factory=dict)

    def __contains__(self, action: str) -> bool:
        return action in self.by_action

    def param(self, action: str, name: str, default: Any = None) -> Any:
        """Return a parameter of the fault that fired for an action."""
        return self.by_action[action].params.get(name, default) if action in self.by_action else default

    @property
    def names(self) -> list[str]:
        return [fault.name for fault in self.by_action.values()]


class FaultBook:
    """The faults in force, in script order."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(self, script: Any) -> None:
        """Add every fault of a script, or none when one is wrong.

        Raises:
            FaultError: the script cannot be used; the message names the field.
        """
        items = script if isinstance(script, list) else [script]
        added = [_fault(item, f"faults[{i}]") for i, item in enumerate(items)]
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

    def take(self, occasion: Occasion) -> Taken:
        """Count a request for every fault that means it and return those that fire.

        Of the actions that decide what the answer is, the first that fires wins; the others are not counted.
        """
        taken: dict[str, Fault] = {}
        is_decided = False
        for fault in self.faults:
            combines = ACTIONS[fault.action].combines
            if fault.action in taken or (is_decided and not combines) or not fault.matches(occasion):
                continue
            if fault.take():
                taken[fault.action] = fault
                is_decided = is_decided or not combines
        return Taken(taken)


def _fault(item: Any, place: str) -> Fault:
    action = check_fault(item, place)
    match, between = item.get("match", {}), item.get("between")
    return Fault(
        name=item["name"],
        action=item["action"],
        provider=match.get("provider", "*"),
        model=match.get("model", "*"),
        contains=match.get("contains", ""),
        times=item.get("times"),
        after=item.get("after", 0),
        every=item.get("every", 1),
        between=_ALWAYS if between is None else (parse_time(between[0]), parse_time(between[1])),
        params={key: item[key] for key in action.params if key in item},
    )
