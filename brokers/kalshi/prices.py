"""Market data of Kalshi: quotes from the WebSocket while it vouches for them, by polling when it does not."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from brokers.kalshi import market_rows
from brokers.kalshi.candles import Candles
from brokers.kalshi.listings import Listings
from brokers.kalshi.parse import Json, moment
from brokers.kalshi.stream import TickerStream
from brokers.kalshi.wire import Body, Wire
from domain.contract import Contract, ContractStatus
from domain.errors import Retry
from domain.quotes import Bar, Instrument, Quote

# How long a market is remembered that nobody asks for, and how many there may be before anybody looks.
FORGOTTEN_S, FEW = 3600.0, 1000
_UNREADABLE = (KeyError, ValueError, TypeError, ArithmeticError)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A book's top, the venue's time of it, ours of getting it, and when stream and polling last vouched for it."""

    book: tuple[Decimal, Decimal] | None
    at: datetime
    received_at: datetime
    is_active: bool = True
    streamed_ns: int | None = None
    polled_ns: int | None = None


class KalshiData:
    """MarketData of Kalshi, with its contracts."""

    def __init__(self, wire: Wire, listings: Listings) -> None:
        self._wire = wire
        self._config = wire.config
        self._listings = listings
        self._candles = Candles(wire, listings)
        self._seen: dict[str, _Seen] = {}
        self._asked_ns: dict[str, int] = {}
        self._most = FEW
        self._lock = threading.Lock()
        self.bad_rows = 0
        self.stream = TickerStream(wire, self._on_ticker, self._on_gap)

    def contracts(
        self, series: Sequence[str] | None = None, *, closing_before: datetime | None = None
    ) -> Sequence[Contract]:
        """Return the contracts that are open for trading, of some series or of all. Raises Retry."""
        return self._listings.contracts(series, closing_before=closing_before)

    def contract(self, ticker: str) -> Contract | None:
        """Return one contract as it is now; None when the venue does not list it. Raises Retry."""
        return self._listings.contract(ticker)

    def is_open(self, ticker: str, now: datetime) -> bool:
        """Tell whether a contract trades now. Raises Retry."""
        return self._listings.is_open(ticker, now)

    def instruments(self, names: Sequence[str]) -> Mapping[str, Instrument]:
        return self._listings.instruments(names)

    def quotes(self, markets: Sequence[str]) -> Mapping[str, Quote]:
        """Return market -> quote; one is absent when neither stream nor polling vouches for it.

        An open connection proves nothing about a market: each that was silent for ``quote_silence_s`` is polled.
        """
        self._forget()
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
        return self._candles.bars(market, period_s, start, end)

    def close(self) -> None:
        self.stream.close()
        self._wire.close()

    def _on_ticker(self, message: Json) -> None:
        """Keep what a message says. Those of one connection come in order, so the last is the newest."""
        ticker, book = str(message["market_ticker"]), market_rows.book(message)
        at = moment(message.get("ts_ms") or message["ts"])
        now_ns = self._wire.clock.monotonic_ns()
        with self._lock:
            before = self._seen.get(ticker)
            self._seen[ticker] = _Seen(
                book=book,
                at=at,
                received_at=self._wire.clock.now(),
                is_active=before is None or before.is_active,
                streamed_ns=None if book is None else now_ns,
                polled_ns=None if before is None or book is None else before.polled_ns,
            )
        if book is None:
            raise ValueError(f"expected a bid and an ask of {ticker}, found {message.get('yes_bid_dollars')!r}")

    def _on_gap(self) -> None:
        """Trust no streamed price any more: messages were lost, or will have been by the time we are connected."""
        with self._lock:
            self._seen = {ticker: replace(seen, streamed_ns=None) for ticker, seen in self._seen.items()}

    def _is_fresh(self, market: str) -> bool:
        seen, now_ns = self._seen.get(market), self._wire.clock.monotonic_ns()
        if seen is None:
            return False
        if seen.polled_ns is not None and now_ns - seen.polled_ns <= self._config.poll_interval_s * 1e9:
            return True
        if self._is_too_old(seen):
            return False
        recent = seen.streamed_ns is not None and now_ns - seen.streamed_ns <= self._config.quote_silence_s * 1e9
        # The stream says nothing about a market's status: whether it trades is known from polling alone.
        known = seen.polled_ns is not None and now_ns - seen.polled_ns <= self._config.listing_refresh_s * 1e9
        return recent and known and self.stream.is_alive()

    def _poll(self, markets: Sequence[str]) -> Retry | None:
        """Poll those markets not polled within ``poll_interval_s``; hand a failure back, others may still be fresh."""
        now_ns = self._wire.clock.monotonic_ns()
        due = [market for market in markets if self._is_due(market, now_ns)]
        if not due:
            return None
        self._asked_ns |= dict.fromkeys(due, now_ns)
        try:
            for row in self._listings.rows(due):
                self._take_row(row, now_ns)
        except Retry as error:
            return error
        return None

    def _forget(self) -> None:
        """Let go of markets nobody asked for in a long time, once there are many: each day lists others."""
        if len(self._asked_ns) <= self._most:
            return
        oldest = self._wire.clock.monotonic_ns() - int(FORGOTTEN_S * 1e9)
        with self._lock:
            for market in [market for market, asked in self._asked_ns.items() if asked < oldest]:
                del self._asked_ns[market]
                self._seen.pop(market, None)
        self._most = 2 * len(self._asked_ns) + FEW

    def _is_due(self, market: str, now_ns: int) -> bool:
        last_ns = self._asked_ns.get(market)
        return last_ns is None or (now_ns - last_ns) / 1e9 >= self._config.poll_interval_s

    def _take_row(self, row: Body, asked_ns: int) -> None:
        """Keep what a poll shows. A row says how the market stands as it is written: its time is that of the poll."""
        now, now_ns = self._wire.clock.now(), self._wire.clock.monotonic_ns()
        try:
            ticker, book = str(row["ticker"]), market_rows.book(row)
            is_active = market_rows.status(row) is ContractStatus.ACTIVE
        except _UNREADABLE:
            self.bad_rows += 1
            return
        with self._lock:
            before = self._seen.get(ticker)
            if before is not None and (before.streamed_ns or 0) > asked_ns:
                # A message overtook the answer: its price is the newer, but it says nothing about the status.
                self._seen[ticker] = replace(before, is_active=is_active, polled_ns=now_ns)
                return
            streamed_ns = None if before is None else before.streamed_ns
            self._seen[ticker] = _Seen(
                book=book, at=now, received_at=now, is_active=is_active, streamed_ns=streamed_ns, polled_ns=now_ns
            )

    def _quote(self, market: str) -> Quote | None:
        seen = self._seen[market]
        if seen.book is None or self._is_too_old(seen):
            return None
        return market_rows.quote(market, seen.book, at=seen.at, received_at=seen.received_at, tradeable=seen.is_active)

    def _is_too_old(self, seen: _Seen) -> bool:
        return (self._wire.clock.now() - seen.at).total_seconds() > self._config.quote_max_age_s
