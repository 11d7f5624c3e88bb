"""How a surface has done: its closed trades, each symbol's part in them, and its returns by trading day."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from audit.metrics import SESSIONS_A_YEAR, Returns, TradeNumbers, of_returns, of_trades
from audit.since import chosen, records_since
from audit.trades import Trade, trades
from domain.performance import DayPerformance
from domain.vocabulary import Kind
from journal import decode

ALWAYS_OPEN = 365
# Surfaces whose markets trade every day of the week.
EVERY_DAY = frozenset({"st", "lt"})


@dataclass(slots=True)
class Account:
    """One surface in one mode: the trades of one source, which never add up with those of another."""

    surface: str
    mode: str
    resolution_source: str
    synthetic: bool
    currency: str
    trades: list[Trade] = field(default_factory=list)

    def numbers(self) -> TradeNumbers:
        return _numbers(self.trades)

    def markets(self) -> Mapping[str, TradeNumbers]:
        """Return market -> the numbers of its trades, the one that earned most first."""
        names = {trade.market for trade in self.trades}
        found = {name: _numbers([t for t in self.trades if t.market == name]) for name in names}
        return dict(sorted(found.items(), key=lambda item: (-item[1].net, item[0])))

    @property
    def fees(self) -> Decimal:
        return sum((trade.fees for trade in self.trades), Decimal(0))

    @property
    def realised(self) -> Decimal:
        return sum((trade.realised for trade in self.trades), Decimal(0))


@dataclass(slots=True)
class Days:
    """The trading days of one surface in one mode, as its own journal closed them."""

    surface: str
    mode: str
    days: list[DayPerformance] = field(default_factory=list)

    def returns(self) -> Returns:
        """Return the numbers of the daily returns: a day's profit for the equity it began with."""
        found = [float(d.profit / (d.equity - d.profit)) for d in self.days if d.equity - d.profit > 0]
        return of_returns(found, per_year=ALWAYS_OPEN if self.surface in EVERY_DAY else SESSIONS_A_YEAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What the journals say since a moment; ``since`` is None for all of them."""

    since: datetime | None
    accounts: tuple[Account, ...]
    days: tuple[Days, ...]


def performance(logs: Path, since: datetime | None, surfaces: Sequence[str] | None = None) -> Performance:
    """Read closed trades and closed days at or after ``since``.

    Raises:
        Refuse: a surface asked for does not exist.
    """
    return Performance(
        since=since,
        accounts=tuple(accounts(trades(logs, since, surfaces))),
        days=tuple(one for name in chosen(logs, surfaces) for one in _days(logs / name / "decisions", name, since)),
    )


def accounts(closed: Iterable[Trade]) -> list[Account]:
    """Sort trades into what may be added up: one surface, mode, source and currency."""
    found: dict[tuple[str, ...], Account] = {}
    for trade in closed:
        key = (trade.surface, trade.mode, trade.resolution_source, trade.currency)
        if key not in found:
            found[key] = Account(
                surface=trade.surface,
                mode=trade.mode,
                resolution_source=trade.resolution_source,
                synthetic=trade.synthetic,
                currency=trade.currency,
            )
        found[key].trades.append(trade)
    return [found[key] for key in sorted(found)]


def as_dict(found: Performance) -> dict[str, Any]:
    """Return it as plain values; money as decimal strings, ratios as numbers, what is not known as null."""
    return {
        "since": None if found.since is None else found.since.isoformat(),
        "accounts": [_account(one) for one in found.accounts],
        "days": [_days_dict(one) for one in found.days],
    }


def _account(one: Account) -> dict[str, Any]:
    return {
        "surface": one.surface,
        "mode": one.mode,
        "resolution_source": one.resolution_source,
        "synthetic": one.synthetic,
        "currency": one.currency,
        "realised": str(one.realised),
        "fees": str(one.fees),
        "trades": asdict(one.numbers()),
        "markets": {name: asdict(numbers) for name, numbers in one.markets().items()},
    }


def _days_dict(one: Days) -> dict[str, Any]:
    return {
        "surface": one.surface,
        "mode": one.mode,
        "returns": asdict(one.returns()),
        "days": [{key: _plain(value) for key, value in asdict(day).items()} for day in one.days],
    }


def _plain(value: object) -> object:
    return value if isinstance(value, int) else str(value)


def _days(directory: Path, surface: str, since: datetime | None) -> list[Days]:
    """Read a surface's closed days; of two records of one day the later one holds."""
    found: dict[str, dict[str, DayPerformance]] = {}
    for record in records_since(directory, since, dict):
        if record["kind"] == Kind.PERFORMANCE:
            found.setdefault(record["mode"], {})[record["day"]] = decode(record, DayPerformance)
    return [
        Days(surface=surface, mode=mode, days=[days[day] for day in sorted(days)])
        for mode, days in sorted(found.items())
    ]


def _numbers(closed: Sequence[Trade]) -> TradeNumbers:
    return of_trades([float(trade.realised) for trade in closed], [float(trade.minutes) / 60 for trade in closed])
