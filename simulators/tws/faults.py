"""The faults in force: what goes wrong, where, how often, and how often it did."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from simulators.rest.faults import Json, Script, Scripted, span_of
from simulators.tws.fault_schema import check_fault


@dataclass(slots=True, eq=False, kw_only=True)
class Fault(Scripted):
    """A fault of messages; ``client`` None means every client."""

    message: str
    client: int | None
    symbol: str
    counted: bool

    def means(self, message: str, client: int | None, symbol: str) -> bool:
        """Tell whether an occasion is one of those meant."""
        if self.client is not None and client != self.client:
            return False
        return fnmatchcase(message, self.message) and fnmatchcase(symbol, self.symbol)


class FaultBook(Script[Fault]):
    """The faults of the script, in its order."""

    def __init__(self) -> None:
        super().__init__(_fault)

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
    match = item.get("match", {})
    return Fault(
        name=item["name"],
        action=item["action"],
        message=match.get("message", action.message),
        client=match.get("client"),
        symbol=match.get("symbol", "*"),
        times=item.get("times"),
        after=item.get("after", 0),
        between=span_of(item),
        params={key: item[key] for key in action.params if key in item},
        counted=action.counted,
    )
