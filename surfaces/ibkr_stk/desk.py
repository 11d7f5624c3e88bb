"""The stock desk: armed entries of the state machine, and crossovers on closed bars, proposed to the gates."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import structlog

from brokers.port import MarketData
from domain.candidate import Candidate
from domain.clock import Clock
from domain.errors import Retry
from domain.quotes import Instrument, Quote
from domain.stock_settings import StockStrategy
from domain.vocabulary import Link, Surface
from market.calendar import Calendar, DailyCalendar, Phase
from market.exchange_session import may_trade
from market.gaps import EVERY_MARKET, Gap, GapReason
from market.recorder import Recorder
from strategies.crossover.strategy import CrossoverStrategy
from strategies.stop_entry.entries import StopEntryStrategy
from surfaces.ibkr_stk.config import StockConfig
from surfaces.ibkr_stk.history import History
from surfaces.ibkr_stk.keeper import Keeper
from surfaces.proposal import Proposal, judged

log = structlog.get_logger()
ONE = Decimal(1)
MOST_SHOWN = 10


class StockDesk:
    """Follows the symbols of a watchlist.

    Attributes:
        kept: tells which other symbols shares are held of or entries rest in: no longer watched, and still minded.

    Args:
        recorder: keeps every quote and bar the decisions were made on; None keeps none.
    """

    def __init__(
        self, data: MarketData, config: StockConfig, clock: Clock, calendar: DailyCalendar, recorder: Recorder | None
    ) -> None:
        self._data = data
        self._config = config
        self._clock = clock
        self._calendar = calendar
        self._recorder = recorder
        self._instruments: Mapping[str, Instrument] = {}
        self._watched: Mapping[str, Instrument] = {}
        self._unlisted = self._priceless = ""
        self._down_since: datetime | None = None
        self._says_open: Mapping[str, bool] = {}
        self._day: date | None = None
        self.keeper: Keeper | None = None
        self.kept: Callable[[], Sequence[str]] = tuple
        self.link: Callable[[], tuple[Link, str]] = lambda: (Link.UP, "")
        params, cross, day_of = config.stop_entry, config.crossover, self.trading_day
        self._stop_entry = History(
            data, clock, params.period_s, lambda i: StopEntryStrategy(i, params, Surface.STK), day_of, recorder
        )
        self._crossover = History(
            data, clock, cross.period_s, lambda i: CrossoverStrategy(i, cross, Surface.STK), day_of, recorder
        )

    @property
    def calendar(self) -> Calendar:
        return self._calendar.today()

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Return those of the symbols watched, and of those that must be looked after although they are not."""
        return self._instruments

    def startup(self) -> None:
        """Load the instruments; may be called again after a failure. The past of each symbol follows turn by turn."""
        watched = self._config.markets
        names = tuple(dict.fromkeys((*watched, *self.kept())))
        self._instruments = {name: _whole(one) for name, one in self._data.instruments(names).items()}
        self._watched = {name: one for name, one in self._instruments.items() if name in watched}
        missing = [name for name in watched if name not in self._watched]
        for name in missing:
            log.warning("market_not_listed", market=name)
        self._unlisted = _not_listed(missing, is_all=not self._watched)

    def instrument(self, market: str) -> Instrument | None:
        return self._instruments.get(market)

    def _mind_the_link(self, now: datetime) -> None:
        """Record from when to when the connection was not whole: nothing was heard of any market then."""
        if self.link()[0] is not Link.UP:
            self._down_since = self._down_since or now
        elif self._down_since is not None:
            gap = Gap(market=EVERY_MARKET, since=self._down_since, until=now, reason=GapReason.RECONNECT)
            self._down_since = None
            if self._recorder is not None:
                self._recorder.gaps([gap])

    def quotes(self) -> Mapping[str, Quote]:
        quotes = self._prices()
        if self._recorder is not None:
            self._recorder.quotes(quotes.values())
        self._says_open = {name: quote.tradeable for name, quote in quotes.items()}
        return {name: quote for name, quote in quotes.items() if quote.tradeable}

    def _prices(self) -> Mapping[str, Quote]:
        """Return what prices there are. While the link is UP, none are no reason not to look after orders."""
        try:
            quotes = self._data.quotes(tuple(self._instruments))
        except Retry as error:
            if self.link()[0] is not Link.UP:
                raise
            self._priceless = f"no prices: {error}"
            return {}
        self._priceless = ""
        return quotes

    def reference(self, market: str) -> Decimal | None:
        """Return the last session's close of a symbol, on today's scale."""
        return self._stop_entry.reference(market)

    def scan(self, now: datetime) -> Iterator[Proposal]:
        """Yield the entries to be armed and the crossovers of bars that closed since the last scan."""
        self._begin_day(now)
        self._mind_the_link(now)
        chosen = self._config.settings.strategies
        # Also without arming: the machine compares prices with the last session's close.
        self._stop_entry.warm_one(self._watched)
        if StockStrategy.STOP_ENTRY in chosen:
            yield from self._armed(now)
        if StockStrategy.CROSSOVER in chosen:
            self._crossover.warm_one(self._watched)
            yield from self._crossed(now)

    def is_open(self, market: str, now: datetime) -> bool:
        return may_trade(self.calendar.phase(now) in self._phases, self._says_open.get(market))

    def trading_day(self, now: datetime) -> date:
        return self.calendar.trading_day(now)

    def day_start(self, day: date) -> datetime:
        return self.calendar.day_bounds(day)[0]

    def trouble(self) -> str:
        """Return in words what keeps anything from being bought, empty when it is only that nothing is worth it."""
        link, why = self.link()
        said = "" if link is Link.UP else f"IBKR is {link}: {why}"
        kept = () if self.keeper is None else (self.keeper.returned.told, self.keeper.unheeded.told)
        odd = [words for told in kept for words in told.values()]
        return "; ".join(filter(None, (said, self._priceless, *odd, self._unlisted, self.calendar.trouble)))

    def close(self) -> None:
        self._data.close()
        if self._recorder is not None:
            self._recorder.close()

    @property
    def _phases(self) -> Sequence[Phase]:
        params = self._config.stop_entry
        pre = (Phase.PRE,) if params.allow_pre_market else ()
        post = (Phase.POST,) if params.allow_after_hours else ()
        return (*pre, Phase.REGULAR, *post)

    def _begin_day(self, now: datetime) -> None:
        """Read everything anew on a new trading day: a split may have put the past on another scale."""
        today = self.trading_day(now)
        if self._day is not None and today != self._day:
            self._stop_entry.restart()
            self._crossover.restart()
        self._day = today

    def _armed(self, now: datetime) -> Iterator[Proposal]:
        keeper, quotes = self.keeper, self.quotes()
        for market in self._watched:
            self._stop_entry.fresh(market)
        while keeper is not None and keeper.armable:
            market, entry = keeper.armable.popitem()
            strategy, quote = self._stop_entry.strategy(market), quotes.get(market)
            if strategy is None or quote is None:
                continue
            proposal = strategy.propose(entry, quote, now, budget=self._config.limits.budget(market))
            if proposal is not None:
                keeper.proposed(market)
                yield judged(self._ending(proposal.candidate, now), proposal.estimate)

    def _crossed(self, now: datetime) -> Iterator[Proposal]:
        quotes = self.quotes()
        for market in self._watched:
            strategy, quote = self._crossover.strategy(market), quotes.get(market)
            if strategy is None or quote is None or not self._crossover.fresh(market):
                continue
            if (self.keeper is not None and self.keeper.doubts(market)) or self._is_ending(now):
                continue
            budget = self._config.limits.budget(market)
            for proposal in strategy.propose(quote, now, budget=budget):
                yield judged(self._ending(proposal.candidate, now), proposal.estimate)

    def _is_ending(self, now: datetime) -> bool:
        """Tell whether what is bought now would have to be sold at once."""
        minutes, close = self._config.settings.flat_before_close_min, self.calendar.next_close(now)
        return minutes is not None and close is not None and close - now <= timedelta(minutes=minutes)

    def _ending(self, candidate: Candidate, now: datetime) -> Candidate:
        """Return a candidate that is flat before its session's close, if positions are to be."""
        minutes, close = self._config.settings.flat_before_close_min, self.calendar.next_close(now)
        if minutes is None or close is None:
            return candidate
        return replace(candidate, closes_at=close - timedelta(minutes=minutes))


def _not_listed(missing: Sequence[str], *, is_all: bool) -> str:
    """Return in words which symbols the broker does not know; the log has them all."""
    if not missing:
        return ""
    shown = ", ".join(missing[:MOST_SHOWN]) + (f" and {left} more" if (left := len(missing) - MOST_SHOWN) > 0 else "")
    found = "none" if is_all else "others only"
    return f"expected symbols that IBKR lists; found {found}, not {shown}; correct STK_MARKETS or the watchlist"


def _whole(instrument: Instrument) -> Instrument:
    """Return the instrument as it may be bought: no stop could rest at any exchange for a part of a share."""
    return replace(
        instrument, quantity_step=max(instrument.quantity_step, ONE), quantity_min=max(instrument.quantity_min, ONE)
    )
