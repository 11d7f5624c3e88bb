"""Executions and settlements after a cursor: none missed when one appears late, none twice."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from brokers.kalshi.history import Histories
from brokers.kalshi.lots import MICROSECONDS, micros
from brokers.kalshi.records import EPOCH
from brokers.kalshi.wire import Wire
from brokers.port import Fill
from domain.errors import Refuse

# How many walks are told apart; a caller has one that goes on, and now and then one that starts anew.
WALKS = 16


class FillReader:
    """Walks executions and settlements in order of time.

    A cursor is the key of the last fill handed out. Kalshi shows an execution a little after it happened, so one may
    turn up behind the cursor: a walk that goes on looks back ``late_fill_s`` and hands out what it has not seen. A walk
    that starts anew takes its cursor at its word.
    """

    def __init__(self, wire: Wire, histories: Histories) -> None:
        self._wire = wire
        self._histories = histories
        self._walks: dict[str, frozenset[str]] = {}

    def now(self) -> str:
        """Return the cursor after everything that happened so far."""
        latest = self._between(self._wire.clock.now() - self._wire.late)
        beginning = f"{micros(self._wire.clock.now() - self._wire.late)}:"
        return max((fill.transaction_id for fill in latest), key=order_of, default=beginning)

    def since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        """Return the fills after ``cursor`` and the cursor to ask with next."""
        begin = _time_of(cursor)
        found = self._between(begin - self._wire.late)
        known = self._walks.pop(cursor, None)
        fresh = [
            fill
            for fill in found
            if order_of(fill.transaction_id) > order_of(cursor)
            or (known is not None and fill.transaction_id not in known)
        ]
        following = max((fill.transaction_id for fill in fresh), key=order_of, default=cursor)
        following = max(following, cursor, key=order_of)
        self._remember(following, frozenset(fill.transaction_id for fill in found))
        return fresh, following

    def _between(self, begin: datetime) -> list[Fill]:
        """Return everything since ``begin``, in order of time."""
        rows = self._histories.fills_since(begin)
        ends = {row.ticker: row for row in self._histories.settlements_since(begin)}
        found: list[Fill] = []
        for ticker in sorted({row.ticker for row in rows} | set(ends)):
            ledger = self._histories.ledger(ticker, (row for row in rows if row.ticker == ticker), ends.get(ticker))
            found += [fill for fill in ledger.fills if fill.happened_at >= begin]
        return sorted(found, key=lambda fill: order_of(fill.transaction_id))

    def _remember(self, cursor: str, seen: frozenset[str]) -> None:
        """Keep what a walk saw; where two meet, only what both saw counts as seen."""
        self._walks[cursor] = seen & self._walks.get(cursor, seen)
        while len(self._walks) > WALKS:
            del self._walks[next(iter(self._walks))]


def order_of(key: str) -> tuple[int, str]:
    """Return what keys and cursors sort by: time, then the rest of the key.

    Raises:
        Refuse: it is not one of ours.
    """
    stamp, colon, rest = key.partition(":")
    if not colon or not stamp.isdigit():
        raise Refuse("a fill's transaction id as cursor", repr(key), "start from account().cursor")
    return int(stamp), rest


def _time_of(cursor: str) -> datetime:
    return EPOCH + timedelta(seconds=order_of(cursor)[0] / MICROSECONDS)
