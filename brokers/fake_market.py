"""A market in memory that shows what a test tells it to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.clock import Clock
from domain.errors import Retry
from domain.quotes import Bar, Instrument, Quote


class FakeMarket:
    """Market data without a venue; its public attributes are the script.

    Attributes:
        down: every call raises Retry.
        dumb: markets whose bars can't be read.
        history: market -> its bars, of any period; those not closed yet are kept back.
    """

    def __init__(self, clock: Clock, instruments: Sequence[Instrument]) -> None:
        self.clock = clock
        self.down = False
        self.dumb: set[str] = set()
        self.history: dict[str, list[Bar]] = {}
        self._instruments = {instrument.name: instrument for instrument in instruments}
        self._quotes: dict[str, Quote] = {}

    def price(self, market: str, bid: str, ask: str, home_rate: Decimal | None = Decimal(1)) -> None:
        """Quote a market from now on, always as fresh."""
        now = self.clock.now()
        prices: dict[str, Any] = {"bid": Decimal(bid), "ask": Decimal(ask), "home_rate": home_rate}
        self._quotes[market] = Quote(market=market, at=now, received_at=now, tradeable=True, **prices)

    def silence(self, market: str) -> None:
        """Quote a market no more."""
        self._quotes.pop(market, None)

    def instruments(self, names: Sequence[str]) -> Mapping[str, Instrument]:
        self._require_up()
        return {name: self._instruments[name] for name in names if name in self._instruments}

    def quotes(self, markets: Sequence[str]) -> Mapping[str, Quote]:
        self._require_up()
        now = self.clock.now()
        return {m: replace(self._quotes[m], at=now, received_at=now) for m in markets if m in self._quotes}

    def bars(self, market: str, period_s: int, *, start: datetime, end: datetime | None = None) -> Sequence[Bar]:
        self._require_up()
        if market in self.dumb:
            raise Retry(f"bars of {market}", "none", "try again")
        closed = [b for b in self.history.get(market, ()) if b.period_s == period_s and b.end <= self.clock.now()]
        return [bar for bar in closed if start <= bar.start and (end is None or bar.start < end)]

    def close(self) -> None:
        """There is nothing to give back."""

    def _require_up(self) -> None:
        if self.down:
            raise Retry("the venue", "no answer", "try again")
