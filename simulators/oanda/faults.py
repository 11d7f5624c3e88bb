"""Fault script: what goes wrong, where, how often, and how often it did."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from simulators.oanda.fault_schema import check_fault
from simulators.oanda.wire import Json, parse_time
from simulators.rest.faults import FaultError

_ALWAYS = (-(2**62), 2**62)


@dataclass(slots=True)
class Fault:
    """One line of the script with its counters; ``since`` is the simulated time it was added."""

    name: str
    action: str
    method: str
    path: str
    account: str
    times: int | None
    after: int
    between: tuple[int, int]
    params: Json
    since: int
    seen: int = 0
    fired: int = 0

    def matches(self, method: str, path: str, account: str, now: int) -> bool:
        """Tell whether a request is one of those meant."""
        return (
            self.method in ("*", method)
            and fnmatchcase(path, self.path)
            and self.account in ("*", account)
            and self.between[0] <= now < self.between[1]
        )

    def take(self) -> bool:
        """Count one occasion and tell whether the fault fires on it."""
        if self.times is not None and self.fired >= self.times:
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        self.fired += 1
        return True

    def covers(self, instrument: str, now: int) -> bool:
        """Tell whether a market-wide fault holds for an instrument at a time."""
        names = self.params.get("instruments")
        return (names is None or instrument in names) and self.between[0] <= now < self.between[1]

    @property
    def begins(self) -> int:
        """Return the simulated time from which a market-wide fault holds."""
        return self.since if self.between is _ALWAYS else self.between[0]

    def state(self) -> Json:
        """Return name, action and counters."""
        return {"name": self.name, "action": self.action, "seen": self.seen, "fired": self.fired, "params": self.params}


class FaultBook:
    """The faults in force, in script order."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(self, script: Any, now: int) -> None:
        """Add every fault of a script, or none when one is wrong.

        Raises:
            FaultError: the script cannot be used; the message names the field.
        """
        items = script if isinstance(script, list) else [script]
        added = [_fault(item, f"faults[{i}]", now) for i, item in enumerate(items)]
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

    def market(self, action: str, instrument: str, now: int) -> Fault | None:
        """Return the market-wide fault that holds for an instrument, if any."""
        for fault in self.faults:
            if fault.action == action and fault.covers(instrument, now):
                return fault
        return None


@dataclass(frozen=True, slots=True)
class Occasion:
    """One request, as the fault script sees it."""

    book: FaultBook
    method: str
    path: str
    account: str
    now: int

    def matching(self, action: str) -> list[Fault]:
        """Return the faults of an action that mean this request, without counting it."""
        found = [fault for fault in self.book.faults if fault.action == action]
        return [fault for fault in found if fault.matches(self.method, self.path, self.account, self.now)]

    def take(self, action: str) -> Fault | None:
        """Count this request for an action and return the fault that fires on it, if any."""
        for fault in self.matching(action):
            if fault.take():
                return fault
        return None


def _fault(item: Any, place: str, now: int) -> Fault:
    action = check_fault(item, place)
    match, between = item.get("match", {}), item.get("between")
    return Fault(
        name=item["name"],
        action=item["action"],
        method=match.get("method", action.method).upper(),
        path=match.get("path", action.path),
        account=match.get("account", "*"),
        times=item.get("times"),
        after=item.get("after", 0),
        between=_ALWAYS if between is None else (parse_time(between[0]), parse_time(between[1])),
        params={key: item[key] for key in action.params if key in item},
        since=now,
    )
