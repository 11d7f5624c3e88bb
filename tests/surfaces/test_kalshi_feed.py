"""Prices of a simulated Kalshi whose WebSocket is cut or falls silent: polled, or nothing is decided on them."""

import time

import pytest
from event_rig import Trader, World, question

from domain.vocabulary import Code

MARKETS = tuple(f"KXFEED-14MAY06-N{number}" for number in range(3))
LISTINGS = {"method": "GET", "path": "*/markets*"}
# Prices may be ten minutes old, which is a second; a market silent for a third of one is polled.
SETTINGS = {
    "RISK_MAX_QUOTE_AGE_S": "600",
    "RISK_MIN_EDGE_BP": "9000",
    "KALSHI_QUOTE_MAX_AGE_S": "900",
    "KALSHI_QUOTE_SILENCE_S": "0.3",
    "KALSHI_READ_ATTEMPTS": "1",
    "LT_ASK_S": "60",
    "LT_LIST_S": "36000",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    listed = [question(f"N{number}", series="KXFEED") for number in range(3)]
    made = World(tmp_path_factory.mktemp("venue"), listed)
    yield made
    made.stop()


@pytest.fixture
def trader(world, tmp_path):
    made = Trader(world, tmp_path / "home", LT_MARKETS="KXFEED", **SETTINGS)
    yield made
    made.finish()


def turn_for(trader, seconds):
    """Turn so long; return the codes of what was decided in that time."""
    before, ends = trader.codes(), time.monotonic() + seconds
    while time.monotonic() < ends:
        trader.turn()
        time.sleep(0.02)
    return trader.codes() - before


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("cut_websocket", {"after_seconds": 0.2}),
        ("silent_websocket", {"after_seconds": 0.2}),
    ],
    ids=["cut", "silent"],
)
def test_prices_are_polled_when_the_websocket_fails_and_decisions_go_on(trader, action, params):
    fault = trader.fault(action, **params)
    trader.open(resolver=False)
    trader.until(lambda: trader.fired(fault), "the fault")
    codes = turn_for(trader, 1.5)

    assert codes[Code.EDGE] >= 3
    assert codes[Code.STALE] == 0


def test_when_neither_websocket_nor_polling_answers_nothing_is_decided_on_old_prices(trader):
    trader.open(resolver=False)
    trader.until(lambda: trader.codes()[Code.EDGE] >= 3, "decisions on prices")
    cut = trader.fault("cut_websocket")
    down = trader.fault("status", LISTINGS, status=503)
    turn_for(trader, 1.2)
    codes = turn_for(trader, 1.0)
    trader.clear(down)
    trader.clear(cut)
    again = trader.until(lambda: turn_for(trader, 0.3), "decisions again", 8)

    assert codes.keys() <= {Code.STALE}
    assert again[Code.EDGE]


def test_a_quiet_market_on_a_living_websocket_is_asked_for_before_its_price_is_too_old(trader):
    """The venue says something of each every half second; here a price may be a quarter of a second old."""
    trader.environ |= {"KALSHI_QUOTE_SILENCE_S": "60", "KALSHI_QUOTE_MAX_AGE_S": "150", "LT_LOOP_S": "1"}
    still = [trader.fault("stale_quotes", {"ticker": market}) for market in MARKETS]
    trader.open(resolver=False)
    trader.until(lambda: trader.codes()[Code.EDGE], "a decision")
    ends, shown = time.monotonic() + 2, []
    while time.monotonic() < ends:
        shown.append(len(trader.data.quotes(MARKETS)))
        time.sleep(0.02)

    assert all(trader.fired(name) for name in still)
    assert shown.count(3) / len(shown) > 0.9
    assert trader.data.stream.connections == 1
