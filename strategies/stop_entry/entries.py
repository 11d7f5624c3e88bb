"""The stop-entry strategy of one symbol: closed bars in, the proposal of an armed entry out."""

from datetime import datetime
from decimal import Decimal

from domain.candidate import Candidate, Estimate
from domain.clock import require_utc
from domain.quotes import Bar, Instrument, Quote
from domain.vocabulary import Side, Surface
from strategies.bar_reader import BarReader
from strategies.indicators import Atr
from strategies.proposal import Proposal, candidate_id
from strategies.stop_entry.actions import ArmEntry
from strategies.stop_entry.levels import down
from strategies.stop_entry.params import StopEntryParams
from strategies.stop_entry.track import Track
from strategies.track_record import Prior, cost, estimate, hours_to, odds_of_trailing

__all__ = ["CATEGORY", "NAME", "SUB_STRATEGY", "StopEntryParams", "StopEntryStrategy", "thesis_of"]

CATEGORY = "equity"
NAME = "stop_entry"
SUB_STRATEGY = "momentum"
_HUNDRED = Decimal(100)


class StopEntryStrategy(BarReader):
    """Reads one symbol's closed bars in order, and turns what the machine wants armed into a proposal."""

    def __init__(self, instrument: Instrument, params: StopEntryParams, surface: Surface) -> None:
        super().__init__(instrument, params.period_s)
        self.warmup_bars = params.warmup_bars
        self._params = params
        self._surface = surface
        self._track = Track(instrument.name, instrument.tick, params)
        self._atr = Atr(params.atr)

    @property
    def ready(self) -> bool:
        return self._atr.ready

    def on_bar(self, bar: Bar) -> None:
        """Take in a closed bar; one that is not later than the last is ignored.

        Raises:
            ValueError: the bar is of another market or period.
        """
        if not self._is_next(bar):
            return
        self._track.on_bar(bar)
        prices = bar.mid
        self._atr.update(float(prices.high), float(prices.low), float(prices.close))

    def propose(
        self, entry: ArmEntry, quote: Quote, now: datetime, *, budget: Decimal | None = None
    ) -> Proposal | None:
        """Return the proposal of an entry, None before there are bars enough for an average range.

        Args:
            budget: what the position may cost, from which the commission follows; None counts a single share.

        Raises:
            ValueError: the quote is of another market, or ``now`` is naive.
        """
        self._require_own(quote)
        moment, atr = require_utc(now, "now"), self._atr.value
        if atr is None:
            return None
        candidate = self._candidate(entry, quote, Decimal(str(round(atr, 6))), moment)
        return Proposal(candidate=candidate, estimate=self._estimate(entry, quote, atr, budget))

    def _estimate(self, entry: ArmEntry, quote: Quote, atr: float, budget: Decimal | None) -> Estimate:
        params = self._params
        costs = cost(entry.trigger, quote.spread, budget, params.fees)
        trail_bp = float(entry.trail_percent) * 100.0
        distance = float(entry.trigger * entry.trail_percent / _HUNDRED)
        prior = Prior(
            weight=float(params.prior_weight),
            edge_bp=float(params.prior_edge_bp),
            odds=odds_of_trailing(trail_bp, float(costs.total_bp)),
            # What a walk without drift returns under a trailing stop is exponential: it deviates by the distance.
            deviation_bp=trail_bp,
            hours=hours_to(distance, atr, params.period_s),
        )
        return estimate(self._track.trades, prior, costs)

    def _candidate(self, entry: ArmEntry, quote: Quote, atr: Decimal, now: datetime) -> Candidate:
        instrument, thesis = self._instrument, thesis_of(entry.session)
        return Candidate(
            id=candidate_id(now, self._surface, instrument.name, thesis),
            surface=self._surface,
            market=instrument.name,
            group=instrument.name,
            category=CATEGORY,
            strategy=NAME,
            sub_strategy=SUB_STRATEGY,
            side=Side.BUY,
            thesis=thesis,
            quote=quote,
            decision_price=entry.trigger,
            stop_loss=down(entry.trigger * (1 - entry.trail_percent / _HUNDRED), instrument.tick),
            take_profit=None,
            trailing_distance=None,
            atr=atr,
            found_at=now,
            trigger=entry.trigger,
            limit=entry.limit,
            trailing_percent=entry.trail_percent,
            trailing_offset=entry.trail_offset,
            tif=entry.tif,
            outside_hours=entry.outside_hours,
        )


def thesis_of(session: str) -> str:
    """Return the thesis of a session's entries: one bet a symbol and session, and a new one in the next session."""
    return f"{SUB_STRATEGY}:{session}"
