"""How old the minutes may be that a belief about a price is made of."""

from datetime import timedelta
from decimal import Decimal

from brokers.coinbase.values import MinuteBar
from domain.clock import parse_iso
from domain.contract import RuleKind, SettlementRule
from surfaces.kalshi.price import PriceEstimator

D = Decimal
HOUR = parse_iso("2026-03-16T18:00:00Z")
RULE = SettlementRule(
    kind=RuleKind.PRICE_AT, source="CF Benchmarks", station="BTC-USD", location="", subject="bitcoin", low=D(100),
    high=None, unit="USD", resolution=D("0.01"), observed_on=HOUR.date(), begins_at=HOUR - timedelta(minutes=1),
    ends_at=HOUR, rounding="", revision="", void="",
)  # fmt: skip


class Coinbase:
    """Closed minutes of a quiet market whose last one fell by a tenth."""

    def __init__(self):
        self.asked = 0

    def candles(self, pair, start, end):
        self.asked += 1
        last = end.replace(second=0, microsecond=0) - timedelta(minutes=1)
        fell = last >= HOUR - timedelta(minutes=5)
        return [self.bar(last - timedelta(minutes=n), 101 + n % 2) for n in range(60, 0, -1)] + [
            self.bar(last, 90 if fell else 101)
        ]

    def bar(self, start, price):
        return MinuteBar(start=start, open=D(price), high=D(price), low=D(price), close=D(price), volume=D(1))


def spot(belief):
    return dict(belief.facts)["spot"]


def test_a_minute_that_has_closed_since_is_read_though_the_last_reading_is_seconds_old():
    coinbase = Coinbase()
    estimator = PriceEstimator(coinbase)
    before = HOUR - timedelta(minutes=4, seconds=1)
    calm = estimator.believe(None, RULE, before)
    same = estimator.believe(None, RULE, before + timedelta(microseconds=9))
    fallen = estimator.believe(None, RULE, before + timedelta(seconds=2))

    assert (spot(calm), spot(same), spot(fallen)) == ("101.00", "101.00", "90.00")
    assert coinbase.asked == 2
    assert fallen.probability < calm.probability
