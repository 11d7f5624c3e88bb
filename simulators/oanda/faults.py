"""Fault script: what goes wrong, where, how often, and how often it did."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from simulators.oanda.fault_schema import check_fault
from simulators.oanda.wire import parse_time
from simulators.rest.faults import Script, Scripted, scripted, span_of


@dataclass(slots=True, eq=False, kw_only=True)
class Fault(Scripted):
    """A fault of requests or of the market; ``since`` is the simulated time it was added."""

    method: str
    path: str
    account: str
    since: int

    def matches(self, method: str, path: str, account: str, now: int) -> bool:
        """Tell whether a request is one of those meant."""
        return (
            self.method in ("*", method)
            and fnmatchcase(path, self.path)
            and self.account in ("*", account)
            and self.holds(now)
        )

    def covers(self, instrument: str, now: int) -> bool:
        """Tell whether a market-wide fault holds for an instrument at a time."""
        names = self.params.get("instruments")
        return (names is None or instrument in names) and self.holds(now)

    @property
    def begins(self) -> int:
        """Return the simulated time from which a market-wide fault holds."""
        return self.since if self.between is None else int(self.between[0])


class FaultBook(Script[Fault]):
    """The faults in force, in script order."""

    def __init__(self) -> None:
        super().__init__(_fault)

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
    match = item.get("match", {})
    return Fault(
        **scripted(item, action.params),
        method=match.get("method", action.method).upper(),
        path=match.get("path", action.path),
        account=match.get("account", "*"),
        between=span_of(item, parse_time),
        since=now,
    )
