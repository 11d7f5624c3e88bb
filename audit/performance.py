"""How a surface has done: its closed trades, what each group of them had a part in, and its returns by trading day."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from math import nan
from pathlib import Path
from typing import Any

import msgspec

from audit.expected import Expected, expected
from audit.metrics import SESSIONS_A_YEAR, Returns, deepest_fall, mean, of_returns
from audit.since import chosen, records_since
from audit.tally import is_synthetic
from audit.trade_numbers import Closed, ClosedTrades, TradeNumbers, of_trades
from audit.trades import Ending, endings
from domain.performance import DayPerformance
from domain.vocabulary import Kind, Side
from journal import decode

ALWAYS_OPEN = 365
# Surfaces of event contracts: their markets trade every day of the week, and a basis point is one of the payout.
EVENTS = frozenset({"st", "lt"})
BP = 10_000.0
_MARK = b'"kind":"performance"'


class By(StrEnum):
    """What closed trades can be grouped by; days and weeks (ISO) are those of UTC in which a trade ended."""

    MARKET = "market"
    STRATEGY = "strategy"
    DAY = "day"
    WEEK = "week"


_GROUPS: Mapping[By, Callable[[Ending], str]] = {
    By.MARKET: lambda one: one.market,
    By.STRATEGY: lambda one: f"{one.strategy}/{one.sub_strategy}",
    By.DAY: lambda one: f"{one.resolved_at:%Y-%m-%d}",
    By.WEEK: lambda one: f"{one.resolved_at:%G-W%V}",
}


@dataclass(slots=True)
class Account:
    """One surface in one mode: the trades of one source, which never add up with those of another."""

    surface: str
    mode: str
    resolution_source: str
    currency: str
    by: By = By.MARKET
    realised: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    _groups: dict[str, ClosedTrades] = field(default_factory=lambda: defaultdict(ClosedTrades))

    @property
    def synthetic(self) -> bool:
        return is_synthetic(self.resolution_source)

    def add(self, ending: Ending, decided: Expected | None) -> None:
        closed = _closed(ending, decided, is_event=self.surface in EVENTS)
        self.realised += ending.realised
        self.fees += ending.fees
        self._groups[_GROUPS[self.by](ending)].add(closed)

    def numbers(self) -> TradeNumbers:
        return of_trades(ClosedTrades.joined(self._groups.values()))

    def groups(self) -> Mapping[str, TradeNumbers]:
        """Return group -> the numbers of its trades: days and weeks in their order, else the best earner first."""
        found = sorted((name, of_trades(trades)) for name, trades in self._groups.items())
        if self.by in (By.MARKET, By.STRATEGY):
            found.sort(key=lambda item: -item[1].net)
        return dict(found)


@dataclass(slots=True)
class Days:
    """The trading days of one surface in one mode, as its own journal closed them."""

    surface: str
    mode: str
    days: list[DayPerformance] = field(default_factory=list)

    def returns(self) -> Returns:
        """Return the numbers of the daily returns: a day's profit for the equity it began with."""
        found = [float(d.profit / (d.equity - d.profit)) for d in self.days if d.equity - d.profit > 0]
        return of_returns(found, per_year=ALWAYS_OPEN if self.surface in EVENTS else SESSIONS_A_YEAR)

    def drawdown(self) -> float:
        """Return the deepest fall of the summed profit from its peak, in money; at most 0."""
        return deepest_fall([float(day.profit) for day in self.days])

    def exposure_share(self) -> float | None:
        """Return what open positions had cost at the days' ends, as a mean share of equity."""
        found = [float(day.exposure / day.equity) for day in self.days if day.equity > 0]
        return mean(found) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What the journals say since a moment; ``since`` is None for all of them."""

    since: datetime | None
    by: By
    accounts: tuple[Account, ...]
    days: tuple[Days, ...]


def performance(
    logs: Path, since: datetime | None, surfaces: Sequence[str] | None = None, by: By = By.MARKET
) -> Performance:
    """Read closed trades and closed days that were written at or after ``since``.

    Raises:
        Refuse: a surface asked for does not exist.
    """
    return Performance(
        since=since,
        by=by,
        accounts=tuple(
            one for name in chosen(logs, surfaces, "resolutions") for one in accounts(logs / name, name, since, by)
        ),
        days=tuple(one for name in chosen(logs, surfaces) for one in _days(logs / name / "decisions", name, since)),
    )


def accounts(directory: Path, surface: str, since: datetime | None, by: By = By.MARKET) -> list[Account]:
    """Sort a surface's closed trades into what may be added up: one mode, one source, one currency."""
    decided = expected(directory / "decisions", since)
    found: dict[tuple[str, str, str], Account] = {}
    for one in endings(directory / "resolutions", since):
        key = (one.mode, one.resolution_source, one.currency)
        if key not in found:
            found[key] = Account(surface, *key, by=by)
        found[key].add(one, decided.get(one.signal_id or ""))
    return [found[key] for key in sorted(found)]


def as_dict(found: Performance) -> dict[str, Any]:
    """Return it as plain values; sums of money as decimal strings, what is not known as null."""
    return {
        "since": None if found.since is None else found.since.isoformat(),
        "by": found.by,
        "accounts": [_account(one) for one in found.accounts],
        "days": [_days_dict(one) for one in found.days],
    }


def _closed(one: Ending, decided: Expected | None, *, is_event: bool) -> Closed:
    price = float(one.entry_price)
    unit = 1.0 if is_event else price
    slippage = multiple = nan
    if decided is not None:
        whole = 1.0 if is_event else decided.price
        slippage = _share((price - decided.price) * Side(one.side).sign * BP, whole)
        multiple = _share(float(one.realised), decided.risk * _share(float(one.quantity), decided.quantity))
    return Closed(
        profit=float(one.realised),
        fees=float(one.fees),
        opened_s=one.opened_at.timestamp(),
        closed_s=one.resolved_at.timestamp(),
        mae_bp=_share(float(one.mae) * BP, unit),
        mfe_bp=_share(float(one.mfe) * BP, unit),
        slippage_bp=slippage,
        multiple=multiple,
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else nan


def _account(one: Account) -> dict[str, Any]:
    return {
        "surface": one.surface,
        "mode": one.mode,
        "resolution_source": one.resolution_source,
        "synthetic": one.synthetic,
        "currency": one.currency,
        "realised": f"{one.realised:f}",
        "fees": f"{one.fees:f}",
        "trades": asdict(one.numbers()),
        "groups": {name: asdict(numbers) for name, numbers in one.groups().items()},
    }


def _days_dict(one: Days) -> dict[str, Any]:
    return {
        "surface": one.surface,
        "mode": one.mode,
        "returns": asdict(one.returns()),
        "max_drawdown": one.drawdown(),
        "exposure_share": one.exposure_share(),
        "days": [{key: _plain(value) for key, value in asdict(day).items()} for day in one.days],
    }


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value if value is None or isinstance(value, int) else str(value)


def _days(directory: Path, surface: str, since: datetime | None) -> Iterator[Days]:
    """Read a surface's closed days; of two records of one day the later one holds."""
    found: dict[str, dict[str, DayPerformance]] = {}
    # A surface decides all day: the few lines that are wanted are found by their bytes.
    lines = (bytes(raw) for raw in records_since(directory, since, msgspec.Raw))
    for record in (decode(line, dict) for line in lines if _MARK in line):
        if record["kind"] == Kind.PERFORMANCE:
            found.setdefault(record["mode"], {})[record["day"]] = decode(record, DayPerformance)
    for mode, days in sorted(found.items()):
        yield Days(surface=surface, mode=mode, days=[days[day] for day in sorted(days)])
