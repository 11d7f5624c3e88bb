"""Candles, the ticker and the clock, made of recorded minute bars.

Only minutes that are over can be read: the candle of the running minute, which the real service shows unfinished, is
left out. The ticker is the close of the last finished minute; its bid and ask are a cent around it, SYNTHETIC.
"""

from datetime import UTC, datetime, timedelta

from simulators.coinbase.replies import refusal
from simulators.recordings.bitcoin import MINUTE, Bar, bar_at, bars, last_close
from simulators.rest.faults import parse_moment
from simulators.rest.service import Call, Refused, json_response
from simulators.rest.transport import Response

GRANULARITIES = (60, 300, 900, 3600, 21600, 86400)
_MOST = 300
_STALE_MINUTES, _GAP_MINUTES = 30.0, 10.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def candles(call: Call) -> Response:
    """Answer ``/products/BTC-USD/candles``: rows of time, low, high, open, close, volume, the newest first.

    Source: https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products/get-product-candles
    """
    width = timedelta(seconds=_granularity(call))
    start, end = _range(call, width)
    known = call.now - _staleness(call)
    gap = call.fault("gap")
    # the gap is the middle of what was asked for
    hole = timedelta(minutes=0 if gap is None else gap.get("minutes", _GAP_MINUTES))
    middle = start + (min(end, known) - start) / 2
    rows = []
    for begin in _grid(start, end, width):
        inside = [bar for bar in bars(begin, begin + width) if not _within(bar.start, middle, hole)]
        if begin + width <= known and inside:
            rows.append(_row(begin, inside))
    return json_response(rows[::-1])


def _within(start: datetime, middle: datetime, hole: timedelta) -> bool:
    return middle - hole / 2 <= start < middle + hole / 2


def _grid(start: datetime, end: datetime, width: timedelta) -> list[datetime]:
    first = -((_EPOCH - start) // width)
    last = (end - _EPOCH) // width
    return [_EPOCH + step * width for step in range(first, last + 1)]


def _row(begin: datetime, inside: list[Bar]) -> list[float]:
    low, high = min(bar.low for bar in inside), max(bar.high for bar in inside)
    volume = round(sum(bar.volume for bar in inside), 8)
    return [int(begin.timestamp()), low, high, inside[0].open, inside[-1].close, volume]


def _granularity(call: Call) -> int:
    text = call.request.query.get("granularity", "60")
    if not text.isascii() or not text.isdigit() or int(text) not in GRANULARITIES:
        raise Refused(refusal(400, "Unsupported granularity"))
    return int(text)


def _range(call: Call, width: timedelta) -> tuple[datetime, datetime]:
    query = call.request.query
    if "start" not in query or "end" not in query:
        return call.now - _MOST * width, call.now
    start, end = _moment(query["start"], "start"), _moment(query["end"], "end")
    if end < start:
        raise Refused(refusal(400, "start must be before end"))
    if len(_grid(start, end, width)) > _MOST:
        raise Refused(refusal(400, f"granularity too small for the requested time range: more than {_MOST} candles"))
    return start, end


def _moment(text: str, name: str) -> datetime:
    """Read a time: seconds since 1970, or ISO-8601, in UTC where it names no offset."""
    if text.isascii() and text.isdigit():
        return datetime.fromtimestamp(int(text), UTC)
    try:
        # a plus sign that was not escaped arrives as a blank
        spelled = text.replace(" ", "+")
        return parse_moment(spelled if datetime.fromisoformat(spelled).tzinfo else f"{spelled}+00:00")
    except ValueError as exc:
        raise Refused(refusal(400, f"Invalid {name}")) from exc


def _staleness(call: Call) -> timedelta:
    stale = call.fault("stale")
    return timedelta(0) if stale is None else timedelta(minutes=stale.get("minutes", _STALE_MINUTES))


def ticker(call: Call) -> Response:
    """Answer ``/products/BTC-USD/ticker``."""
    known = call.now - _staleness(call)
    price = last_close(known)
    minute = bar_at(known - MINUTE)
    day = bars(minute.start - timedelta(days=1), minute.start)
    trade = int(minute.start.timestamp()) // 60
    return json_response(
        {
            "ask": f"{price + 0.01:.2f}",
            "bid": f"{price - 0.01:.2f}",
            "volume": f"{sum(bar.volume for bar in day):.8f}",
            "trade_id": trade,
            "price": f"{price:.2f}",
            "size": f"{minute.volume:.8f}",
            "time": _spelled(minute.start + MINUTE),
        }
    )


def time(call: Call) -> Response:
    """Answer ``/time``."""
    return json_response({"iso": _spelled(call.now), "epoch": round(call.now.timestamp(), 3)})


def _spelled(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
