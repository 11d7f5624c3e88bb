"""A market in memory that shows what a test tells it to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.port import BrokerTrade
from domain.clock import Clock
from domain.errors import Retry
from domain.quotes import Bar, Instrument, Quote


class FakeMarket:
    """Market data without a venue; its public attributes are the script.

    Attributes:
        down: every call raises Retry.
        dumb: markets whose bars can't be read.
        halted: markets that are quoted and closed.
        history: market -> its bars, of any period; those not closed yet are kept back.
    """

    def __init__(self, clock: Clock, instruments: Sequence[Instrument]) -> None:
        self.clock = clock
        self.down = False
        self.dumb: set[str] = set()
        self.halted: set[str] = set()
        self.history: dict[str, list[Bar]] = {}
        self._instruments = {instrument.name: instrument for instrument in instruments}
        self._quotes: dict[str, Quote] = {}
        self._silent: set[str] = set()

    def price(self, market: str, bid: str, ask: str, home_rate: Decimal | None = Decimal(1)) -> None:
        """Quote a market from now on, always as fresh."""
        now = self.clock.now()
        prices: dict[str, Any] = {"bid": Decimal(bid), "ask": Decimal(ask), "home_rate": home_rate}
        self._quotes[market] = Quote(market=market, at=now, received_at=now, tradeable=True, **prices)
        self._silent.discard(market)

    def silence(self, market: str) -> None:
        """Quote a market no more; whoever trades there meets the last price."""
        self._silent.add(market)

    def instruments(self, names: Sequence[str]) -> Mapping[str, Instrument]:
        self._require_up()
        return {name: self._instruments[name] for name in names if name in self._instruments}

    def quotes(self, markets: Sequence[str]) -> Mapping[str, Quote]:
        self._require_up()
        return {m: self._quote(m) for m in markets if m in self._quotes and m not in self._silent}

    def bars(self, market: str, period_s: int, *, start: datetime, end: datetime | None = None) -> Sequence[Bar]:
        self._require_up()
        if market in self.dumb:
            raise Retry(f"bars of {market}", "none", "try again")
        closed = [b for b in self.history.get(market, ()) if b.period_s == period_s and b.end <= self.clock.now()]
        return [bar for bar in closed if start <= bar.start and (end is None or bar.start < end)]

    def close(self) -> None:
        """There is nothing to give back."""

    def _quote(self, market: str) -> Quote:
        """Return the price at which the market trades now, told to others or not."""
        now = self.clock.now()
        return replace(self._quotes[market], at=now, received_at=now, tradeable=market not in self.halted)

    def _profit(self, trade: BrokerTrade, quantity: Decimal, price: Decimal) -> Decimal:
        """Return what closing so much at ``price`` books, in home currency."""
        return (price - trade.price) * trade.side.sign * quantity * self._home_rate(trade.market)

    def _open_profit(self, trade: BrokerTrade) -> Decimal:
        return self._profit(trade, trade.quantity, self._quote(trade.market).exit_price(trade.side))

    def _margin(self, trade: BrokerTrade) -> Decimal:
        notional = trade.quantity * self._quote(trade.market).mid * self._home_rate(trade.market)
        return notional * self._instruments[trade.market].margin_rate

    def _home_rate(self, market: str) -> Decimal:
        """Return the rate the broker books at, which is 1 where a test hides it from us."""
        rate = self._quotes[market].home_rate
        return Decimal(1) if rate is None else rate

    def _require_up(self) -> None:
        if self.down:
            raise Retry("the venue", "no answer", "try again")
