"""Pages of prices: snapshots with their preflight, and bars."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from simulators.client_portal.call import Call
from simulators.client_portal.session import NEW_YORK
from simulators.client_portal.snapshots import snapshot_row
from simulators.client_portal.wire import Json, Refusal, trade_time
from simulators.ibkr.contracts import Contract
from simulators.ibkr.quotes import BarRow

MOST_POINTS, MOST_CONIDS = 1000, 100
_BARS = {"S": 1, "secs": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800, "m": 2_678_400}
_PERIODS = {"S": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800, "m": 2_592_000, "y": 31_536_000}
_SOURCES = {"trades": "TRADES", "midpoint": "MIDPOINT", "bid_ask": "MIDPOINT", "bid": "BID", "ask": "ASK"}
_DAY = timedelta(days=1)
_SPAN = re.compile(r"(\d+)(S|secs|min|h|d|w|m|y)\Z")


def snapshot(call: Call) -> list[Json]:
    """Answer ``/iserver/marketdata/snapshot``: the first request for a contract only starts its stream."""
    brokerage = call.brokerage
    if not brokerage.accounts_read:
        raise Refusal(400, "Please query /accounts first")
    texts = [text.split("@")[0] for text in call.query.get("conids", "").split(",") if text]
    if not 0 < len(texts) <= MOST_CONIDS:
        raise Refusal(400, f"conids: expected 1 to {MOST_CONIDS} contracts; found {len(texts)}")
    fields = [text for text in call.query.get("fields", "").split(",") if text]
    empty = call.fault("empty_preflight") is not None
    return [_row(call, call.contract(text), fields, empty=empty) for text in texts]


def _row(call: Call, contract: Contract, fields: list[str], *, empty: bool) -> Json:
    bare = {"conid": contract.conid, "conidEx": str(contract.conid)}
    preflights = call.brokerage.preflights
    if contract.conid not in preflights or not fields:
        preflights.add(contract.conid)
        return bare
    return bare if empty else {**snapshot_row(call, contract, fields), **bare}


def unsubscribe(call: Call) -> Json:
    """Answer ``/iserver/marketdata/unsubscribe``: end one stream."""
    conid = call.fields().get("conid")
    if not isinstance(conid, int) or conid not in call.brokerage.preflights:
        raise Refusal(500, "unknown")
    call.brokerage.preflights.discard(conid)
    return {"success": True}


def unsubscribe_all(call: Call) -> Json:
    """Answer ``/iserver/marketdata/unsubscribeall``."""
    call.brokerage.preflights.clear()
    return {"unsubscribed": True}


def history(call: Call) -> Json:
    """Answer ``/iserver/marketdata/history``: at most 1,000 bars, of regular hours unless asked otherwise."""
    contract = call.contract(call.query.get("conid", ""))
    period, bar = call.query.get("period", "1w"), call.query.get("bar", "1d")
    width, span = _seconds(bar, _BARS, "bar"), _seconds(period, _PERIODS, "period")
    if width > span:
        raise Refusal(500, f"bar: expected one no longer than the period; found {bar} in {period}")
    outside = call.flag("outsideRth")
    what: Any = _SOURCES.get(call.query.get("source", "trades").lower(), "TRADES")

    def read(start: datetime, end: datetime) -> list[BarRow]:
        return call.venue.bars(contract.conid, start, end, width, what, not outside)

    rows = _rows(call, read, timedelta(seconds=width), timedelta(seconds=span))
    if not rows:
        raise Refusal(500, "Chart data unavailable")
    return _history(contract, rows, period=period, width=width, outside=outside)


_Read = Callable[[datetime, datetime], list[BarRow]]


def _rows(call: Call, read: _Read, width: timedelta, span: timedelta) -> list[BarRow]:
    reference = _reference(call)
    if call.query.get("direction", "-1") == "1":
        return read(reference, min(reference + min(span, width * MOST_POINTS), call.now))
    if span < _DAY:
        return _back(read, reference, width, span)
    # days are counted as days of trading: reach further back than weekends, then keep the last ones
    rows = _back(read, reference, width, span * 2 + 4 * _DAY)
    kept = sorted({_day(row) for row in rows})[-(span // _DAY) :]
    return [row for row in rows if _day(row) in kept]


def _day(row: BarRow) -> date:
    return row.at.astimezone(NEW_YORK).date()


def _back(read: _Read, reference: datetime, width: timedelta, reach: timedelta) -> list[BarRow]:
    """Return the last bars before a time, read in pieces because a long span can hold far more than are wanted."""
    rows: list[BarRow] = []
    piece, end = width * MOST_POINTS, reference
    while end > reference - reach and len(rows) < MOST_POINTS:
        start = max(end - piece, reference - reach)
        rows, end, piece = read(start, end) + rows, start, piece * 2
    return rows[-MOST_POINTS:]


def _reference(call: Call) -> datetime:
    text = call.query.get("startTime")
    if text is None:
        return call.now
    try:
        return min(datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC), call.now)
    except ValueError as exc:
        raise Refusal(400, f"startTime: expected YYYYMMDD-HH:MM:SS; found {text}") from exc


def _seconds(text: str, units: dict[str, int], name: str) -> int:
    found = _SPAN.match(text)
    if found is None or found[2] not in units or int(found[1]) < 1:
        raise Refusal(400, f"{name}: expected a number and one of {', '.join(units)}; found {text}")
    return int(found[1]) * units[found[2]]


def _history(contract: Contract, rows: list[BarRow], *, period: str, width: int, outside: bool) -> Json:
    first = rows[0].at
    return {
        "serverId": "1",
        "symbol": contract.symbol,
        "text": contract.name,
        "priceFactor": 100,
        "startTime": trade_time(first),
        "high": _extreme(max(rows, key=lambda row: row.high), first, high=True),
        "low": _extreme(min(rows, key=lambda row: row.low), first, high=False),
        "timePeriod": period,
        "barLength": width,
        "mdAvailability": "S",
        "mktDataDelay": 0,
        "outsideRth": outside,
        "volumeFactor": 1,
        "priceDisplayRule": 1,
        "priceDisplayValue": "2",
        "chartAnnotations": "",
        "negativeCapable": False,
        "messageVersion": 2,
        "data": [_bar(row) for row in rows],
        "points": len(rows) - 1,
        "travelTime": 3,
    }


def _extreme(row: BarRow, first: datetime, *, high: bool) -> str:
    price = row.high if high else row.low
    return f"{round(price * 100)}/{float(row.volume)}/{int((row.at - first).total_seconds() // 60)}"


def _bar(row: BarRow) -> Json:
    prices = {"o": float(row.open), "c": float(row.close), "h": float(row.high), "l": float(row.low)}
    return {**prices, "v": float(row.volume), "t": round(row.at.timestamp() * 1000)}
