"""What every strategy of closed bars does with them before it looks at a price."""

from domain.quotes import Bar, Instrument, Quote


class BarReader:
    """Takes one market's closed bars in order, each once.

    ``bars`` counts those taken in; ``gaps`` the places where at least one was missing, as every night and over the
    weekend (a venue writes no bar for a period without a tick). A gap resets nothing.
    """

    def __init__(self, instrument: Instrument, period_s: int) -> None:
        self.bars = 0
        self.gaps = 0
        self._instrument = instrument
        self._expected = (instrument.name, period_s)
        self._last: Bar | None = None

    def _is_next(self, bar: Bar) -> bool:
        """Count a bar, and tell whether it is later than the last.

        Raises:
            ValueError: the bar is of another market or period.
        """
        if (bar.market, bar.period_s) != self._expected:
            raise ValueError(f"bars of {self._expected} are needed, found one of {(bar.market, bar.period_s)}")
        last = self._last
        if last is not None and bar.start <= last.start:
            return False
        self.gaps += last is not None and bar.start > last.end
        self.bars += 1
        self._last = bar
        return True

    def _require_own(self, quote: Quote) -> None:
        if quote.market != self._instrument.name:
            raise ValueError(f"a quote of {self._instrument.name} is needed, found one of {quote.market}")
