"""Day trades: how many were made, and how many the rule of the day allows.

Since 4 June 2026 nothing counts day trades in the United States any more (FINRA Regulatory Notice 26-10); brokers have
until 20 October 2027 to follow. So the rule is a dated choice, not a constant. These numbers stop entries only: an exit
is never held back, which is why an entry reserves the day trade that its exit may make.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

from domain.clock import require_utc

_ZERO = Decimal(0)
ANY_BROKER = ""
# SEC Release 34-105226 (SR-FINRA-2025-017): the day on which the count ends.
COUNT_ENDS = date(2026, 6, 4)
# The first day on which trades settle in so many sessions (17 CFR 240.15c6-1).
_SETTLEMENT = ((date(2024, 5, 28), 1), (date(2017, 9, 5), 2), (date.min, 3))


class DayTradePolicy(StrEnum):
    """What limits trades that are opened and closed on one day.

    ``legacy_pdt`` counts them in a margin account of less than 25,000 USD; ``intraday_margin`` asks only for margin at
    every moment, which the caps of gate 6 hold; in a cash account, ``cash_t1``, a purchase needs settled money; ``off``
    is for accounts under no such rule.
    """

    LEGACY_PDT = "legacy_pdt"
    INTRADAY_MARGIN = "intraday_margin"
    CASH_T1 = "cash_t1"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTradeRules:
    """The rule in force.

    Attributes:
        policy: which one.
        most: day trades in the window before an account counts as a pattern day trader's.
        window: sessions over which they are counted, today's included.
        free_from: equity at the last close, USD, from which on they are not limited.
    """

    policy: DayTradePolicy
    most: int = 3
    window: int = 5
    free_from: Decimal = Decimal(25_000)

    def limit(self, equity: Decimal) -> int | None:
        """Return how many day trades the window may hold, None when they are not limited."""
        is_counted = self.policy is DayTradePolicy.LEGACY_PDT and equity < self.free_from
        return self.most if is_counted else None


# broker -> the rules of its margin accounts, each from its day on, newest first. A broker that follows later than the
# day of the change gets a row of its own.
DATED: Mapping[str, tuple[tuple[date, DayTradePolicy], ...]] = {
    ANY_BROKER: ((COUNT_ENDS, DayTradePolicy.INTRADAY_MARGIN), (date.min, DayTradePolicy.LEGACY_PDT)),
}


def rules_on(
    day: date, broker: str = ANY_BROKER, *, is_cash: bool = False, chosen: DayTradePolicy | None = None
) -> DayTradeRules:
    """Return the rule ``broker`` applies on ``day``; ``chosen`` is the operator's word and goes before the table."""
    if chosen is not None:
        return DayTradeRules(policy=chosen)
    if is_cash:
        return DayTradeRules(policy=DayTradePolicy.CASH_T1)
    dated = DATED.get(broker, DATED[ANY_BROKER])
    return DayTradeRules(policy=next(policy for since, policy in dated if since <= day))


class TradingDays(Protocol):
    """The exchange's days, as its calendar knows them."""

    def trading_day(self, moment: datetime) -> date:
        """Return the session a moment is booked on, pre and post market included."""

    def days(self, last: date, count: int) -> tuple[date, ...]:
        """Return the ``count`` latest sessions up to ``last``, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTradeFill:
    """An execution as this rule sees it; ``opens`` follows from the leg of the order it belongs to, not from its side.

    ``id`` is the execution's own, by which one that is reported again is known. ``proceeds`` is what a sale brought in.
    """

    id: str
    account: str
    market: str
    at: datetime
    opens: bool
    proceeds: Decimal = _ZERO

    def __post_init__(self) -> None:
        require_utc(self.at, "DayTradeFill.at")


class DayTradeState(NamedTuple):
    """Day trades in the window, made and reserved, and how many it may hold (None: any number)."""

    used: int
    limit: int | None


class DayTradeLedger:
    """Counts round trips within one session, by account and market.

    As a broker counts: a change from opening to closing is one day trade, however many orders filled on either side.
    It knows nothing of our strategies, so that a sale after a purchase of the same day counts even when the shares sold
    were an older position's. Fills may arrive in any order, and twice.
    """

    def __init__(self, days: TradingDays) -> None:
        self._days = days
        self._seen: set[tuple[str, str]] = set()
        self._fills: dict[date, dict[tuple[str, str], list[DayTradeFill]]] = {}

    def add(self, fill: DayTradeFill) -> None:
        """Take a fill into account, once."""
        key = (fill.account, fill.id)
        if key not in self._seen:
            self._seen.add(key)
            of_day = self._fills.setdefault(self._days.trading_day(fill.at), defaultdict(list))
            of_day[fill.account, fill.market].append(fill)

    def made(self, day: date, account: str | None = None) -> int:
        """Return the round trips of one session."""
        return sum(_changes(fills)[0] for fills in self._of(day, account).values())

    def reserved(self, day: date, account: str | None = None, pending: Collection[tuple[str, str]] = ()) -> int:
        """Return how many more there will be if everything opened that day is closed that day.

        ``pending`` are the accounts and markets of entries that rest at the broker: each may fill and be stopped out.
        """
        markets = {key for key, fills in self._of(day, account).items() if _changes(fills)[1]}
        return len(markets | {key for key in pending if account in (None, key[0])})

    def state(
        self,
        now: datetime,
        rules: DayTradeRules,
        equity: Decimal,
        account: str | None = None,
        pending: Collection[tuple[str, str]] = (),
    ) -> DayTradeState:
        """Return the two numbers that gate 6 compares; one more entry is one more day trade."""
        today = self._days.trading_day(now)
        window = self._days.days(today, rules.window)
        # Where the sessions are not known all that is known counts.
        first = window[0] if len(window) == rules.window else date.min
        made = sum(self.made(day, account) for day in self._fills if first <= day <= today)
        return DayTradeState(made + self.reserved(today, account, pending), rules.limit(equity))

    def unsettled(self, now: datetime, account: str | None = None) -> Decimal:
        """Return the proceeds of sales that have not settled: a cash account should not buy with them.

        Selling what was bought with unsettled money before that money has settled is a good-faith violation.
        """
        today = self._days.trading_day(now)
        pending = (day for day in self._fills if day <= today and not self._has_settled(day, today))
        groups = (fills for day in pending for fills in self._of(day, account).values())
        return sum((fill.proceeds for fills in groups for fill in fills), _ZERO)

    def forget(self, before: date) -> None:
        """Drop the fills of older sessions; their ids stay, so that none is counted anew."""
        for day in [day for day in self._fills if day < before]:
            del self._fills[day]

    def _of(self, day: date, account: str | None) -> Mapping[tuple[str, str], list[DayTradeFill]]:
        of_day = self._fills.get(day, {})
        return of_day if account is None else {key: fills for key, fills in of_day.items() if key[0] == account}

    def _has_settled(self, day: date, today: date) -> bool:
        sessions = settlement_sessions(day)
        later = [one for one in self._days.days(today, sessions + 1) if one > day]
        return len(later) >= sessions


def settlement_sessions(day: date) -> int:
    """Return in how many sessions a trade of ``day`` settles."""
    return next(sessions for since, sessions in _SETTLEMENT if since <= day)


def _changes(fills: Iterable[DayTradeFill]) -> tuple[int, bool]:
    """Return the changes from opening to closing in one market and day, and whether it ends with an opening.

    Of fills with the same time the opening goes first: a broker's clock may show whole seconds only.
    """
    trips, is_open = 0, False
    for fill in sorted(fills, key=lambda fill: (fill.at, not fill.opens)):
        if is_open and not fill.opens:
            trips += 1
        is_open = fill.opens
    return trips, is_open
