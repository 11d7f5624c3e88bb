"""The home of a demo: env files, accounts, keys, a subscriber's token and configuration, made afresh for each run."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from domain.clock import parse_iso
from domain.errors import Halt
from domain.house import House
from domain.vocabulary import Surface
from feed.token_store import TokenStore
from feed.tokens import Scope
from fleet.demo_mark import MARKER, mark, require_free, seal
from fleet.envfile import write_env_file
from fleet.programs import FLEET
from fleet.supervision import write_config
from journal.key_files import create_key

# Recorded quotes: see docs/demo.md for how start and speed were chosen.
START = "2014-05-06T07:00:00Z"
SPEED = 120
KEEP_RUNS = 5
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
DEMO_SUBSCRIBER = {
    "size-rule": "risk",
    "size-value": "0.002",
    "max-units": "50000",
    "daily-loss": "500",
    "broker-s": "0.5",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A demo that is ready to be started."""

    house: House
    config: Path
    feed_url: str
    venue_url: str
    subscriber_home: Path


def prepare(home: Path) -> Demo:
    """Make everything the demo fleet needs under ``home``.

    Raises:
        Refuse: ``home`` holds journals or env files that no demo made.
    """
    home = home.resolve()
    clear(home)
    mark(home)
    for name in ("run", "state"):
        (home / name).mkdir(parents=True, exist_ok=True)
    clock = f"sim:{START}@{SPEED},anchor={time.time():.6f}"
    house = House(home=home, clock=clock)
    venue_url, feed_url = (f"http://127.0.0.1:{port}" for port in _free_ports(2))
    tokens = {OPERATOR_ACCOUNT: secrets.token_hex(16), SUBSCRIBER_ACCOUNT: secrets.token_hex(16)}
    _write_venue(home, venue_url, tokens)
    _write_surface(home, venue_url, tokens[OPERATOR_ACCOUNT])
    _write_feed(home, feed_url)
    create_key(house.keys, Surface.FX, parse_iso(START))
    subscriber_home = _write_subscriber(house, feed_url, venue_url, tokens[SUBSCRIBER_ACCOUNT])
    seal(home)
    config = write_config(home, _demo_programs(venue_url), clock=clock)
    return Demo(house=house, config=config, feed_url=feed_url, venue_url=venue_url, subscriber_home=subscriber_home)


def _demo_programs(venue_url: str) -> dict[str, list[str]]:
    arguments: dict[str, list[str]] = {item.name: [] for item in FLEET if item.demo_only}
    arguments["simulator-oanda"] = ["--port", venue_url.rpartition(":")[2]]
    return arguments


def clear(home: Path) -> None:
    """Move what the last demo left into ``demo-runs/``: its clock and accounts fit nothing that comes after.

    A run without any journal is not worth keeping.

    Raises:
        Refuse: ``home`` holds journals or env files that no demo made.
    """
    require_free(home)
    if not (home / "logs" / MARKER).exists():
        return
    for beat in (home / "run").glob("*.beat"):  # they would tell of the demo's processes in a home that has none
        beat.unlink(missing_ok=True)
    runs = home / "demo-runs"
    target = runs / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    is_worth_keeping = any((home / "logs").glob("*/*/[0-9]*.jsonl"))
    target.mkdir(parents=True)
    for name in ("logs", "state", "env", "keys"):
        if (home / name).exists():
            _move_made(home / name, target / name)
    if not is_worth_keeping:
        shutil.rmtree(target)
    for old in sorted(runs.iterdir())[:-KEEP_RUNS]:
        shutil.rmtree(old)


def _move_made(source: Path, target: Path) -> None:
    """Move everything a demo made; files that belong to the repository (examples, .gitkeep) stay."""
    target.mkdir()
    for item in source.iterdir():
        if item.name != ".gitkeep" and item.suffix != ".example":
            item.rename(target / item.name)


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now; all are held at once so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(item.getsockname()[1]) for item in sockets]
    for item in sockets:
        item.close()
    return ports


def _write_venue(home: Path, url: str, tokens: dict[str, str]) -> None:
    accounts = [{"id": key, "token": token, "currency": "USD", "balance": BALANCE} for key, token in tokens.items()]
    path = home / "env" / "simulator-oanda.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(accounts))
    write_env_file(home / "env" / "simulator-oanda.env", {})


def _write_surface(home: Path, venue_url: str, token: str) -> None:
    values = {
        "OANDA_ACCOUNT_ID": OPERATOR_ACCOUNT,
        "OANDA_TOKEN": token,
        "OANDA_API_URL": venue_url,
        "OANDA_STREAM_URL": venue_url,
    }
    write_env_file(home / "env" / "fx.env", DEMO_FX | values)


def _write_feed(home: Path, url: str) -> None:
    values = {
        "FEED_PORT": url.rpartition(":")[2],
        "FEED_CURSOR_SECRET": secrets.token_hex(32),
        # One subscriber is all a demo has; a real feed hides cohorts below five.
        "FEED_COHORT_MIN": "1",
        "FEED_RATE_PER_MIN": "1200",
        "FEED_BURST": "200",
    }
    write_env_file(home / "env" / "feed.env", values)


def _write_subscriber(house: House, feed_url: str, venue_url: str, broker_token: str) -> Path:
    """Make the subscriber the way a real one is made: a token from the operator, ``tbot-client init`` on its side."""
    token, _ = TokenStore(house.subscribers).add(
        label="demo", scopes=(Scope.FEED_READ, Scope.CALLBACK_WRITE), surfaces=(Surface.FX,), now=datetime.now(UTC)
    )
    home = house.state / "demo-subscriber"
    write_env_file(house.home / "env" / "demo-subscriber.env", {})
    options = {
        "feed-url": feed_url,
        "broker": "oanda",
        "account-id": SUBSCRIBER_ACCOUNT,
        "api-url": venue_url,
        "stream-url": venue_url,
        "clock": house.clock,
        **DEMO_SUBSCRIBER,
    }
    command = [sys.executable, "-m", "tbot_client", "init", "--non-interactive", "--home", str(home)]
    command += [f"--{name}={value}" for name, value in options.items()]
    environment = os.environ | {"TBOT_FEED_TOKEN": token, "TBOT_BROKER_TOKEN": broker_token}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Halt("tbot-client init to succeed", done.stderr.strip(), "mend the client's settings")
    return home
