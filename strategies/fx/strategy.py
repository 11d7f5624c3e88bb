"""The FX strategy of one market: closed bars in, bracketed proposals with their estimates out."""

from datetime import datetime

from domain.candidate import Candidate
from domain.clock import require_utc
from domain.quotes import Bar, Instrument, Quote
from domain.vocabulary import Surface
from strategies.bar_reader import BarReader
from strategies.fx.bracket import bracket, price_of
from strategies.fx.estimate import distances, estimate
from strategies.fx.params import FxParams
from strategies.fx.reading import Gauges, Reading
from strategies.fx.setups import SETUPS, Setup
from strategies.proposal import Proposal, candidate_id

__all__ = ["FxParams", "FxStrategy", "Proposal"]

CATEGORY = "fx"
NAME = "fx_trend"


class FxStrategy(BarReader):
    """Reads one market's closed bars in order and proposes every setup that has a directional bias.

    Weak ones are proposed too: the gates refuse them, and the journal then shows why.
    """

    def __init__(self, instrument: Instrument, params: FxParams, surface: Surface) -> None:
        super().__init__(instrument, params.period_s)
        self.warmup_bars = params.warmup_bars
        self._params = params
        self._surface = surface
        self._gauges = Gauges(params)
        self._reading: Reading | None = None
        self._is_fresh = False

    @property
    def ready(self) -> bool:
        return self._reading is not None

    def on_bar(self, bar: Bar) -> None:
        """Take in a closed bar; one that is not later than the last is ignored.

        Raises:
            ValueError: the bar is of another market or period.
        """
        if not self._is_next(bar):
            return
        self._reading = self._gauges.update(bar)
        self._is_fresh = True

    def propose(self, quote: Quote, now: datetime) -> list[Proposal]:
        """Return the proposals of the newest bar, priced on ``quote``; each bar's are returned once.

        Raises:
            ValueError: the quote is of another market, or ``now`` is naive.
        """
        self._require_own(quote)
        moment, reading = require_utc(now, "now"), self._reading
        if reading is None or not self._is_fresh:
            return []
        self._is_fresh = False
        setups = (rule(reading, self._params) for rule in SETUPS)
        proposals = (self._proposal(setup, reading, quote, moment) for setup in setups if setup is not None)
        return [proposal for proposal in proposals if proposal is not None]

    def _proposal(self, setup: Setup, reading: Reading, quote: Quote, now: datetime) -> Proposal | None:
        instrument, atr = self._instrument, price_of(reading.atr, self._instrument)
        levels = bracket(instrument, quote, setup.side, atr, self._params)
        if levels is None:
            return None
        candidate = Candidate(
            id=candidate_id(now, self._surface, instrument.name, setup.thesis),
            surface=self._surface,
            market=instrument.name,
            group=group_of(instrument),
            category=CATEGORY,
            strategy=NAME,
            sub_strategy=setup.sub_strategy,
            side=setup.side,
            thesis=setup.thesis,
            quote=quote,
            decision_price=quote.entry_price(setup.side),
            stop_loss=levels.stop_loss,
            take_profit=levels.take_profit,
            trailing_distance=levels.trailing_distance,
            atr=atr,
            found_at=now,
        )
        return Proposal(
            candidate=candidate,
            estimate=estimate(reading, setup, distances(quote, setup, levels), self._params),
        )


def group_of(instrument: Instrument) -> str:
    """Return the currency whose exposure is capped together: the one that is not USD, or a cross's base."""
    return instrument.quote_currency if instrument.base == "USD" else instrument.base
