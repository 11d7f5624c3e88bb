"""Prices of crypto assets: closed minutes and the last trade.

Source: docs.cdp.coinbase.com, Exchange API, "Get product candles" and "Get product ticker".
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from brokers.coinbase.config import CoinbaseConfig
from brokers.coinbase.values import MinuteBar, SpotPrice
from brokers.rest import RestReader, readable
from domain.clock import Clock, iso, parse_iso
from domain.errors import Retry

MINUTE = timedelta(minutes=1)
# The most candles of one request, counting both ends.
AT_ONCE = 300
_UNREADABLE = (KeyError, ValueError, TypeError, IndexError, ArithmeticError)


class CoinbaseClient:
    """Reads public prices. Every call raises Retry when there are none to trust now, Refuse for an unknown product."""

    def __init__(self, config: CoinbaseConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._rest = RestReader(
            "Coinbase",
            config.url,
            {"Accept": "application/json"},
            connect_s=config.connect_timeout_s,
            read_s=config.read_timeout_s,
            attempts=config.read_attempts,
        )

    def candles(self, product: str, start: datetime, end: datetime) -> Sequence[MinuteBar]:
        """Return the closed minutes with ``start <= bar.start < end``, oldest first.

        A minute without a trade has no bar. The running minute, which the venue shows unfinished, is left out.
        """
        found: dict[datetime, MinuteBar] = {}
        first, last = start, min(end, self._clock.now())
        while first < last:
            until = min(first + (AT_ONCE - 1) * MINUTE, last)
            for row in self._page(product, first, until):
                bar = _bar(row)
                found[bar.start] = bar
            first = until + timedelta(microseconds=1) if until < last else last
        bars = [found[at] for at in sorted(found) if start <= at < end]
        return [bar for bar in bars if bar.start + MINUTE <= self._clock.now()]

    def price(self, product: str) -> SpotPrice:
        """Return the last trade, at most ``price_max_age_s`` old on the process's clock."""
        what = f"the price of {product}"
        body = self._rest.json(what, f"/products/{quote(product, safe='')}/ticker")
        try:
            spot = SpotPrice(product=product, price=_positive(body["price"]), at=parse_iso(body["time"]))
        except _UNREADABLE as error:
            raise readable(what, error) from error
        age_s = (self._clock.now() - spot.at).total_seconds()
        if age_s > self._config.price_max_age_s:
            raise Retry(what, f"one of {iso(spot.at)}, {age_s:.0f} s old", "ask again")
        return spot

    def close(self) -> None:
        """Give the connections back."""
        self._rest.close()

    def _page(self, product: str, start: datetime, end: datetime) -> list[Any]:
        what = f"candles of {product}"
        rows = self._rest.json(
            what,
            f"/products/{quote(product, safe='')}/candles",
            start=_utc(start),
            end=_utc(end),
            granularity="60",
        )
        if not isinstance(rows, list):
            raise readable(what, TypeError(f"expected a list, found {type(rows).__name__}"))
        return rows


def _bar(row: Any) -> MinuteBar:
    """Read a row of time, low, high, open, close and volume."""
    try:
        low, high, open_, close = (_positive(value) for value in row[1:5])
        if not low <= min(open_, close) <= max(open_, close) <= high:
            raise ValueError(f"expected low <= open, close <= high, found {row}")
        return MinuteBar(
            start=datetime.fromtimestamp(int(row[0]), UTC),
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=Decimal(str(row[5])),
        )
    except _UNREADABLE as error:
        raise readable("a candle", error) from error


def _positive(value: Any) -> Decimal:
    number = Decimal(str(value))
    if not number.is_finite() or number <= 0:
        raise ValueError(f"expected a price above 0, found {value!r}")
    return number


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
