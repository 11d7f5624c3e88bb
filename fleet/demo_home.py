"""The home of a demo: env files, accounts, keys, subscribers' tokens and configurations, made afresh for each run."""

import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from domain.clock import parse_iso
from domain.house import House
from domain.vocabulary import Surface
from fleet import demo_ibkr, demo_kalshi, demo_oanda
from fleet.demo_mark import MARKER, mark, require_free, seal
from fleet.demo_subscribers import write_ibkr_subscriber, write_kalshi_subscriber, write_oanda_subscriber
from fleet.envfile import write_env_file
from fleet.programs import FLEET
from fleet.supervision import write_config
from journal.key_files import create_key

# docs/demo.md says how start and speed were chosen.
START = "2014-05-06T13:20:00Z"
SPEED = 120
KEEP_RUNS = 5
SURFACES = (Surface.ST, Surface.LT, Surface.FX, Surface.STK)
# What a demo's venues and services are called, and which simulator stands for each.
SERVICES = ("oanda", "kalshi", "nws", "coinbase", "models", "tws", "portal")
# Sourced by a shell, it sets the variables that docs/demo.md breaks the simulators with: O, K, N, C, M, T and P.
ADDRESSES = "addresses.sh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A demo that is ready to be started; ``urls`` is service -> where its simulator listens."""

    house: House
    config: Path
    feed_url: str
    urls: Mapping[str, str]
    subscriber_homes: tuple[Path, ...]


def prepare(home: Path, transport: str = "") -> Demo:
    """Make everything the demo fleet needs under ``home``; ``transport`` names the connection to IBKR.

    Raises:
        Refuse: ``home`` holds journals or env files that no demo made.
    """
    transport = demo_ibkr.chosen(transport)
    home = home.resolve()
    clear(home)
    mark(home)
    for name in ("run", "state"):
        (home / name).mkdir(parents=True, exist_ok=True)
    clock = f"sim:{START}@{SPEED},anchor={time.time():.6f}"
    house = House(home=home, clock=clock)
    feed_url, socket_url, *others = (f"http://127.0.0.1:{port}" for port in _free_ports(2 + len(SERVICES)))
    urls = dict(zip(SERVICES, others, strict=True))
    for surface in SURFACES:
        create_key(house.keys, surface, parse_iso(START))
    _write_feed(home, feed_url)
    lines = [f"{service[0].upper()}={url}" for service, url in urls.items()]
    (home / "run" / ADDRESSES).write_text("\n".join(lines) + "\n")
    homes = (
        _prepare_oanda(house, feed_url, urls["oanda"]),
        _prepare_kalshi(house, feed_url, urls),
        _prepare_ibkr(house, feed_url, urls, socket_url, transport),
    )
    seal(home)
    config = write_config(home, _demo_programs(urls, socket_url), clock=clock)
    return Demo(house=house, config=config, feed_url=feed_url, urls=urls, subscriber_homes=homes)


def _prepare_oanda(house: House, feed_url: str, url: str) -> Path:
    accounts = (demo_oanda.OPERATOR_ACCOUNT, demo_oanda.SUBSCRIBER_ACCOUNT)
    tokens = {account: secrets.token_hex(16) for account in accounts}
    demo_oanda.write_venue(house.home, tokens)
    demo_oanda.write_surface(house.home, url, tokens[demo_oanda.OPERATOR_ACCOUNT])
    return write_oanda_subscriber(house, feed_url, url, tokens[demo_oanda.SUBSCRIBER_ACCOUNT])


def _prepare_kalshi(house: House, feed_url: str, urls: Mapping[str, str]) -> Path:
    keys = demo_kalshi.write_venue(house.home)
    demo_kalshi.write_services(house.home, urls)
    demo_kalshi.write_surfaces(house.home, urls, keys)
    return write_kalshi_subscriber(house, feed_url, urls["kalshi"], keys[demo_kalshi.SUBSCRIBER])


def _prepare_ibkr(house: House, feed_url: str, urls: Mapping[str, str], socket_url: str, transport: str) -> Path:
    demo_ibkr.write_venue(house.home)
    demo_ibkr.write_surface(house.home, {**urls, "tws": socket_url}, transport)
    return write_ibkr_subscriber(house, feed_url, urls["portal"])


def _demo_programs(urls: Mapping[str, str], socket_url: str) -> dict[str, list[str]]:
    arguments: dict[str, list[str]] = {item.name: [] for item in FLEET if item.demo_only}
    for service, url in urls.items():
        arguments[f"simulator-{service}"] = ["--port", _port(url)]
    # What answers over HTTP there is only the control of the simulator; brokers' clients speak to its socket.
    arguments["simulator-tws"] = ["--port", _port(socket_url), "--control-port", _port(urls["tws"])]
    return arguments


def _port(url: str) -> str:
    return url.rpartition(":")[2]


def clear(home: Path) -> None:
    """Move what the last demo left into ``demo-runs/``: its clock and accounts fit nothing that comes after.

    A run without any journal is not worth keeping.

    Raises:
        Refuse: ``home`` holds journals or env files that no demo made.
    """
    require_free(home)
    if not (home / "logs" / MARKER).exists():
        return
    # They would tell of the demo's processes in a home that has none.
    for told in (*(home / "run").glob("*.beat"), home / "run" / ADDRESSES):
        told.unlink(missing_ok=True)
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
            shutil.move(item, target / item.name)  # a folder may be a mount of its own, out of which nothing is renamed


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now; all are held at once so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(item.getsockname()[1]) for item in sockets]
    for item in sockets:
        item.close()
    return ports


def _write_feed(home: Path, url: str) -> None:
    values = {
        "FEED_PORT": url.rpartition(":")[2],
        "FEED_CURSOR_SECRET": secrets.token_hex(32),
        "FEED_SURFACES": ",".join(SURFACES),
        # A demo has one subscriber a broker; a real feed hides cohorts below five.
        "FEED_COHORT_MIN": "1",
        "FEED_RATE_PER_MIN": "1200",
        "FEED_BURST": "200",
    }
    write_env_file(home / "env" / "feed.env", values)
