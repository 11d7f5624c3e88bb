"""Settings of the stock surface that bear on each other."""

from decimal import Decimal

import pytest

from domain.errors import Misconfigured
from surfaces.ibkr_stk.config import load

ENVIRON = {"TBOT_HOME": "/nowhere", "IBKR_ACCOUNT": "DU1", "RISK_BANKROLL": "20000"}


@pytest.mark.parametrize(("flat", "cancel", "expected"), [("30", "15", 30), ("5", "15", 15), ("", "15", 15)])
def test_no_entry_rests_any_more_once_positions_are_to_be_flat(flat, cancel, expected):
    changes = {"STK_FLAT_BEFORE_CLOSE_MIN": flat, "STRATEGY_CANCEL_BEFORE_CLOSE_MIN": cancel}
    config = load(ENVIRON | {key: value for key, value in changes.items() if value})

    assert config.stop_entry.cancel_before_close_min == Decimal(expected)


@pytest.fixture
def watchlist(tmp_path):
    """Return settings with a watchlist of one symbol, and a line that is no UTF-8."""
    path = tmp_path / "watchlist.txt"
    path.write_bytes(b"spy\nIB\xe9 # \xe9\n# caf\xe9\n")
    return ENVIRON | {"STK_WATCHLIST_FILE": str(path)}


@pytest.mark.parametrize(("given", "expected"), [(None, ("SPY",)), ("", ("SPY",)), ("ibm,SPY", ("IBM", "SPY"))])
def test_a_watchlist_goes_before_the_default_symbols_and_after_those_that_are_given(watchlist, given, expected):
    config = load(watchlist if given is None else watchlist | {"STK_MARKETS": given})

    assert config.markets == expected


def test_a_line_of_a_watchlist_that_is_no_utf_8_is_complained_of_and_passed_over(watchlist):
    found = load(watchlist)

    assert [(one.line, one.problem) for one in found.complaints] == [(2, "a line must be UTF-8")]


@pytest.mark.parametrize("markets", ["SPY,$$", "SPY,BRK B B", "SP\u00c9"])
def test_a_symbol_of_no_exchange_is_refused_with_its_key(markets):
    with pytest.raises(Misconfigured, match=r"expected STK_MARKETS as symbols such as SPY or BRK B; found '[^,]+'; "):
        load(ENVIRON | {"STK_MARKETS": markets})


def test_nothing_to_watch_is_refused(watchlist, tmp_path):
    (tmp_path / "watchlist.txt").write_text("# nothing yet\n")

    with pytest.raises(Misconfigured, match=r"a symbol in STK_WATCHLIST_FILE=.*; found none; add one, or set STK_MARK"):
        load(watchlist)
    with pytest.raises(Misconfigured, match="STK_MARKETS must name at least one market; found none"):
        load(ENVIRON | {"STK_MARKETS": ""})


@pytest.mark.parametrize("window", ["25:00-26:00", "Fry 23:00-03:00", "23:60-00:10", "23:45"])
def test_a_reset_window_of_another_form_is_refused_with_its_key_and_the_form(window):
    told = r"IBKR_RESET_WINDOWS must be '\[Mon…Sun \]HH:MM-HH:MM' each, in New York's time; found '" + window
    with pytest.raises(Misconfigured, match=told):
        load(ENVIRON | {"IBKR_RESET_WINDOWS": f"23:45-00:45,{window}"})
