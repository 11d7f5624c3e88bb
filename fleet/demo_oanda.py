"""The demo's FX part: a simulated OANDA with two accounts, and the settings of the surface that trades there."""

import json
from pathlib import Path

from fleet.envfile import write_env_file

OPERATOR_ACCOUNT = "101-001-1000001-001"
SUBSCRIBER_ACCOUNT = "101-001-2000002-001"
BALANCE = "100000"
# Fast windows on one-minute bars, and limits that let small edges through: chosen so that trades come and go while
# somebody watches, not because they earn anything (docs/strategies.md says what the recorded week shows).
DEMO_FX = {
    "FX_MODE": "paper",
    "FX_LOOP_S": "6",
    "FX_UNKNOWN_QUERY_S": "60",
    "FX_MAX_HOLDING_HOURS": "0.5",
    "RISK_BANKROLL": "25000",
    "RISK_MAX_POSITIONS": "6",
    "RISK_MAX_MARKET_NOTIONAL": "60000",
    "RISK_MAX_GROUP_NOTIONAL": "60000",
    "RISK_RISK_FRACTION": "0.0003",
    "RISK_DAILY_LOSS": "250",
    "RISK_MAX_QUOTE_AGE_S": "60",
    "RISK_MAX_SPREAD_BP": "3.5",
    "RISK_MIN_EDGE_BP": "0.1",
    "RISK_MIN_CONFIDENCE": "0.5",
    "RISK_COOLDOWN_S": "120",
    "RISK_DEDUP_WINDOW_S": "120",
    "RISK_STORM_STOP_OUTS": "12",
    "STRATEGY_PERIOD_S": "60",
    "STRATEGY_DONCHIAN": "10",
    "STRATEGY_EMA_FAST": "8",
    "STRATEGY_EMA_SLOW": "21",
    "STRATEGY_RSI": "7",
    "STRATEGY_ADX": "7",
    "STRATEGY_EFFICIENCY": "10",
    "STRATEGY_REGIME": "30",
    "STRATEGY_STOP_ATR": "3",
    "STRATEGY_TARGET_ATR": "5",
    "STRATEGY_MAX_TILT": "0.15",
}


def write_venue(home: Path, tokens: dict[str, str]) -> None:
    """Write the simulator's accounts, one for each token."""
    accounts = [{"id": key, "token": token, "currency": "USD", "balance": BALANCE} for key, token in tokens.items()]
    path = home / "env" / "simulator-oanda.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(accounts))
    write_env_file(home / "env" / "simulator-oanda.env", {})


def write_surface(home: Path, url: str, token: str) -> None:
    """Write the env file of the FX surface."""
    values = {
        "OANDA_ACCOUNT_ID": OPERATOR_ACCOUNT,
        "OANDA_TOKEN": token,
        "OANDA_API_URL": url,
        "OANDA_STREAM_URL": url,
    }
    write_env_file(home / "env" / "fx.env", DEMO_FX | values)
