"""The demo's stock part: simulated IBKR connections, and the settings of the surface that trades through one."""

from collections.abc import Mapping
from pathlib import Path

from domain.errors import Misconfigured
from fleet.envfile import write_env_file

OPERATOR_ACCOUNT, SUBSCRIBER_ACCOUNT = "DU1000001", "DU2000002"
TRANSPORTS = ("tws", "portal")
# Entries a few hundredths of a percent above the last price, and stops almost as near: chosen so that trades come and
# go while somebody watches, not because they earn anything. A real entry lies 5 % away.
DEMO_STK = {
    "STK_MODE": "paper",
    "STK_LOOP_S": "6",
    "STK_KEEP_S": "6",
    "STK_UNKNOWN_QUERY_S": "60",
    "STK_MARKETS": "SPY,IBM,AIG,AAPL,TWX",
    "STK_STRATEGIES": "stop_entry,crossover",
    "STK_SIGNAL_TTL_S": "1800",
    # The recorded days are of 2013 and 2014, when a cash account waited three days for what it sold.
    "STK_DAY_TRADE_RULE": "off",
    "STRATEGY_ENTRY_PCT": "0.04",
    "STRATEGY_TRAIL_PCT": "0.06",
    "STRATEGY_REPRICE_PCT": "0.1",
    "STRATEGY_STUCK_S": "600",
    "STRATEGY_RETRY_S": "120",
    "STRATEGY_PERIOD_S": "900",
    "STRATEGY_HISTORY_BARS": "260",
    # What the entry is believed to earn before anything was seen: a demo that refuses everything shows nothing.
    "STRATEGY_PRIOR_EDGE_BP": "60",
    "STRATEGY_PRIOR_WEIGHT": "10000",
    "CROSS_PERIOD_S": "300",
    "CROSS_PRIOR_EDGE_BP": "60",
    "CROSS_PRIOR_WEIGHT": "10000",
    "RISK_BANKROLL": "20000",
    "RISK_RISK_FRACTION": "0.01",
    "RISK_MAX_POSITIONS": "10",
    "RISK_MARKET_BUDGET": "3000",
    "RISK_MAX_MARKET_NOTIONAL": "4000",
    "RISK_MAX_GROUP_NOTIONAL": "4000",
    "RISK_DAILY_LOSS": "1000",
    # Five real seconds at the demo's speed: a loaded machine must not look like a market without prices.
    "RISK_MAX_QUOTE_AGE_S": "600",
    "RISK_MAX_SPREAD_BP": "40",
    "RISK_MIN_EDGE_BP": "0",
    "RISK_MIN_CONFIDENCE": "0",
    "RISK_COOLDOWN_S": "120",
    "RISK_DEDUP_WINDOW_S": "120",
    "RISK_STORM_STOP_OUTS": "50",
    "IBKR_ACCOUNT": OPERATOR_ACCOUNT,
    # Real seconds, of which each is two minutes of the demo.
    "IBKR_QUOTE_SILENCE_S": "3",
    "IBKR_QUOTE_MAX_AGE_S": "600",
    "IBKR_FRESH_ORDER_GRACE_S": "5",
    "IBKR_COMMISSION_WAIT_S": "2",
    "IBKR_POLL_INTERVAL_S": "0.1",
    "IBKR_PORTAL_PAGE_PAUSE_S": "0.3",
    "IBKR_PORTAL_REQUESTS_PER_S": "50",
    # The gateway shuts out for ten minutes of its own clock: five seconds, and some room.
    "IBKR_PORTAL_PENALTY_S": "8",
}


def chosen(transport: str) -> str:
    """Return the connection a demo was asked for; the socket when nothing was said."""
    name = transport.strip().lower() or TRANSPORTS[0]
    if name not in TRANSPORTS:
        raise Misconfigured("IBKR_TRANSPORT=tws or IBKR_TRANSPORT=portal", repr(transport), "choose one of the two")
    return name


def write_venue(home: Path) -> None:
    """Write the simulators' env files; their accounts stand in ``fleet.programs``."""
    for name in ("tws", "portal"):
        write_env_file(home / "env" / f"simulator-{name}.env", {})


def write_surface(home: Path, urls: Mapping[str, str], transport: str) -> None:
    """Write the env file of the stock surface."""
    host, _, port = urls["tws"].rpartition("//")[2].partition(":")
    values = {
        "IBKR_TRANSPORT": transport,
        "IBKR_HOST": host,
        "IBKR_PORT": port,
        "IBKR_PORTAL_URL": f"{urls['portal']}/v1/api",
    }
    write_env_file(home / "env" / "stk.env", DEMO_STK | values)
