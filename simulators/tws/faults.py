"""The faults in force: what goes wrong, where, how often, and how often it did."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from simulators.rest.faults import FaultError, Json, parse_moment
from simulators.tws.fault_schema import check_fault

_ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(slots=True, eq=False)
class Fault:
    """One line of the script with its counters; ``client`` None means every client."""

    name: str
    action: str
    message: str
    client: int | None
    symbol: str
    times: int | None
    after: int
    between: tuple[datetime, datetime]
    params: Json
    counted: bool
    seen: int = 0
    fired: int = 0

    def means(self, message: str, client: int | None, symbol: str) -> bool:
        """Tell whether an occasion is one of those meant."""
        if self.client is not None and client != self.client:
            return False
        return fnmatchcase(message, self.message) and fnmatchcase(symbol, self.symbol)

    def holds(self, now: datetime) -> bool:
        """Tell whether its span covers a time."""
        return self.between[0] <= now < self.between[1]

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
    """The faults of the script, in its order."""

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

    def take(
        self,
        action: str,
        now: datetime,
        *,
        message: str,
        client: int | None = None,
        symbol: str = "",
        fits: Callable[[Json], bool] | None = None,
    ) -> Fault | None:
        """Count an occasion for an action; return the fault that fires on it, if any.

        ``fits`` tells from a fault's parameters whether the occasion is one of those it is about.
        """
        for fault in self.faults:
            meant = fault.action == action and fault.holds(now) and fault.means(message, client, symbol)
            if meant and (fits is None or fits(fault.params)) and fault.take():
                return fault
        return None

    def holding(self, action: str, now: datetime, client: int | None = None, symbol: str = "") -> Fault | None:
        """Return the fault of a span that holds now, if any; whoever acts on it counts it."""
        for fault in self.faults:
            if fault.action == action and fault.holds(now) and fault.means("", client, symbol):
                return fault
        return None


def _fault(item: Any, place: str) -> Fault:
    action = check_fault(item, place)
    match, between = item.get("match", {}), item.get("between")
    return Fault(
        name=item["name"],
        action=item["action"],
        message=match.get("message", action.message),
        client=match.get("client"),
        symbol=match.get("symbol", "*"),
        times=item.get("times"),
        after=item.get("after", 0),
        between=_ALWAYS if between is None else (parse_moment(between[0]), parse_moment(between[1])),
        params={key: item[key] for key in action.params if key in item},
        counted=action.counted,
    )
