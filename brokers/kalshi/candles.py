"""Closed bars from candlesticks, which the venue has of one minute, one hour and one day."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from urllib.parse import quote

from brokers.kalshi.listings import Listings
from brokers.kalshi.parse import Json, count, price
from brokers.kalshi.wire import Body, Wire
from domain.quotes import Bar, Ohlc

# Seconds of a candle -> the venue's word for it; the longest that divides a period is taken.
INTERVALS = {86_400: 1440, 3600: 60, 60: 1}
# The most candles of one request and bars of one call.
AT_ONCE, MOST = 4000, 5000


class Candles:
    """Reads candlesticks and puts them together to the period asked for."""

    def __init__(self, wire: Wire, listings: Listings) -> None:
        self._wire = wire
        self._listings = listings

    def bars(self, market: str, period_s: int, start: datetime, end: datetime | None) -> Sequence[Bar]:
        """Return the closed bars with ``start <= bar.start`` and ``< end``; none of a period below a minute.

        A candle without a bid or an ask is left out: nobody could have traded in it.
        """
        length = next((seconds for seconds in INTERVALS if period_s % seconds == 0), None)
        if length is None:
            return []
        now = self._wire.clock.now()
        last = min(end or now, now)
        bars = _coarse(self._fine(market, length, start, last), period_s)
        # The first may lack the candles before ``start``, and the last those still to come.
        whole = [bar for bar in bars if bar.start >= start and bar.end <= now and (end is None or bar.start < end)]
        return whole[:MOST]

    def _fine(self, market: str, length: int, start: datetime, end: datetime) -> Iterator[Bar]:
        series = self._series(market)
        step = timedelta(seconds=AT_ONCE * length)
        first = start
        while series is not None and first < end:
            # A candle is asked for by its end, so the one that starts at ``first`` ends a period later.
            last = min(first + step, end + timedelta(seconds=length))
            rows = self._wire.read(
                f"candlesticks of {market}",
                f"/series/{quote(series, safe='')}/markets/{quote(market, safe='')}/candlesticks",
                _rows,
                start_ts=int(first.timestamp()) + 1,
                end_ts=int(last.timestamp()),
                period_interval=INTERVALS[length],
            )
            yield from (bar for row in rows if (bar := _bar(market, length, row)) is not None)
            first = last

    def _series(self, market: str) -> str | None:
        contract = self._listings.known(market) or self._listings.contract(market)
        return None if contract is None else contract.series


def _rows(body: Body) -> list[Body]:
    return list(body["candlesticks"] or ())


def _bar(market: str, length: int, row: Json) -> Bar | None:
    bid, ask = _ohlc(row.get("yes_bid")), _ohlc(row.get("yes_ask"))
    if bid is None or ask is None:
        return None
    volume = count(row, "volume")
    return Bar(
        market=market,
        start=datetime.fromtimestamp(int(row["end_period_ts"]) - length, UTC),
        period_s=length,
        bid=bid,
        ask=ask,
        volume=0 if volume is None else int(volume),
    )


def _ohlc(row: Json | None) -> Ohlc | None:
    values = [price(row or {}, name) for name in ("open", "high", "low", "close")]
    known = [value for value in values if value is not None]
    return Ohlc(open=known[0], high=known[1], low=known[2], close=known[3]) if len(known) == len(values) else None


def _coarse(bars: Iterable[Bar], period_s: int) -> Iterator[Bar]:
    """Yield bars of ``period_s``, aligned to midnight UTC as the venue's own are."""
    for begin, group in groupby(bars, key=lambda bar: int(bar.start.timestamp()) // period_s * period_s):
        parts = list(group)
        yield Bar(
            market=parts[0].market,
            start=datetime.fromtimestamp(begin, UTC),
            period_s=period_s,
            bid=_joined([part.bid for part in parts]),
            ask=_joined([part.ask for part in parts]),
            volume=sum(part.volume for part in parts),
        )


def _joined(parts: Sequence[Ohlc]) -> Ohlc:
    return Ohlc(
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
    )
