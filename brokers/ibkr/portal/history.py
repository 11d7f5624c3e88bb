"""Bars of trades, read backwards a page at a time."""

import math
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from brokers.ibkr.portal.contracts import Contracts
from brokers.ibkr.portal.parse import moment, number
from brokers.ibkr.portal.wire import Wire
from domain.errors import Refuse, Retry
from domain.quotes import Bar, Ohlc

# seconds -> the portal's word. Source: IBKR's Web API page on historical market data, valid bar units.
WORDS: Mapping[int, str] = {
    1: "1S",
    5: "5S",
    10: "10S",
    15: "15S",
    30: "30S",
    60: "1min",
    120: "2min",
    180: "3min",
    300: "5min",
    600: "10min",
    900: "15min",
    1800: "30min",
    3600: "1h",
    7200: "2h",
    10800: "3h",
    14400: "4h",
    28800: "8h",
    86400: "1d",
}
POINTS, MOST, PAGES = 1000, 5000, 40
# A gateway answers five of these questions at once, for all its processes.
AT_ONCE = 2
SESSION_S = 23_400
_NO_BARS = "chart data unavailable"


class History:
    """Reads the bars of regular trading hours."""

    def __init__(self, wire: Wire, contracts: Contracts) -> None:
        self._wire = wire
        self._contracts = contracts
        self._room = threading.Semaphore(AT_ONCE)

    def bars(self, market: str, period_s: int, start: datetime, end: datetime | None) -> Sequence[Bar]:
        """Return the closed bars from ``start`` on, oldest first, the latest 5,000 of them."""
        if period_s not in WORDS:
            raise Refuse("a bar length IBKR has", f"{period_s} s", f"use one of {', '.join(map(str, WORDS))}")
        conid = self._contracts.conids([market]).get(market)
        if conid is None:
            raise Refuse("a stock listed in the United States", market, "check the symbol")
        now = self._wire.clock.now()
        last = min(end or now, now)
        found: dict[datetime, Bar] = {}
        upto = last
        for _ in range(PAGES):
            if upto <= start or len(found) >= MOST:
                break
            bars = self._page(market, conid, period_s, start, upto)
            fresh = {bar.start: bar for bar in bars if bar.start < upto and bar.start not in found}
            found |= fresh
            # A page of a night or a weekend is empty: what lies before it is on the next.
            upto = min(fresh) if fresh else upto - _span(period_s, start, upto)
        closed = [bar for bar in found.values() if start <= bar.start < last and bar.end <= now]
        return sorted(closed, key=lambda bar: bar.start)[-MOST:]

    def _page(self, market: str, conid: int, period_s: int, start: datetime, upto: datetime) -> list[Bar]:
        span = _span(period_s, start, upto)
        with self._room:
            try:
                bars: list[Bar] = self._wire.ask(
                    "bars",
                    "/iserver/marketdata/history",
                    lambda body: [_bar(market, period_s, row) for row in body["data"]],
                    conid=conid,
                    period=_period(span, period_s),
                    bar=WORDS[period_s],
                    outsideRth="false",
                    startTime=upto.strftime("%Y%m%d-%H:%M:%S"),
                )
            except Retry as error:
                if _NO_BARS in error.found.lower():
                    return []
                raise
        return bars


def _span(period_s: int, start: datetime, upto: datetime) -> timedelta:
    """Return how much time a page is asked for."""
    return min(upto - start, timedelta(seconds=POINTS * period_s))


def _period(span: timedelta, period_s: int) -> str:
    """Return the least period the portal knows that covers a span and yields no more than a page of bars."""
    seconds = max(span.total_seconds(), period_s)
    if seconds <= 1800 and period_s <= 60:
        return f"{math.ceil(seconds / 60)}min"
    if seconds <= 28_800:
        return f"{math.ceil(seconds / 3600)}h"
    most = max(1, POINTS * period_s // SESSION_S)
    return f"{min(math.ceil(seconds / 86_400), most if period_s < 86_400 else POINTS)}d"


def _bar(market: str, period_s: int, row: Any) -> Bar:
    prices = Ohlc(open=number(row["o"]), high=number(row["h"]), low=number(row["l"]), close=number(row["c"]))
    volume = int(number(row.get("v") or 0))
    return Bar(market=market, start=moment(row["t"]), period_s=period_s, bid=prices, ask=prices, volume=volume)
