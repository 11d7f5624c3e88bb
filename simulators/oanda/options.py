"""Command line of the simulator."""

import argparse
import json
import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from simulators.oanda.account import Account
from simulators.oanda.clock import Clock, parse_clock
from simulators.oanda.wire import decimal_or_none

DEFAULT_ACCOUNT = "101-001-1000001-001:simulated-token:USD:100000"
_FORM = "ID:TOKEN:CCY:BALANCE"
_EPILOG = """\
example:
  python -m simulators.oanda --port 8080 --clock sim:2014-05-02T12:20:00Z@120 \\
      --account 101-001-1000001-001:secret:USD:100000

Without --account there is one: 101-001-1000001-001 with token simulated-token and 100000 USD.
TBOT_CLOCK sets the clock when --clock does not; with neither it is the machine's own ('real').
Endpoints, fault actions and data: simulators/README.md."""


class OptionError(ValueError):
    """An option that cannot be used."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the simulator was started with."""

    port: int
    stream_port: int | None
    clock: Clock
    accounts: list[Account]
    shift_weeks: int | None
    faults: Path | None
    state: Path | None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators.oanda",
        description="OANDA v20 venue on loopback, replaying recorded quotes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one (default)")
    parser.add_argument("--stream-port", type=int, help="a second port that answers the same requests")
    parser.add_argument("--clock", help="'real' or 'sim:<ISO start>@<speed>[,anchor=<unix seconds>]'")
    parser.add_argument("--account", action="append", default=[], metavar=_FORM, help="an account; repeatable")
    parser.add_argument("--account-file", type=Path, help="JSON list of {id, token, currency, balance}")
    parser.add_argument("--shift-weeks", default="0", help="move the recording by whole weeks, or 'auto' (default 0)")
    parser.add_argument("--faults", type=Path, help="fault script, a JSON list")
    parser.add_argument("--state", type=Path, help="file that keeps the accounts between runs")
    return parser


def parse_options(arguments: list[str] | None = None) -> Options:
    """Read the command line and TBOT_CLOCK.

    Raises:
        OptionError, ClockError: an option cannot be used; the message says what was expected.
    """
    parsed = _parser().parse_args(arguments)
    return Options(
        port=_port("--port", parsed.port),
        stream_port=None if parsed.stream_port is None else _port("--stream-port", parsed.stream_port),
        clock=parse_clock(parsed.clock or os.environ.get("TBOT_CLOCK") or "real"),
        accounts=_accounts(parsed.account, parsed.account_file),
        shift_weeks=_weeks(parsed.shift_weeks),
        faults=parsed.faults,
        state=parsed.state,
    )


def _port(name: str, value: int) -> int:
    if not 0 <= value <= 65535:
        raise OptionError(f"{name}: expected 0 to 65535; found {value}")
    return value


def _weeks(text: str) -> int | None:
    if text == "auto":
        return None
    try:
        return int(text)
    except ValueError as exc:
        raise OptionError(f"--shift-weeks: expected a whole number or 'auto'; found {text!r}") from exc


def _accounts(specs: list[str], file: Path | None) -> list[Account]:
    accounts = [] if file is None else _from_file(file)
    for spec in specs or ([] if accounts else [DEFAULT_ACCOUNT]):
        parts = spec.split(":")
        if len(parts) != 4:
            # the token stands in the text, so the text is not repeated
            raise OptionError(f"--account: expected {_FORM}; found {len(parts)} parts")
        accounts.append(_account("--account", *parts))
    ids = [account.id for account in accounts]
    doubled = sorted({name for name in ids if ids.count(name) > 1})
    if doubled:
        raise OptionError(f"--account: expected every id once; found {', '.join(doubled)} twice")
    return accounts


def _from_file(path: Path) -> list[Account]:
    try:
        items = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise OptionError(f"--account-file: cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise OptionError(f"--account-file: expected a JSON list in {path}; found {exc}") from exc
    if not isinstance(items, list) or not items:
        raise OptionError(f"--account-file: expected a JSON list of accounts in {path}")
    return [_from_item(f"--account-file [{i}]", item) for i, item in enumerate(items)]


def _from_item(place: str, item: Any) -> Account:
    names = ("id", "token", "currency", "balance")
    if not isinstance(item, dict) or set(item) != set(names):
        raise OptionError(f"{place}: expected an object with {', '.join(names)}")
    return _account(place, *(str(item[name]) for name in names))


def _account(place: str, account_id: str, token: str, currency: str, balance: str) -> Account:
    amount = decimal_or_none(balance)
    if not account_id or "/" in account_id or not token:
        raise OptionError(f"{place}: expected an id without '/' and a token; found id {account_id!r}")
    if len(currency) != 3 or not currency.isupper():
        raise OptionError(f"{place}: expected a currency such as USD; found {currency!r}")
    if amount is None or amount < 0:
        raise OptionError(f"{place}: expected a balance of 0 or more; found {balance!r}")
    return Account(account_id, token, currency, Decimal(amount))
