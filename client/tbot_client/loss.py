"""Whether the day has lost what it may lose: realised, and marked at the price one could leave at now.

Once reached, the limit holds for the rest of the UTC day: neither a later profit nor a restart loosens it.
"""

from datetime import datetime
from decimal import Decimal

from tbot_client.book import Book, day_of, say
from tbot_client.brokers.port import Broker
from tbot_client.trade import Phase, Trade


class DayLoss:
    """The limit of one home; None means there is none, and nobody is asked for prices."""

    def __init__(self, book: Book, broker: Broker, most: Decimal | None) -> None:
        self._book = book
        self._broker = broker
        self._most = most

    def note_realised(self, day: str, currency: str) -> None:
        """Look at the day's realised result after a position became smaller."""
        if self._most is not None and self._book.state.realised(day, currency) <= -self._most:
            self._end(day, "realised")

    def note_marked(self, moment: datetime) -> None:
        """Look at the day's realised result and what open positions stand at, before an entry.

        A position without a price (market closed, no conversion) counts as it was entered.

        Raises:
            Retry: the broker can't be asked now.
        """
        state, day = self._book.state, day_of(moment)
        if self._most is None or day in state.days_over:
            return
        held = [trade for trade in state.trades.values() if trade.phase is Phase.OPEN]
        if not held:
            return
        realised = state.realised(day, self._broker.account().currency)
        if realised + sum((self._marked(trade) for trade in held), Decimal(0)) <= -self._most:
            self._end(day, "realised and open")

    def _marked(self, trade: Trade) -> Decimal:
        quote = self._broker.quote(trade.market, trade.reference)
        if quote is None or not quote.tradeable or quote.home_rate is None:
            return Decimal(0)
        sign = 1 if trade.side == "buy" else -1
        return (quote.exit(trade.side) - trade.price) * sign * (trade.filled - trade.closed_units) * quote.home_rate

    def _end(self, day: str, what: str) -> None:
        if day not in self._book.state.days_over:
            say(f"daily loss limit reached ({what}): no more entries on {day}")
            self._book.write({"kind": "day_over", "day": day})
