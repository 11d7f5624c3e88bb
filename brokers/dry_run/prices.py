"""The prices a dry run trades on, and what a trade is worth at them."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from brokers.port import BrokerTrade, MarketData
from domain.errors import Retry
from domain.quotes import Quote

ZERO = Decimal(0)


class Prices:
    """Asks ``data`` and remembers the last answer, which does for a valuation."""

    def __init__(self, data: MarketData, fee: Callable[[str, Decimal, Decimal], Decimal] | None) -> None:
        self._data = data
        self._fee = fee
        self._quotes: dict[str, Quote] = {}

    def quote(self, market: str) -> Quote:
        quote = self._data.quotes([market]).get(market)
        if quote is None:
            raise Retry(f"a quote of {market}", "none", "try again")
        self._quotes[market] = quote
        return quote

    def look(self, markets: Sequence[str]) -> Mapping[str, Quote]:
        """Return the quotes there are now, which may be none."""
        try:
            found = self._data.quotes(markets)
        except Retry:
            return {}
        self._quotes |= found
        return found

    def rate(self, market: str) -> Decimal:
        """Return the home rate of the market's quote currency, the last known one while there is no new quote."""
        try:
            quote = self.quote(market)
        except Retry:
            if market not in self._quotes:
                raise
            quote = self._quotes[market]
        return home_rate(quote)

    def cost(self, market: str, quantity: Decimal, price: Decimal) -> Decimal:
        return ZERO if self._fee is None else self._fee(market, quantity, price)

    def is_event(self, market: str) -> bool:
        """Tell whether a market is an event contract, whose price lies between nothing and its payout of one."""
        instrument = self._data.instruments([market]).get(market)
        return instrument is not None and instrument.payout is not None

    def open_profit(self, trade: BrokerTrade) -> Decimal:
        quote = self._quotes.get(trade.market)
        if quote is None or quote.home_rate is None:
            return ZERO
        return (quote.exit_price(trade.side) - trade.price) * trade.side.sign * trade.quantity * quote.home_rate

    def margin(self, trade: BrokerTrade) -> Decimal:
        quote = self._quotes.get(trade.market)
        instrument = self._data.instruments([trade.market]).get(trade.market)
        if quote is None or quote.home_rate is None or instrument is None:
            return ZERO
        return trade.quantity * quote.mid * quote.home_rate * instrument.margin_rate


def home_rate(quote: Quote) -> Decimal:
    if quote.home_rate is None:
        raise Retry(f"a home currency rate for {quote.market}", "none", "try again")
    return quote.home_rate
