"""Settings of the event surfaces that only make sense together."""

import threading

import pytest

from domain.errors import Misconfigured
from resolver.kalshi_st import wire as resolving
from surfaces.kalshi.config import load_lt
from surfaces.kalshi_st import wire as trading

KALSHI = {"KALSHI_KEY_ID": "key", "KALSHI_PRIVATE_KEY": "-----BEGIN-----", "RISK_BANKROLL": "1000"}
LT = KALSHI | {
    "MODELS_PANEL": "anthropic:claude-sonnet-4-6,openai:gpt-5.4-mini",
    "MODELS_ANTHROPIC_KEY": "a" * 20,
    "MODELS_OPENAI_KEY": "b" * 20,
}
ST = KALSHI | {"NWS_USER_AGENT": "me@example.org"}


def test_one_opinion_is_no_panel_unless_somebody_says_so():
    alone = LT | {"MODELS_PANEL": "anthropic:claude-sonnet-4-6"}

    assert load_lt(LT).limits.min_quorum == 2
    with pytest.raises(Misconfigured, match="RISK_MIN_QUORUM of at most 1, the models in MODELS_PANEL; found 2"):
        load_lt(alone)
    assert load_lt(alone | {"RISK_MIN_QUORUM": "1"}).limits.min_quorum == 1


def test_a_quorum_that_no_panel_can_reach_is_refused_before_anything_is_paid():
    with pytest.raises(Misconfigured, match="every answer would be paid for and none traded on"):
        load_lt(LT | {"RISK_MIN_QUORUM": "9"})


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"ST_MODE": "live"}, "set KALSHI_ENVIRONMENT=prod, or ST_MODE=paper"),
        ({"ST_MODE": "paper", "KALSHI_ENVIRONMENT": "prod"}, "set KALSHI_ENVIRONMENT=demo, or ST_MODE=live"),
    ],
)
def test_what_a_wrong_host_is_told_to_do_can_be_done(changes, remedy):
    with pytest.raises(Misconfigured, match=remedy):
        trading.run(ST | changes, threading.Event())
    with pytest.raises(Misconfigured, match=remedy):
        resolving.run(ST | changes, threading.Event())
