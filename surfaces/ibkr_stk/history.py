"""Closed bars handed to one strategy of each symbol: the past once, and each new one once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Generic, Protocol, TypeVar

import structlog

from brokers.port import MarketData
from domain.clock import Clock
from domain.errors import Retry
from domain.quotes import Bar, Instrument
from market.recorder import Recorder

log = structlog.get_logger()
MAX_BARS = 5000
# A regular session is 6.5 of 24 hours, five days of seven; holidays take the rest.
CALENDAR_SHARE = 5.5


class Follows(Protocol):
    """A strategy that reads one symbol's closed bars in order."""

    @property
    def warmup_bars(self) -> int: ...

    def on_bar(self, bar: Bar) -> None: ...


S = TypeVar("S", bound=Follows)


class History(Generic[S]):
    """Keeps one kind of strategy supplied.

    A symbol that can't be warmed up now is tried again, and keeps no other from trading.

    Args:
        make: makes the strategy of an instrument.
        day_of: tells which trading day a moment belongs to.
    """

    def __init__(
        self,
        data: MarketData,
        clock: Clock,
        period_s: int,
        make: Callable[[Instrument], S],
        day_of: Callable[[datetime], object],
        recorder: Recorder | None,
    ) -> None:
        self._data = data
        self._clock = clock
        self._period = timedelta(seconds=period_s)
        self._make = make
        self._day_of = day_of
        self._recorder = recorder
        self._strategies: dict[str, S] = {}
        self._next_bar: dict[str, datetime] = {}
        self._ask_again: dict[str, datetime] = {}
        self._last: dict[str, Bar] = {}
        self._closes: dict[str, Decimal] = {}

    def strategy(self, market: str) -> S | None:
        """Return the strategy of a symbol once its past was read."""
        return self._strategies.get(market)

    def reference(self, market: str) -> Decimal | None:
        """Return the close of the last session before today's, on today's scale; None where no bar was seen."""
        last = self._last.get(market)
        if last is not None and self._day_of(last.start) != self._day_of(self._clock.now()):
            return last.mid.close
        return self._closes.get(market)

    def restart(self) -> None:
        """Read every past again: a new day may have put it on another scale."""
        self._strategies.clear()
        self._ask_again.clear()

    def warm_one(self, instruments: Mapping[str, Instrument]) -> None:
        """Read the past of the next symbol that waits for it; one a turn, so that no turn takes long."""
        now = self._clock.now()
        for market, instrument in instruments.items():
            if market in self._strategies or now < self._ask_again.get(market, now):
                continue
            try:
                self._warm(market, instrument)
            except Retry as error:
                self._ask_again[market] = now + self._period / 10
                log.warning("market_waits", market=market, error=str(error))
            return

    def fresh(self, market: str) -> Sequence[Bar]:
        """Hand the bars closed since the last look to the strategy and return those that are news."""
        now, strategy = self._clock.now(), self._strategies.get(market)
        if strategy is None or now < self._ask_again[market]:
            return ()
        try:
            bars = self._data.bars(market, self._seconds, start=self._next_bar[market])
        except Retry as error:
            self._ask_again[market] = now + self._period / 10
            log.warning("bars_wait", market=market, error=str(error))
            return ()
        for bar in bars:
            self._take(market, strategy, bar)
        if self._recorder is not None:
            self._recorder.bars(bars)
        due = self._next_bar[market] + self._period
        self._ask_again[market] = due if due > now else now + self._period / 10
        # After a gap the older ones only update the indicators.
        return [bar for bar in bars if now - bar.end < self._period]

    @property
    def _seconds(self) -> int:
        return int(self._period.total_seconds())

    def _warm(self, market: str, instrument: Instrument) -> None:
        now, strategy = self._clock.now(), self._make(instrument)
        wanted = min(strategy.warmup_bars, MAX_BARS)
        earliest = now - wanted * self._period * CALENDAR_SHARE - timedelta(days=4)
        self._closes.pop(market, None)
        self._last.pop(market, None)
        bars = self._data.bars(market, self._seconds, start=earliest)
        self._next_bar[market] = earliest
        for bar in bars[-wanted:]:
            self._take(market, strategy, bar)
        self._strategies[market] = strategy
        self._ask_again[market] = now
        log.info("market_warm", market=market, bars=len(bars), until=self._next_bar[market].isoformat())

    def _take(self, market: str, strategy: S, bar: Bar) -> None:
        before = self._last.get(market)
        if before is not None and self._day_of(before.start) != self._day_of(bar.start):
            self._closes[market] = before.mid.close
        strategy.on_bar(bar)
        self._last[market] = bar
        self._next_bar[market] = bar.end
