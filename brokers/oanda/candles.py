"""Closed bars, read as bid and ask candles."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

from brokers.oanda import parse, sdk
from brokers.oanda.granularity import GRANULARITY
from brokers.oanda.wire import Body, Wire
from domain.clock import iso, require_utc
from domain.errors import Refuse
from domain.quotes import Bar

MOST = 5000
HOUR = 3600
# ``to`` in the future is a 400, and our clock may run ahead of OANDA's by a little.
SKEW = timedelta(seconds=60)


def bars(wire: Wire, market: str, period_s: int, start: datetime, end: datetime | None) -> Sequence[Bar]:
    """Return the complete bars from ``start`` (inclusive) to ``end`` (exclusive), oldest first, at most 5,000.

    A period without a tick has no bar. Days run from 17:00 to 17:00 New York, so a bar across a change of clocks is
    an hour shorter or longer than ``period_s``.
    """
    if period_s not in GRANULARITY:
        raise Refuse(f"a period among {sorted(GRANULARITY)} seconds", str(period_s), "build it from shorter bars")
    now = wire.clock.now()
    start, end = _aligned(require_utc(start, "start"), period_s), require_utc(end, "end") if end else now
    if start >= min(end, now):
        return []
    params = _params(period_s, start, end, now)
    found = wire.read(
        f"{GRANULARITY[period_s]} candles of {market}",
        lambda: sdk.instruments.InstrumentsCandles(instrument=market, params=params),
        lambda body: _complete(market, period_s, body),
    )
    return [bar for bar in found if start <= bar.start < end][:MOST]


def _aligned(start: datetime, period_s: int) -> datetime:
    """Return the start of the first whole bar: OANDA would add the one around ``start``, which nobody asked for.

    Bars of more than an hour begin where New York's day says, so their ``start`` stays as it is.
    """
    beyond = start.timestamp() % period_s
    return start + timedelta(seconds=period_s - beyond) if beyond and period_s <= HOUR else start


def _params(period_s: int, start: datetime, end: datetime, now: datetime) -> dict[str, str]:
    """Ask by ``from`` and ``to`` where that is safe, else by ``from`` and ``count``, which has no end to get wrong."""
    params = {
        "price": "BA",
        "granularity": GRANULARITY[period_s],
        "dailyAlignment": "17",
        "alignmentTimezone": "America/New_York",
        "from": iso(start),
    }
    periods = ceil((end - start).total_seconds() / period_s)
    if periods <= MOST and end <= now - SKEW:
        return params | {"to": iso(end)}
    return params | {"count": str(min(MOST, periods + 1))}


def _complete(market: str, period_s: int, body: Body) -> list[Bar]:
    return [parse.bar(market, period_s, row) for row in body["candles"] if row["complete"]]
