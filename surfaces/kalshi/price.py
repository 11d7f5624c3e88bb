"""Beliefs about a price at a moment, from the minutes before it."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.coinbase.client import CoinbaseClient
from domain.contract import Contract, RuleKind, SettlementRule
from domain.errors import Retry
from forecast.volatility import WINDOW_MINUTES, Candle, estimate_price_above
from surfaces.kalshi.belief import Belief


class PriceEstimator:
    """Asks Coinbase for the last hours of a pair, once for all strikes, and reckons the chance of each."""

    def __init__(self, coinbase: CoinbaseClient) -> None:
        self._coinbase = coinbase
        self._lock = threading.Lock()
        self._candles: dict[str, tuple[datetime, Sequence[Candle]]] = {}

    def takes(self, rule: SettlementRule) -> bool:
        return rule.kind is RuleKind.PRICE_AT

    def costs_usd(self, contract: Contract, rule: SettlementRule) -> Decimal:
        return Decimal(0)

    def believe(self, contract: Contract, rule: SettlementRule, now: datetime) -> Belief:
        candles = self._candles_of(rule.station, now)
        try:
            found = estimate_price_above(rule, candles, now)
        except ValueError as error:
            raise Retry(f"enough minutes of {rule.station}", str(error), "asked again when it is due") from error
        return Belief(method=found.method, certainty=found.certainty, probability=found.probability, facts=found.facts)

    def _candles_of(self, pair: str, now: datetime) -> Sequence[Candle]:
        with self._lock:
            at, candles = self._candles.get(pair, (None, ()))
            if at is None or _minute(at) != _minute(now):
                bars = self._coinbase.candles(pair, now - timedelta(minutes=WINDOW_MINUTES), now)
                candles = [Candle(one.start, *map(float, (one.open, one.high, one.low, one.close))) for one in bars]
                self._candles[pair] = (now, candles)
            return candles


def _minute(moment: datetime) -> datetime:
    """Return when a moment's minute began: all strikes asked about in it share what was closed before."""
    return moment.replace(second=0, microsecond=0)
