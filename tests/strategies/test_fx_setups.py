"""The rules of the two sub-strategies, one condition at a time, and their mirror in a downtrend."""

from dataclasses import replace

import pytest

from domain.vocabulary import Side
from strategies.fx.params import FxParams
from strategies.fx.reading import Reading
from strategies.fx.setups import SETUPS, breakout, pullback, trend

PARAMS = FxParams(min_trend_atr=0.1, breakout_reach_atr=0.25, pullback_reach_atr=0.25, pullback_rsi=45.0)
# An uptrend at 100 with an ATR of 10: a dip to the fast average from which the RSI turns, inside the channel.
DIP = Reading(
    high=106.0,
    low=99.0,
    close=104.0,
    upper=120.0,
    lower=80.0,
    fast=100.0,
    slow=95.0,
    atr=10.0,
    usual_atr=10.0,
    rsi=50.0,
    rsi_before=44.0,
    adx=30.0,
    drift=0.5,
    warmth=1.0,
)
MIRROR = {"high": "low", "low": "high", "upper": "lower", "lower": "upper"}


def mirrored(reading: Reading) -> Reading:
    """Return the reading of the same market upside down, reflected at 100 (the RSI at 50)."""
    prices = {
        name: 200.0 - getattr(reading, MIRROR.get(name, name))
        for name in ("high", "low", "close", "upper", "lower", "fast", "slow")
    }
    rsi = {"rsi": 100.0 - reading.rsi, "rsi_before": 100.0 - reading.rsi_before}
    return replace(reading, **prices, **rsi, drift=-reading.drift)


# what differs from DIP -> whether a pullback is proposed, and whether its condition is met
PULLBACKS = {
    "a dip that turns": ({}, (True, True)),
    "a dip that just comes near enough": ({"low": 102.5}, (True, True)),
    "a dip that stays away": ({"low": 102.6}, (False, False)),
    "a dip that is still falling": ({"rsi": 43.0}, (True, False)),
    "a turn from too high": ({"rsi_before": 45.1}, (True, False)),
    "a dip that closed through the slow average": ({"close": 94.9}, (False, False)),
    "averages too close to be a trend": ({"slow": 99.1}, (False, False)),
}
BREAKOUTS = {
    "a close beyond the channel": ({"close": 120.1}, (True, True)),
    "a close on its edge": ({"close": 120.0}, (True, False)),
    "a close near its edge": ({"close": 117.5}, (True, False)),
    "a close too far inside": ({"close": 117.4}, (False, False)),
    "a close beyond the other edge, against the trend": ({"close": 79.0}, (False, False)),
    "averages too close to be a trend": ({"close": 125.0, "slow": 99.1}, (False, False)),
}


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("rule", "table", "name"),
    [*((pullback, PULLBACKS, name) for name in PULLBACKS), *((breakout, BREAKOUTS, name) for name in BREAKOUTS)],
)
def test_a_rule_answers_as_the_table_says(rule, table, name: str, side: Side) -> None:
    changes, expected = table[name]
    reading = replace(DIP, **changes)

    setup = rule(reading if side is Side.BUY else mirrored(reading), PARAMS)

    assert expected == (setup is not None, setup is not None and setup.triggered)
    if setup is not None:
        assert (setup.side, setup.sub_strategy) == (side, rule.__name__)
        assert setup.thesis == f"{rule.__name__}:{'up' if side is Side.BUY else 'down'}"


@pytest.mark.parametrize(("close", "clarity"), [(120.0, 0.0), (122.5, 0.5), (125.0, 1.0), (140.0, 1.0)])
def test_a_breakout_is_clearer_the_farther_it_goes(close: float, clarity: float) -> None:
    setup = breakout(replace(DIP, close=close), PARAMS)

    assert setup is not None
    assert setup.clarity == pytest.approx(clarity)


def test_a_market_without_a_range_has_no_trend() -> None:
    assert trend(replace(DIP, atr=0.0), PARAMS) is None


def test_breakouts_are_asked_before_pullbacks() -> None:
    assert (breakout, pullback) == SETUPS
