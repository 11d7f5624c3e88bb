"""Settings of the stock surface that bear on each other."""

from decimal import Decimal

import pytest

from surfaces.ibkr_stk.config import load

ENVIRON = {"TBOT_HOME": "/nowhere", "IBKR_ACCOUNT": "DU1", "RISK_BANKROLL": "20000"}


@pytest.mark.parametrize(("flat", "cancel", "expected"), [("30", "15", 30), ("5", "15", 15), ("", "15", 15)])
def test_no_entry_rests_any_more_once_positions_are_to_be_flat(flat, cancel, expected):
    changes = {"STK_FLAT_BEFORE_CLOSE_MIN": flat, "STRATEGY_CANCEL_BEFORE_CLOSE_MIN": cancel}
    config = load(ENVIRON | {key: value for key, value in changes.items() if value})

    assert config.stop_entry.cancel_before_close_min == Decimal(expected)
