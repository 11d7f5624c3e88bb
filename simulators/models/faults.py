"""Fault script: what goes wrong, for whom, how often, and how often it did."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from simulators.models.fault_schema import ACTIONS, check_fault
from simulators.oanda.wire import parse_time
from simulators.rest.faults import Script, Scripted, scripted, span_of


@dataclass(frozen=True, slots=True)
class Occasion:
    """One request for text, as the fault script sees it; ``now`` is simulated, in milliseconds."""

    provider: str
    model: str
    prompt: str
    now: int


@dataclass(slots=True, eq=False, kw_only=True)
class Fault(Scripted):
    """A fault of requests for text; it fires on each ``every``-th of them."""

    provider: str
    model: str
    contains: str
    every: int

    def matches(self, occasion: Occasion) -> bool:
        """Tell whether a request is one of those meant."""
        return (
            self.provider in ("*", occasion.provider)
            and fnmatchcase(occasion.model, self.model)
            and self.contains in occasion.prompt
            and self.holds(occasion.now)
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


class FaultBook(Script[Fault]):
    """The faults in force, in script order."""

    def __init__(self) -> None:
        super().__init__(_fault)

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
    match = item.get("match", {})
    return Fault(
        **scripted(item, action.params),
        provider=match.get("provider", "*"),
        model=match.get("model", "*"),
        contains=match.get("contains", ""),
        every=item.get("every", 1),
        between=span_of(item, parse_time),
    )
