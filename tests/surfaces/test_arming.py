"""Every program that could trade real money looks for its arm file first."""

import threading
from importlib import import_module
from pathlib import Path

import pytest

from domain.errors import Misconfigured

KALSHI = {"KALSHI_KEY_ID": "key", "KALSHI_PRIVATE_KEY": "-----BEGIN-----", "KALSHI_ENVIRONMENT": "prod"}
PANEL = {"MODELS_PANEL": "deepseek:deepseek-v4-flash", "MODELS_DEEPSEEK_KEY": "d" * 20, "RISK_MIN_QUORUM": "1"}
# surface -> its folder, its account, and what the broker's part of its env file says
LIVE = {
    "fx": (
        "oanda_fx",
        "001-001-1-001",
        {"OANDA_ACCOUNT_ID": "001-001-1-001", "OANDA_TOKEN": "token", "OANDA_ENVIRONMENT": "live"},
    ),
    "st": ("kalshi_st", "key", {**KALSHI, "NWS_USER_AGENT": "me@example.org"}),
    "lt": ("kalshi_lt", "key", {**KALSHI, **PANEL}),
    "stk": ("ibkr_stk", "U1", {"IBKR_ACCOUNT": "U1", "IBKR_ENVIRONMENT": "live"}),
}


@pytest.mark.parametrize("package", ["surfaces", "resolver"])
@pytest.mark.parametrize("name", LIVE)
def test_two_keys_of_three_start_no_program(name: str, package: str, tmp_path: Path) -> None:
    folder, account, broker = LIVE[name]
    asked = {"MODE": "live", "LIVE": "true", "LIVE_ACCOUNT": account}
    environ = {"TBOT_HOME": str(tmp_path), "RISK_BANKROLL": "1000"} | broker
    environ |= {f"{name.upper()}_{key}": value for key, value in asked.items()}
    arm_file = tmp_path / "state" / f"{name}.armed"
    arm_file.parent.mkdir()

    for text in (None, f"{account}0"):
        if text is not None:
            arm_file.write_text(text)
        with pytest.raises(Misconfigured) as refused:
            import_module(f"{package}.{folder}.wire").run(environ, threading.Event())

        assert refused.value.found == f"missing state/{name}.armed holding {account}"
    assert list(tmp_path.iterdir()) == [arm_file.parent]
