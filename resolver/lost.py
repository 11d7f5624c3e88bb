"""Positions of stocks that are gone from the account and whose sale nobody tells any more.

TWS tells the executions since midnight in New York, the portal those of seven days. Who was away for longer finds the
position gone; where the market met its level on an earlier day, that is what sold it.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from brokers.port import Fill, MarketData
from domain.ids import signal_of_order
from domain.ledger.position import Position
from domain.vocabulary import Surface
from resolver.books import ResolverBooks
from resolver.exits import ExitDesk
from resolver.settle import assumed

log = structlog.get_logger()
NEW_YORK = ZoneInfo("America/New_York")
# How long a position must have been gone: a list of positions may be short for a moment.
GONE_FOR = timedelta(minutes=5)


class Lost:
    """Ends such positions at the level that the market met, and names those it can't end."""

    def __init__(self, books: ResolverBooks, data: MarketData, exits: ExitDesk) -> None:
        self._books = books
        self._data = data
        self._exits = exits
        self._held: Collection[str] = ()
        self._since: dict[str, datetime] = {}

    def look(self, signals: Collection[str], markets: Collection[str]) -> None:
        """Take in what the account holds now: trades of ours by their signals, and in which markets anything."""
        self._held = markets
        self._since = {key: since for key, since in self._since.items() if key not in signals}

    def settle(self, position: Position, waiting: Sequence[Fill]) -> str:
        """End a position that is gone for good; return in words what keeps one from being ended, empty otherwise."""
        if self._books.surface is not Surface.STK or position.market in self._held or _is_told(position, waiting):
            return ""
        now = self._books.clock.now()
        if now - self._since.setdefault(position.signal_id, now) < GONE_FOR:
            return ""
        crossed = self._exits.crossed(position)
        if crossed is None or _day(crossed.at) >= _day(now):
            return f"{position.quantity} {position.market} are gone and nobody tells their sale: see the statement"
        log.error("sale_assumed", signal=position.signal_id, price=str(crossed.price), at=crossed.at.isoformat())
        self._books.write(assumed(self._books, self._data, position, crossed))
        return ""


def _is_told(position: Position, waiting: Sequence[Fill]) -> bool:
    parsed = (signal_of_order(fill.opened_by or "") for fill in waiting)
    return any(one is not None and one[1] == position.signal_id for one in parsed)


def _day(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()
