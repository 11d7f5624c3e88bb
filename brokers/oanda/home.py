"""Home currency rates: what one unit of a quote currency is worth in the account's own."""

from collections.abc import Mapping
from decimal import Decimal

from brokers.oanda import pricing
from brokers.oanda.account import AccountReader
from brokers.oanda.wire import Wire
from domain.errors import Retry


class HomeRates:
    """Keeps rates from pricing replies; computes one from a currency pair where OANDA sends none."""

    def __init__(self, wire: Wire, reader: AccountReader) -> None:
        self._wire = wire
        self._reader = reader
        self._rates: dict[str, tuple[Decimal, int]] = {}
        self._tried_ns: dict[str, int] = {}

    def learn(self, rates: Mapping[str, Decimal]) -> None:
        now_ns = self._wire.clock.monotonic_ns()
        self._rates |= {currency: (rate, now_ns) for currency, rate in rates.items() if rate > 0}

    def of(self, market: str) -> Decimal | None:
        """Return the rate of a market's quote currency, at most ``home_rate_refresh_s`` old; None when unknown."""
        currency = market.partition("_")[2]
        try:
            if currency == self._reader.currency():
                return Decimal(1)
            return self._fresh(currency) or self._ask(market, currency)
        except Retry:
            return self._fresh(currency)

    def _fresh(self, currency: str) -> Decimal | None:
        rate, at_ns = self._rates.get(currency, (None, 0))
        return rate if self._age_s(at_ns) <= self._wire.config.home_rate_refresh_s else None

    def _ask(self, market: str, currency: str) -> Decimal | None:
        if self._age_s(self._tried_ns.get(currency)) < self._wire.config.poll_interval_s:
            return None
        self._tried_ns[currency] = self._wire.clock.monotonic_ns()
        pair, inverse = f"{currency}_{self._reader.currency()}", f"{self._reader.currency()}_{currency}"
        listed = self._reader.instruments([pair, inverse])
        prices, rates = pricing.poll(self._wire, {market, *listed})
        mids = {price.market: (price.bid + price.ask) / 2 for price in prices}
        if currency not in rates and pair in mids:
            rates = {**rates, currency: mids[pair]}
        elif currency not in rates and inverse in mids:
            rates = {**rates, currency: 1 / mids[inverse]}
        self.learn(rates)
        return self._fresh(currency)

    def _age_s(self, at_ns: int | None) -> float:
        return float("inf") if at_ns is None else (self._wire.clock.monotonic_ns() - at_ns) / 1e9
