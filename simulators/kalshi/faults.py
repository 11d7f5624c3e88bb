"""Fault script: what goes wrong, where, how often, and how often it did."""

from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from simulators.kalshi.fault_schema import check_fault
from simulators.kalshi.wire import parse_time
from simulators.rest.faults import Script, Scripted, scripted, span_of


@dataclass(slots=True, eq=False, kw_only=True)
class Fault(Scripted):
    """A fault of requests or of markets; ``since`` is the simulated time it was added.

    ``bent`` names the markets a market-wide fault has changed.
    """

    method: str
    path: str
    ticker: str
    account: str
    since: datetime
    bent: set[str] = field(default_factory=set)

    def bend(self, ticker: str) -> None:
        """Count a market the fault has changed, once."""
        self.bent.add(ticker)
        self.fired = len(self.bent)

    def means(self, ticker: str) -> bool:
        """Tell whether a market-wide fault is about a market."""
        return fnmatchcase(ticker, self.ticker)

    def is_on(self, now: datetime) -> bool:
        """Tell whether a market-wide fault holds at a time; without a span it does from when it was added."""
        return self.since <= now if self.between is None else self.holds(now)

    @property
    def begins(self) -> datetime:
        begins: datetime = self.since if self.between is None else self.between[0]
        return begins


class FaultBook(Script[Fault]):
    """The faults in force, in script order; ``version`` changes whenever they do."""

    def __init__(self) -> None:
        super().__init__(_fault)
        self.version = 0

    def add(self, script: Any, *now: datetime) -> None:
        """Add every fault of a script, or none when one is wrong.

        Raises:
            FaultError: the script cannot be used; the message names the field.
        """
        super().add(script, *now)
        self.version += 1

    def clear(self, name: str | None = None) -> int:
        """Remove one fault, or all; return how many went."""
        self.version += 1
        return super().clear(name)

    def about(self, action: str, ticker: str = "") -> Fault | None:
        """Return the first market-wide fault of an action that is about a market, whatever its span."""
        return next((f for f in self.faults if f.action == action and f.means(ticker)), None)

    def market(self, action: str, ticker: str, now: datetime) -> Fault | None:
        """Return the market-wide fault that holds for a market now, if any."""
        for fault in self.faults:
            if fault.action == action and fault.means(ticker) and fault.is_on(now):
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
            and fault.holds(self.now)
        )

    def take(self, action: str) -> Fault | None:
        """Count this request for an action and return the fault that fires on it, if any."""
        for fault in self.matching(action):
            if fault.take():
                return fault
        return None


def _fault(item: Any, place: str, now: datetime) -> Fault:
    action = check_fault(item, place)
    match, told = item.get("match", {}), scripted(item, action.params)
    return Fault(
        # elsewhere a fault's own ``after`` counts no occasions
        **(told if action.counted else told | {"after": 0}),
        method=match.get("method", action.method).upper(),
        path=match.get("path", action.path),
        ticker=match.get("ticker", "*"),
        account=match.get("account", "*"),
        between=span_of(item, parse_time),
        since=now,
    )
