"""What the rules of a stock account allow now: day trades made, and money that has not settled."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.clock import Clock
from domain.stock_settings import DayTradeRule
from domain.vocabulary import Kind, Leg
from market.calendar import Calendar
from risk.day_trades import DayTradeFill, DayTradeLedger, DayTradePolicy, rules_on
from surfaces.snapshot import AccountRules

# Longer than any rule's window with all its holidays.
REMEMBERED = timedelta(days=30)


class DayTradeWatch:
    """Takes in every record of the surface's journals and counts day trades of their executions.

    Args:
        account: the broker's account.
        chosen: the rule the operator chose.
        is_cash: the account lends nothing.
    """

    def __init__(
        self, calendar: Callable[[], Calendar], clock: Clock, account: str, chosen: DayTradeRule, *, is_cash: bool
    ) -> None:
        self._days = _Days(calendar)
        self._clock = clock
        self._account = account
        self._chosen = None if chosen is DayTradeRule.AUTO else DayTradePolicy(chosen)
        self._is_cash = is_cash
        self._ledger = DayTradeLedger(self._days)
        self._markets: dict[str, str] = {}

    def apply(self, record: Mapping[str, Any]) -> None:
        if record["kind"] == Kind.ORDER_INTENT:
            self._markets[record["signal_id"]] = record["market"]
        elif record["kind"] == Kind.ORDER_EVENT and Decimal(record["quantity"]) > 0:
            self._add(record)

    def now(self, equity: Decimal, pending: tuple[str, ...]) -> AccountRules:
        """Return what the rules say now.

        Args:
            equity: of the account, home currency.
            pending: markets in which an entry rests at the broker: each may fill and be stopped out today.
        """
        now = self._clock.now()
        self._ledger.forget((now - REMEMBERED).date())
        rules = rules_on(self._days.trading_day(now), "ibkr", is_cash=self._is_cash, chosen=self._chosen)
        waiting = [(self._account, market) for market in pending]
        state = self._ledger.state(now, rules, equity, pending=waiting)
        unsettled = self._ledger.unsettled(now) if rules.policy is DayTradePolicy.CASH_T1 else Decimal(0)
        return AccountRules(day_trades=state.used, day_trade_limit=state.limit, unsettled=unsettled)

    def _add(self, record: Mapping[str, Any]) -> None:
        at, market = datetime.fromisoformat(record["happened_at"]), self._markets.get(record["signal_id"])
        if market is None or self._clock.now() - at > REMEMBERED:
            return
        opens = record["leg"] == Leg.ENTRY
        value = Decimal(record["quantity"]) * Decimal(record["price"]) - Decimal(record["fee"])
        self._ledger.add(
            DayTradeFill(
                id=record["transaction_id"] or record["client_order_id"],
                account=self._account,
                market=market,
                at=at,
                opens=opens,
                proceeds=Decimal(0) if opens else value,
            )
        )


class _Days:
    """The newest calendar's days."""

    def __init__(self, calendar: Callable[[], Calendar]) -> None:
        self._calendar = calendar

    def trading_day(self, moment: datetime) -> date:
        return self._calendar().trading_day(moment)

    def days(self, last: date, count: int) -> tuple[date, ...]:
        return self._calendar().days(last, count)
