"""A quote as those see it who have not paid: fifteen minutes old."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from simulators.ibkr.quotes import Quote
from simulators.ibkr.venue import Venue

_SCALE = Decimal("0.0001")


def delayed_quote(venue: Venue, quote: Quote, then: datetime) -> Quote:
    """Return a quote with the bid, ask and last of a time before; what is of the day stays as it is."""
    tick = venue.tape.last(quote.symbol, int(then.timestamp() * 1000))
    if tick is None:
        return quote
    return replace(
        quote,
        bid=_price(tick.bid),
        ask=_price(tick.ask),
        bid_size=Decimal(tick.bid_size),
        ask_size=Decimal(tick.ask_size),
        last=_price(tick.last),
        last_size=Decimal(tick.last_size),
        at=then,
    )


def _price(units: int) -> Decimal | None:
    return units * _SCALE if units > 0 else None
