"""The demo's subscribers, made the way real ones are: a token from the operator, ``tbot-client init`` on their side."""

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from domain.errors import Halt
from domain.house import House
from domain.vocabulary import Surface
from feed.token_store import TokenStore
from feed.tokens import Scope
from fleet import demo_ibkr
from fleet.demo_kalshi import SIGNAL_TTL_S, AccountKey
from fleet.demo_oanda import SUBSCRIBER_ACCOUNT
from fleet.envfile import write_env_file

COMMON = {"size-rule": "risk", "size-value": "0.002", "daily-loss": "500", "broker-s": "0.5"}


def write_oanda_subscriber(house: House, feed_url: str, venue_url: str, broker_token: str) -> Path:
    """Make the subscriber who trades FX, and return its home."""
    options = {
        "broker": "oanda",
        "account-id": SUBSCRIBER_ACCOUNT,
        "api-url": venue_url,
        "stream-url": venue_url,
        "max-units": "50000",
    }
    return _write(house, "demo-subscriber", (Surface.FX,), feed_url, options, {"TBOT_BROKER_TOKEN": broker_token})


def write_kalshi_subscriber(house: House, feed_url: str, venue_url: str, key: AccountKey) -> Path:
    """Make the subscriber who trades event contracts, and return its home."""
    options = {
        "broker": "kalshi",
        "account-id": key.key_id,
        "api-url": f"{venue_url}/trade-api/v2",
        "max-units": "100",
        "max-age-s": SIGNAL_TTL_S,
        "max-drift-bp": "300",
        "max-open": "40",
    }
    secret = {"TBOT_BROKER_KEY_FILE": str(key.file)}
    return _write(house, "demo-subscriber-kalshi", (Surface.ST, Surface.LT), feed_url, options, secret)


def write_ibkr_subscriber(house: House, feed_url: str, venue_url: str) -> Path:
    """Make the subscriber who trades stocks through the Client Portal, and return its home."""
    options = {
        "broker": "ibkr",
        "account-id": demo_ibkr.SUBSCRIBER_ACCOUNT,
        "api-url": f"{venue_url}/v1/api",
        "max-units": "200",
        "max-age-s": SIGNAL_TTL_S,
        "max-drift-bp": "50",
        "max-open": "10",
    }
    return _write(house, "demo-subscriber-ibkr", (Surface.STK,), feed_url, options, {})


def _write(
    house: House,
    name: str,
    surfaces: tuple[Surface, ...],
    feed_url: str,
    options: Mapping[str, str],
    secret: Mapping[str, str],
) -> Path:
    token, _ = TokenStore(house.subscribers).add(
        label=name, scopes=(Scope.FEED_READ, Scope.CALLBACK_WRITE), surfaces=surfaces, now=datetime.now(UTC)
    )
    home = house.state / name
    write_env_file(house.home / "env" / f"{name}.env", {})
    given = {"feed-url": feed_url, "clock": house.clock, **COMMON, **options}
    command = [sys.executable, "-m", "tbot_client", "init", "--non-interactive", "--home", str(home)]
    command += [f"--{option}={value}" for option, value in given.items()]
    environment = os.environ | {"TBOT_FEED_TOKEN": token} | dict(secret)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Halt(f"tbot-client init to make {name}", done.stderr.strip(), "mend the client's settings")
    return home
