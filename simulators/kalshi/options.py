"""Command line of the simulator."""

import argparse
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from simulators.kalshi.account import Account
from simulators.kalshi.limits import TIERS
from simulators.kalshi.signing import public_key
from simulators.kalshi.wire import CENT, number
from simulators.oanda.clock import Clock
from simulators.rest.options import OptionError, checked_port, clock_of, json_of, parser_of

WIRES = ("current", "older", "both")
_EPILOG = """\
example:
  python -m simulators.kalshi --port 8081 --clock sim:2014-05-06T07:00:00Z@120 --account-file accounts.json

accounts.json: [{"key_id": "...", "public_key_pem": "-----BEGIN PUBLIC KEY-----...", "balance": "1000.00"}]
TBOT_CLOCK sets the clock when --clock does not; with neither it is the machine's own ('real').
Endpoints, fault actions and data: simulators/README.md."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the simulator was started with."""

    port: int
    clock: Clock
    accounts: list[Account]
    wire: str
    catalogue: Path | None
    faults: Path | None
    state: Path | None


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("simulators.kalshi", "Kalshi venue on loopback, over synthetic books.", _EPILOG)
    parser.add_argument("--account-file", type=Path, help="JSON list of {key_id, public_key_pem, balance[, tier]}")
    parser.add_argument(
        "--wire", choices=WIRES, default="both", help="which wire's order paths and fields (default both)"
    )
    parser.add_argument("--catalogue", type=Path, help="JSON file of markets in place of the built-in catalogue")
    parser.add_argument("--state", type=Path, help="file that keeps the accounts between runs")
    return parser


def parse_options(arguments: list[str] | None = None) -> Options:
    """Read the command line and TBOT_CLOCK.

    Raises:
        OptionError, ClockError: an option cannot be used; the message says what was expected.
    """
    parsed = _parser().parse_args(arguments)
    return Options(
        port=checked_port("--port", parsed.port),
        clock=clock_of(parsed),
        accounts=[] if parsed.account_file is None else _accounts(parsed.account_file),
        wire=parsed.wire,
        catalogue=parsed.catalogue,
        faults=parsed.faults,
        state=parsed.state,
    )


def _accounts(path: Path) -> list[Account]:
    items = json_of("--account-file", path, "a JSON list")
    if not isinstance(items, list):
        raise OptionError(f"--account-file: expected a JSON list of accounts in {path}")
    accounts = [_account(f"--account-file [{i}]", item) for i, item in enumerate(items)]
    names = [account.key_id for account in accounts]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise OptionError(f"--account-file: expected every key_id once; found {', '.join(doubled)} twice")
    return accounts


def _account(place: str, item: Any) -> Account:
    needed, known = {"key_id", "public_key_pem", "balance"}, {"key_id", "public_key_pem", "balance", "tier"}
    if not isinstance(item, dict) or not needed <= set(item) <= known:
        raise OptionError(f"{place}: expected an object with key_id, public_key_pem, balance and perhaps tier")
    balance, tier = number(item["balance"]), item.get("tier", "basic")
    if balance is None or balance < 0 or balance % CENT:
        raise OptionError(f"{place}: expected a balance in whole cents, 0 or more; found {item['balance']!r}")
    if tier not in TIERS:
        raise OptionError(f"{place}: expected a tier out of {', '.join(TIERS)}; found {tier!r}")
    try:
        public_key(str(item["public_key_pem"]))
    except ValueError as exc:
        raise OptionError(f"{place}: expected an RSA public key in PEM form; found {exc}") from exc
    return Account(str(item["key_id"]), str(item["public_key_pem"]), Decimal(balance), tier)
