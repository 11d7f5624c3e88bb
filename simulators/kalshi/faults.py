"""Fault script: what goes wrong, where, how often, and how often it did."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from simulators.kalshi.fault_schema import check_fault
from simulators.kalshi.wire import Json, parse_time
from simulators.rest.faults import FaultError

_ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(slots=True)
class Fault:
    """One line of the script with its counters; ``since`` is the simulated time it was added.

    ``bent`` names the markets a market-wide fault has changed.
    """

    name: str
    action: str
    method: str
    path: str
    ticker: str
    account: str
    times: int | None
    after: int
    between: tuple[datetime, datetime]
    params: Json
    since: datetime
    seen: int = 0
    fired: int = 0
    bent: set[str] = field(default_factory=set)

    def take(self) -> bool:
        """Count one occasion and tell whether the fault fires on it."""
        if self.times is not None and self.fired >= self.times:
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        self.fired += 1
        return True

    def bend(self, ticker: str) -> None:
        """Count a market the fault has changed, once."""
        self.bent.add(ticker)
        self.fired = len(self.bent)

    def means(self, ticker: str) -> bool:
        """Tell whether a market-wide fault is about a market."""
        return fnmatchcase(ticker, self.ticker)

    def holds(self, now: datetime) -> bool:
        """Tell whether the fault's span covers a time; without a span it holds from when it was added."""
        return self.begins <= now < self.between[1]

    @property
    def begins(self) -> datetime:
        return self.since if self.between is _ALWAYS else self.between[0]

    def state(self) -> Json:
        """Return name, action and counters."""
        return {"name": self.name, "action": self.action, "seen": self.seen, "fired": self.fired, "params": self.params}


class FaultBook:
    """The faults in force, in script order; ``version`` changes whenever they do."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.version = 0

    def add(self, script: Any, now: datetime) -> None:
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
        self.version += 1

    def clear(self, name: str | None = None) -> int:
        """Remove one fault, or all; return how many went."""
        before = len(self.faults)
        self.faults = [fault for fault in self.faults if name is not None and fault.name != name]
        self.version += 1
        return before - len(self.faults)

    def about(self, action: str, ticker: str = "") -> Fault | None:
        """Return the first market-wide fault of an action that is about a market, whatever its span."""
        return next((f for f in self.faults if f.action == action and f.means(ticker)), None)

    def market(self, action: str, ticker: str, now: datetime) -> Fault | None:
        """Return the market-wide fault that holds for a market now, if any."""
        for fault in self.faults:
            if fault.action == action and fault.means(ticker) and fault.holds(now):
                return fault
        return None


@dataclass(frozen=True, slots=True)
class Occasion:
    """One request, as the fault script sees it."""

    book: FaultBook
    method: str
    path: str
    tickers: tuple[str, ...]
    account: str
    now: datetime

    def matching(self, action: str) -> list[Fault]:
        """Return the faults of an action that mean this request, without counting it."""
        return [fault for fault in self.book.faults if fault.action == action and self._is_meant(fault)]

    def _is_meant(self, fault: Fault) -> bool:
        return (
            fault.method in ("*", self.method)
            and fnmatchcase(self.path, fault.path)
            and fault.account in ("*", self.account)
            and (fault.ticker == "*" or any(fault.means(ticker) for ticker in self.tickers))
            and fault.between[0] <= self.now < fault.between[1]
        )

    def take(self, action: str) -> Fault | None:
        """Count this request for an action and return the fault that fires on it, if any."""
        for fault in self.matching(action):
            if fault.take():
                return fault
        return None


def _fault(item: Any, place: str, now: datetime) -> Fault:
    action = check_fault(item, place)
    match, between = item.get("match", {}), item.get("between")
    return Fault(
        name=item["name"],
        action=item["action"],
        method=match.get("method", action.method).upper(),
        path=match.get("path", action.path),
        ticker=match.get("ticker", "*"),
        account=match.get("account", "*"),
        times=item.get("times"),
        after=item.get("after", 0) if action.counted else 0,
        between=_ALWAYS if between is None else (parse_time(between[0]), parse_time(between[1])),
        params={key: item[key] for key in action.params if key in item},
        since=now,
    )
