"""Quotes: from the stream while it lives, by polling when it does not."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from brokers.oanda import candles, parse, pricing
from brokers.oanda.account import AccountReader
from brokers.oanda.home import HomeRates
from brokers.oanda.parse import Json, Price
from brokers.oanda.stream import PriceStream
from brokers.oanda.wire import Wire
from domain.errors import Retry
from domain.quotes import Bar, Instrument, Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A price, our time of getting it, and the real time at which the stream and polling last vouched for it."""

    price: Price
    received_at: datetime
    streamed_ns: int | None = None
    polled_ns: int | None = None


class OandaMarketData:
    """MarketData of one OANDA account."""

    def __init__(self, wire: Wire, reader: AccountReader) -> None:
        self._wire = wire
        self._reader = reader
        self._config = wire.config
        self._rates = HomeRates(wire, reader)
        self._seen: dict[str, _Seen] = {}
        self._polled_ns: dict[str, int] = {}
        self._lock = threading.Lock()
        self.stream = PriceStream(wire.config, wire.clock, self._on_line)

    def instruments(self, names: Sequence[str]) -> Mapping[str, Instrument]:
        return self._reader.instruments(names)

    def quotes(self, markets: Sequence[str]) -> Mapping[str, Quote]:
        """Return market -> quote; one is absent when neither stream nor polling vouches for it.

        A heartbeat proves the connection, not the price: each market silent for ``quote_silence_s`` is polled.
        """
        self.stream.watch(markets)
        fresh = {market for market in markets if self._is_fresh(market)}
        failure = self._poll([market for market in markets if market not in fresh])
        # Freshness is judged once: a price that expires between two looks would be neither polled nor returned.
        fresh |= {market for market in markets if market not in fresh and self._is_fresh(market)}
        found = {market: self._quote(market) for market in markets if market in fresh}
        quotes = {market: quote for market, quote in found.items() if quote is not None}
        if failure is not None and not quotes:
            raise failure
        return quotes

    def bars(self, market: str, period_s: int, *, start: datetime, end: datetime | None = None) -> Sequence[Bar]:
        return candles.bars(self._wire, market, period_s, start, end)

    def close(self) -> None:
        self.stream.close()
        self._wire.close()

    def _on_line(self, line: Json) -> None:
        price = parse.price(line)
        if price is not None:
            self._keep(price, streamed=True)

    def _keep(self, price: Price, *, streamed: bool) -> None:
        """Remember the newer price: a stream's first snapshot may be older than what was polled meanwhile."""
        now_ns, received_at = self._wire.clock.monotonic_ns(), self._wire.clock.now()
        with self._lock:
            before = self._seen.get(price.market, _Seen(price=price, received_at=received_at))
            newest = before.price if before.price.at > price.at else price
            vouched = {"streamed_ns": now_ns} if streamed else {"polled_ns": now_ns}
            self._seen[price.market] = replace(before, price=newest, received_at=received_at, **vouched)

    def _is_fresh(self, market: str) -> bool:
        seen, now_ns = self._seen.get(market), self._wire.clock.monotonic_ns()
        if seen is None:
            return False
        if seen.polled_ns is not None and now_ns - seen.polled_ns <= self._config.poll_interval_s * 1e9:
            return True
        recent = seen.streamed_ns is not None and now_ns - seen.streamed_ns <= self._config.quote_silence_s * 1e9
        return recent and self.stream.is_alive()

    def _poll(self, markets: Sequence[str]) -> Retry | None:
        """Poll those markets not polled within ``poll_interval_s``; hand a failure back, others may still be fresh."""
        now_ns = self._wire.clock.monotonic_ns()
        due = [market for market in markets if self._is_due(market, now_ns)]
        if not due:
            return None
        self._polled_ns |= dict.fromkeys(due, now_ns)
        try:
            self._fetch(due)
        except Retry as error:
            return error
        return None

    def _is_due(self, market: str, now_ns: int) -> bool:
        last_ns = self._polled_ns.get(market)
        return last_ns is None or (now_ns - last_ns) / 1e9 >= self._config.poll_interval_s

    def _fetch(self, markets: Sequence[str]) -> None:
        prices, rates = pricing.poll(self._wire, markets)
        self._rates.learn(rates)
        for price in prices:
            self._keep(price, streamed=False)

    def _quote(self, market: str) -> Quote | None:
        seen, now = self._seen[market], self._wire.clock.now()
        price = seen.price
        if price.tradeable and (now - price.at).total_seconds() > self._config.quote_max_age_s:
            return None
        return Quote(
            market=market,
            bid=price.bid,
            ask=price.ask,
            at=price.at,
            received_at=seen.received_at,
            tradeable=price.tradeable,
            home_rate=self._rates.of(market),
        )
