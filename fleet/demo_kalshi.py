"""The demo's event part: a simulated Kalshi with three accounts, the sources of its facts, and its two surfaces."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fleet.envfile import write_env_file

ST, LT, SUBSCRIBER = "demo-st", "demo-lt", "demo-subscriber"
BALANCE = "10000.00"
# Request limits are of real seconds, each of which is two minutes of the demo.
TIER = "premier"
# Provider -> where the simulator answers for it.
PROVIDERS = {"anthropic": "anthropic", "openai": "openai/v1", "gemini": "gemini", "deepseek": "deepseek"}
PANEL = (
    "anthropic:claude-sonnet-4-6",
    "openai:gpt-5.4-mini",
    "gemini:gemini-3.5-flash",
    "deepseek:deepseek-v4-flash",
)
# Fifteen real seconds: signals come in a burst when the demo starts, and the subscriber takes them one by one.
SIGNAL_TTL_S = "1800"
# Limits that let small edges through, and markets that end soon: chosen so that positions come and go while somebody
# watches, not because they earn anything. The books are synthetic.
COMMON = {
    "RISK_BANKROLL": "5000",
    # Five real seconds at the demo's speed: a loaded machine must not look like a market without prices.
    "RISK_MAX_QUOTE_AGE_S": "600",
    "RISK_MIN_EDGE_BP": "50",
    "RISK_MAX_POSITIONS": "40",
    "RISK_MAX_MARKET_NOTIONAL": "40",
    "RISK_MAX_GROUP_NOTIONAL": "160",
    "RISK_DAILY_LOSS": "1000",
    # Real seconds, of which each is two minutes of the demo: a book that stands still is looked at that often.
    "KALSHI_QUOTE_SILENCE_S": "1",
    "KALSHI_POLL_INTERVAL_S": "0.5",
    "KALSHI_QUOTE_MAX_AGE_S": "600",
}
DEMO_ST = COMMON | {
    "ST_MODE": "paper",
    "ST_LOOP_S": "12",
    "ST_LIST_S": "300",
    "ST_ASK_S": "600",
    "ST_SIGNAL_TTL_S": SIGNAL_TTL_S,
    "ST_UNKNOWN_QUERY_S": "60",
    "ST_HORIZON_HOURS": "30",
    "ST_MARKET_WEIGHT": "0.1",
    "RISK_MIN_EDGE_BP": "20",
    "RISK_MIN_CONFIDENCE": "0.1",
}
DEMO_LT = COMMON | {
    "LT_MODE": "paper",
    "LT_LOOP_S": "12",
    "LT_LIST_S": "600",
    "LT_ASK_S": "1800",
    "LT_SIGNAL_TTL_S": SIGNAL_TTL_S,
    "LT_UNKNOWN_QUERY_S": "60",
    "LT_HORIZON_HOURS": "6",
    "LT_MARKET_WEIGHT": "0.5",
    # Real seconds: a provider that hangs must not keep a watcher waiting for minutes.
    "MODELS_DEADLINE_S": "10",
    "MODELS_CALL_TIMEOUT_S": "8",
    "RISK_MIN_QUORUM": "2",
    "RISK_MIN_CONFIDENCE": "0.1",
    "RISK_COST_DAY_USD": "20",
    "RISK_COST_MONTH_USD": "200",
    "RISK_FLEET_COST_DAY_USD": "20",
    "RISK_FLEET_COST_MONTH_USD": "200",
}


@dataclass(frozen=True, slots=True)
class AccountKey:
    """One account's key: its id, and the file that holds the private half."""

    key_id: str
    file: Path


def write_venue(home: Path) -> dict[str, AccountKey]:
    """Make the venue's accounts, each with a key pair of its own, and return their keys."""
    accounts, keys = [], {}
    for name in (ST, LT, SUBSCRIBER):
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        file = home / "env" / f"kalshi-{name}.pem"
        file.touch(mode=0o600)
        file.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        accounts.append({"key_id": name, "public_key_pem": public.decode(), "balance": BALANCE, "tier": TIER})
        keys[name] = AccountKey(name, file)
    _write_private(home / "env" / "simulator-kalshi.json", json.dumps(accounts))
    return keys


def write_services(home: Path, urls: Mapping[str, str]) -> None:
    """Write what the simulators of Kalshi, the weather service, Coinbase and the language models need."""
    for name in ("kalshi", "nws", "coinbase", "models"):
        write_env_file(home / "env" / f"simulator-{name}.env", {})
    keys = {provider: secrets.token_hex(16) for provider in PROVIDERS}
    _write_private(home / "env" / "simulator-models.json", json.dumps(keys))


def write_surfaces(home: Path, urls: Mapping[str, str], keys: Mapping[str, AccountKey]) -> None:
    """Write the env files of the two event surfaces."""
    write_env_file(home / "env" / "st.env", DEMO_ST | _kalshi(urls, keys[ST]) | _facts(urls))
    write_env_file(home / "env" / "lt.env", DEMO_LT | _kalshi(urls, keys[LT]) | _models(home, urls))


def _kalshi(urls: Mapping[str, str], key: AccountKey) -> dict[str, str]:
    url = urls["kalshi"]
    return {
        "KALSHI_KEY_ID": key.key_id,
        "KALSHI_PRIVATE_KEY_FILE": str(key.file),
        "KALSHI_API_URL": f"{url}/trade-api/v2",
        "KALSHI_WS_URL": f"{url.replace('http', 'ws', 1)}/trade-api/ws/v2",
    }


def _facts(urls: Mapping[str, str]) -> dict[str, str]:
    return {
        "NWS_URL": urls["nws"],
        "NWS_USER_AGENT": "tbot-demo",
        "COINBASE_URL": urls["coinbase"],
    }


def _models(home: Path, urls: Mapping[str, str]) -> dict[str, str]:
    keys = json.loads((home / "env" / "simulator-models.json").read_text())
    values = {f"MODELS_{provider.upper()}_KEY": keys[provider] for provider in PROVIDERS}
    urls_of = {f"MODELS_{name.upper()}_URL": f"{urls['models']}/{path}" for name, path in PROVIDERS.items()}
    return values | urls_of | {"MODELS_PANEL": ",".join(PANEL), "MODELS_PRICES": "deepseek-v4-flash:0.30/1.20"}


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
