"""The FX desk: each closed bar once, gaps without old proposals, one market's trouble its own."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.fake_market import FakeMarket
from domain.clock import FakeClock
from domain.quotes import Bar, Instrument, Ohlc
from market.recorder import Recorder
from strategies.fx.params import FxParams
from surfaces.oanda_fx.desk import FxDesk

D = Decimal
START = datetime(2026, 3, 3, 12, tzinfo=UTC)
MINUTE = timedelta(seconds=60)
MARKETS = ("EUR_USD", "GBP_USD")
WINDOWS = dict.fromkeys(("donchian", "ema_fast", "atr", "rsi", "adx", "efficiency", "regime"), 2)
PARAMS = FxParams(period_s=60, ema_slow=3, min_trend_atr=0.0, **WINDOWS)


def listed(name):
    sizes = {"quantity_step": D(1), "quantity_min": D(1), "quantity_max": D(1000), "margin_rate": D("0.02")}
    return Instrument(name=name, base=name[:3], quote_currency="USD", tick=D("0.00001"), pip=D("0.0001"), **sizes)


def rising(market, number):
    """Return the bar that begins ``number`` minutes after START: each leaves the channel of those before it."""
    low = D("1.1") + number * D("0.0010")
    bid = Ohlc(open=low, high=low + D("0.0011"), low=low - D("0.0001"), close=low + D("0.0010"))
    ask = Ohlc(**{name: getattr(bid, name) + D("0.0001") for name in ("open", "high", "low", "close")})
    return Bar(market=market, start=START + number * MINUTE, period_s=60, bid=bid, ask=ask, volume=10)


class CountingMarket(FakeMarket):
    """Counts which bars were handed out."""

    def __init__(self, *args):
        super().__init__(*args)
        self.given = []

    def bars(self, market, period_s, **span):
        found = super().bars(market, period_s, **span)
        self.given += [(bar.market, bar.start) for bar in found]
        return found


@pytest.fixture
def market():
    clock = FakeClock(START + 60 * MINUTE)
    made = CountingMarket(clock, [listed(name) for name in MARKETS])
    for name in MARKETS:
        made.history[name] = [rising(name, number) for number in range(-20, 200)]
        made.price(name, "1.1600", "1.1601")
    return made


@pytest.fixture
def desk(market):
    made = FxDesk(market, MARKETS, PARAMS, market.clock, None)
    made.startup()
    return made


def scan(desk, market, seconds=60):
    market.clock.advance(seconds)
    return [proposal.candidates[0] for proposal in desk.scan(market.clock.now())]


def test_a_new_bar_brings_proposals_once(desk, market):
    first, second = scan(desk, market), scan(desk, market, 0)

    assert {candidate.market for candidate in first} == set(MARKETS)
    assert second == []


def test_the_bars_of_the_warm_up_bring_none(desk, market):
    assert scan(desk, market, 0) == []


def test_every_bar_is_fetched_once(desk, market):
    for _ in range(40):
        scan(desk, market, 7)

    assert len(market.given) == len(set(market.given))
    latest = [start for name, start in market.given if name == "EUR_USD"][-2:]
    assert latest == [START + 62 * MINUTE, START + 63 * MINUTE]


def test_after_a_gap_only_the_newest_bar_speaks(desk, market):
    market.dumb = set(MARKETS)
    scan(desk, market, 600)
    market.dumb = set()
    caught_up = scan(desk, market, 0)
    market.dumb = set(MARKETS)
    scan(desk, market, 600)
    market.history = {name: bars[: 20 + 75] for name, bars in market.history.items()}
    market.dumb = set()
    too_late = scan(desk, market, 0)

    assert caught_up != []
    assert too_late == []
    assert len(market.given) == len(set(market.given))


def test_a_market_whose_bars_cannot_be_read_does_not_stop_the_others_and_goes_on_later(desk, market):
    market.dumb = {"EUR_USD"}
    without = scan(desk, market)
    market.dumb = set()
    after = scan(desk, market, 1)

    assert {candidate.market for candidate in without} == {"GBP_USD"}
    assert {candidate.market for candidate in after} == {"EUR_USD"}


def test_a_market_without_a_quote_brings_no_proposals(desk, market):
    market.silence("EUR_USD")

    assert {candidate.market for candidate in scan(desk, market)} == {"GBP_USD"}
    assert list(desk.quotes()) == ["GBP_USD"]


def test_a_market_the_venue_does_not_list_is_left_out(market):
    desk = FxDesk(market, ("EUR_USD", "XAU_USD"), PARAMS, market.clock, None)
    desk.startup()

    assert {candidate.market for candidate in scan(desk, market)} == {"EUR_USD"}
    assert desk.instrument("XAU_USD") is None


def test_a_market_without_history_at_the_start_joins_later_and_holds_up_nobody(market):
    desk = FxDesk(market, MARKETS, PARAMS, market.clock, None)
    market.dumb = {"GBP_USD"}
    desk.startup()
    without = {candidate.market for candidate in scan(desk, market)}
    market.dumb = set()
    scan(desk, market)

    assert without == set(MARKETS) - {"GBP_USD"}
    assert len(market.given) == len(set(market.given))
    assert {candidate.market for candidate in scan(desk, market)} == set(MARKETS)


def test_proposals_are_priced_on_the_newest_quote_with_levels_on_the_tick(desk, market):
    market.price("EUR_USD", "1.1700", "1.1701")
    [candidate, *_] = [found for found in scan(desk, market) if found.market == "EUR_USD"]

    assert candidate.decision_price == D("1.1701")
    assert all(level % D("0.00001") == 0 for level in (candidate.stop_loss, candidate.take_profit))


def test_the_recorder_keeps_the_quotes_and_bars_that_decisions_were_made_on(market, tmp_path):
    desk = FxDesk(market, MARKETS, PARAMS, market.clock, Recorder(tmp_path))
    desk.startup()
    scan(desk, market)
    desk.quotes()
    desk.close()

    quotes = (tmp_path / "quotes-2026-03-03.csv").read_text().splitlines()
    bars = (tmp_path / "bars-2026-03-03.csv").read_text().splitlines()
    assert len(quotes) == 1 + len(MARKETS)
    assert [line.split(",")[1] for line in bars[1:]] == list(MARKETS)
