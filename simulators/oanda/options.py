"""Command line of the simulator."""

import argparse
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from simulators.oanda.account import Account
from simulators.oanda.clock import Clock
from simulators.oanda.wire import decimal_or_none
from simulators.rest.options import OptionError, checked_port, clock_of, json_of, parser_of

DEFAULT_ACCOUNT = "101-001-1000001-001:simulated-token:USD:100000"
_FORM = "ID:TOKEN:CCY:BALANCE"
_EPILOG = """\
example:
  python -m simulators.oanda --port 8080 --clock sim:2014-05-02T12:20:00Z@120 \\
      --account 101-001-1000001-001:secret:USD:100000

Without --account there is one: 101-001-1000001-001 with token simulated-token and 100000 USD.
TBOT_CLOCK sets the clock when --clock does not; with neither it is the machine's own ('real').
Endpoints, fault actions and data: simulators/README.md."""


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
    parser = parser_of("simulators.oanda", "OANDA v20 venue on loopback, replaying recorded quotes.", _EPILOG)
    parser.add_argument("--stream-port", type=int, help="a second port that answers the same requests")
    parser.add_argument("--account", action="append", default=[], metavar=_FORM, help="an account; repeatable")
    parser.add_argument("--account-file", type=Path, help="JSON list of {id, token, currency, balance}")
    parser.add_argument("--shift-weeks", default="0", help="move the recording by whole weeks, or 'auto' (default 0)")
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
        stream_port=None if parsed.stream_port is None else checked_port("--stream-port", parsed.stream_port),
        clock=clock_of(parsed),
        accounts=_accounts(parsed.account, parsed.account_file),
        shift_weeks=_weeks(parsed.shift_weeks),
        faults=parsed.faults,
        state=parsed.state,
    )


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
    items = json_of("--account-file", path, "a JSON list")
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
