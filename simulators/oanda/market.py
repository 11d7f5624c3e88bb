"""Prices as the venue publishes them: the tape, the calendar, and the faults that bend both."""

from dataclasses import dataclass
from decimal import Decimal

from simulators.oanda.faults import FaultBook
from simulators.oanda.instruments import INSTRUMENTS, Instrument
from simulators.oanda.tape import Quote, Tape
from simulators.oanda.wire import Json, factor, from_points, price, rfc3339

# what one quote can take; more than this is INSUFFICIENT_LIQUIDITY
LIQUIDITY = 10_000_000
ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Factors:
    """Home value of one unit of the quote currency: gained, lost, and in the middle."""

    gain: Decimal
    loss: Decimal

    @property
    def middle(self) -> Decimal:
        return (self.gain + self.loss) / 2

    def home(self, amount: Decimal) -> Decimal:
        """Return a quote-currency profit or loss in home currency."""
        return amount * (self.gain if amount > 0 else self.loss)


SAME = Factors(ONE, ONE)


@dataclass(frozen=True, slots=True)
class Market:
    """Current and past prices of all instruments."""

    tape: Tape
    faults: FaultBook

    def quote(self, instrument: str, now: int) -> Quote | None:
        """Return the quote orders meet at a time; None when there never was one."""
        return self.tape.last(instrument, now)

    def published(self, instrument: str, now: int) -> Quote | None:
        """Return the quote clients are shown; a freeze or a forced halt keeps it at its beginning."""
        for action in ("freeze_quote", "weekend"):
            fault = self.faults.market(action, instrument, now)
            if fault is not None:
                fault.fired += 1
                return self.tape.last(instrument, min(now, fault.begins))
        return self.tape.last(instrument, now)

    def is_halted(self, instrument: str, now: int) -> bool:
        """Tell whether a fault closes the market."""
        fault = self.faults.market("weekend", instrument, now)
        if fault is not None:
            fault.fired += 1
        return fault is not None

    def is_tradeable(self, instrument: str, now: int) -> bool:
        """Tell whether orders fill: market open, recording present, no halt."""
        return self.tape.is_covered(instrument, now) and not self.is_halted(instrument, now)

    def factors(self, currency: str, home: str, now: int) -> Factors | None:
        """Return what a unit of ``currency`` is worth in ``home``; None when no quoted pair leads there."""
        if currency == home:
            return SAME
        direct = self._pair(currency, home, now)
        if direct is not None or "USD" in (currency, home):
            return direct
        first, then = self._pair(currency, "USD", now), self._pair("USD", home, now)
        if first is None or then is None:
            return None
        return Factors(first.gain * then.gain, first.loss * then.loss)

    def _pair(self, currency: str, home: str, now: int) -> Factors | None:
        quote = self.tape.last(f"{currency}_{home}", now)
        if quote is not None:
            return Factors(from_points(quote.bid), from_points(quote.ask))
        quote = self.tape.last(f"{home}_{currency}", now)
        if quote is not None:
            return Factors(ONE / from_points(quote.ask), ONE / from_points(quote.bid))
        return None

    def client_price(self, instrument: Instrument, home: str, now: int, quote: Quote | None = None) -> Json | None:
        """Return the price object of ``/pricing`` and its stream; None when there never was a quote."""
        shown = quote or self.published(instrument.name, now)
        if shown is None:
            return None
        tradeable = self.is_tradeable(instrument.name, now)
        body: Json = {"type": "PRICE", "time": rfc3339(shown.time), **book(shown)}
        body["status"] = "tradeable" if tradeable else "non-tradeable"
        body["tradeable"] = tradeable
        factors = self.factors(instrument.quote, home, now)
        if factors is not None:
            body["quoteHomeConversionFactors"] = {
                "positiveUnits": factor(factors.gain),
                "negativeUnits": factor(factors.loss),
            }
        body["instrument"] = instrument.name
        return body


def book(quote: Quote) -> Json:
    """Return both sides of a quote as one bucket each, with the closeout prices."""
    precision = INSTRUMENTS[quote.instrument].precision
    bid, ask = price(from_points(quote.bid), precision), price(from_points(quote.ask), precision)
    return {
        "bids": [{"price": bid, "liquidity": LIQUIDITY}],
        "asks": [{"price": ask, "liquidity": LIQUIDITY}],
        "closeoutBid": bid,
        "closeoutAsk": ask,
    }
