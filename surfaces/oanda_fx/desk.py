"""The FX desk: closed bars in, proposals of the FX strategy out."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

import structlog

from brokers.port import MarketData
from domain.clock import Clock
from domain.errors import Retry
from domain.quotes import Bar, Instrument, Quote
from domain.vocabulary import Surface
from market import sessions
from market.recorder import Recorder
from strategies.fx.params import FxParams
from strategies.fx.strategy import FxStrategy
from surfaces.proposal import Proposal, judged

log = structlog.get_logger()
# A weekend and a holiday may lie inside the history needed to warm up.
WARMUP_SLACK = timedelta(days=4)
MAX_BARS = 5000


class FxDesk:
    """Follows the closed bars of each market and asks the strategy after every one of them.

    Args:
        recorder: keeps every quote and bar the decisions were made on; None keeps none.
    """

    def __init__(
        self, data: MarketData, markets: Sequence[str], params: FxParams, clock: Clock, recorder: Recorder | None
    ) -> None:
        self._data = data
        self._names = tuple(markets)
        self._params = params
        self._clock = clock
        self._recorder = recorder
        self._instruments: Mapping[str, Instrument] = {}
        self._strategies: dict[str, FxStrategy] = {}
        self._next_bar: dict[str, datetime] = {}
        self._ask_again: dict[str, datetime] = {}

    def startup(self) -> None:
        """Load the instruments and warm each market's strategy up; may be called again after a failure."""
        self._instruments = self._data.instruments(self._names)
        for name in self._names:
            if name not in self._instruments:
                log.warning("market_not_listed", market=name)
            else:
                self._try_to_warm_up(name)

    def instrument(self, market: str) -> Instrument | None:
        return self._instruments.get(market)

    def quotes(self) -> Mapping[str, Quote]:
        quotes = self._data.quotes(tuple(self._instruments))
        if self._recorder is not None:
            self._recorder.quotes(quotes.values())
        return {name: quote for name, quote in quotes.items() if quote.tradeable}

    def scan(self, now: datetime) -> Iterator[Proposal]:
        """Yield the proposals of every bar that closed since the last scan, judged on the newest quote.

        A market without a quote has no new bars worth a request: it is closed, or its feed is dead.
        """
        quoted = self.quotes()
        for name in [name for name in quoted if name not in self._strategies]:
            self._try_to_warm_up(name)
        for name, strategy in self._strategies.items():
            if now < self._ask_again[name] or name not in quoted:
                continue
            try:
                fresh = self._new_bars(name, now)
            except Retry as error:
                log.warning("bars_wait", market=name, error=str(error))
                continue
            if fresh and self._is_current(fresh[-1], now):
                yield from self._propose(name, strategy)

    def is_open(self, market: str, now: datetime) -> bool:
        return sessions.is_open(now)

    def trading_day(self, now: datetime) -> date:
        return sessions.trading_day(now)

    def day_start(self, day: date) -> datetime:
        return sessions.day_bounds(day)[0]

    def trouble(self) -> str:
        return ""

    def close(self) -> None:
        self._data.close()
        if self._recorder is not None:
            self._recorder.close()

    def _try_to_warm_up(self, name: str) -> None:
        """Warm one market up; one that can't be now must not keep the others from trading."""
        wait_until = self._ask_again.get(name)
        if name in self._strategies or (wait_until is not None and self._clock.now() < wait_until):
            return
        try:
            self._warm_up(name)
        except Retry as error:
            self._ask_again[name] = self._clock.now() + timedelta(seconds=self._params.period_s) / 10
            log.warning("market_waits", market=name, error=str(error))

    def _warm_up(self, name: str) -> None:
        strategy = FxStrategy(self._instruments[name], self._params, Surface.FX)
        now = self._clock.now()
        span = timedelta(seconds=self._params.period_s)
        earliest = max(now - strategy.warmup_bars * 2 * span - WARMUP_SLACK, now - (MAX_BARS - 1) * span)
        for bar in self._data.bars(name, self._params.period_s, start=earliest):
            strategy.on_bar(bar)
            self._next_bar[name] = bar.end
        self._strategies[name] = strategy
        self._next_bar.setdefault(name, earliest)
        self._ask_again[name] = now
        log.info("market_warm", market=name, ready=strategy.ready, until=self._next_bar[name].isoformat())

    def _new_bars(self, name: str, now: datetime) -> Sequence[Bar]:
        """Fetch the bars closed since the last one, and note when to ask again."""
        period = timedelta(seconds=self._params.period_s)
        bars = self._data.bars(name, self._params.period_s, start=self._next_bar[name])
        for bar in bars:
            self._strategies[name].on_bar(bar)
            self._next_bar[name] = bar.end
        if self._recorder is not None:
            self._recorder.bars(bars)
        due = self._next_bar[name] + period
        # A bar completes only with the first tick after it, so an overdue one is asked for ten times a period.
        self._ask_again[name] = due if due > now else now + period / 10
        return bars

    def _is_current(self, bar: Bar, now: datetime) -> bool:
        """Tell whether a bar is news: after a gap the older ones only update the indicators."""
        return now - bar.end < timedelta(seconds=self._params.period_s)

    def _propose(self, name: str, strategy: FxStrategy) -> Iterator[Proposal]:
        quote = self.quotes().get(name)
        if quote is None:
            return
        for proposal in strategy.propose(quote, self._clock.now()):
            yield judged(proposal.candidate, proposal.estimate)
