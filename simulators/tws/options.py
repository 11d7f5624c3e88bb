"""Command line of the simulator."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from simulators.ibkr.accounts import AccountSpec
from simulators.ibkr.contracts import BY_SYMBOL, LISTED, Contract
from simulators.oanda.clock import Clock, parse_clock

DEFAULT_ACCOUNTS = "DU1:100000"
_FORM = "ID:CASH[:cash|margin][:fractional]"


class OptionError(ValueError):
    """A command line that cannot be used; the message says what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the simulator was started with."""

    port: int
    control_port: int
    clock: Clock
    accounts: Sequence[AccountSpec]
    faults: Path | None
    state: Path | None
    listed: Sequence[Contract]


def parse_options(arguments: list[str] | None = None) -> Options:
    """Read the command line and TBOT_CLOCK.

    Raises:
        OptionError: an option cannot be used.
        ClockError: the clock does not follow its grammar.
    """
    parsed = _parser().parse_args(arguments)
    return Options(
        port=_port("--port", parsed.port),
        control_port=_port("--control-port", parsed.control_port),
        clock=parse_clock(parsed.clock or os.environ.get("TBOT_CLOCK") or "real"),
        accounts=_accounts(parsed.accounts),
        faults=parsed.faults,
        state=parsed.state,
        listed=_listed(parsed.symbols),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators.tws",
        description="A TWS/Gateway on loopback: server version 176, recorded prices.",
        epilog="Requests, fault actions and data: simulators/README.md.",
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port of the API on 127.0.0.1; 0 takes a free one (default)"
    )
    parser.add_argument("--control-port", type=int, default=0, help="port of the control pages; 0 takes a free one")
    parser.add_argument("--clock", help="'real' or 'sim:<ISO start>@<speed>[,anchor=<unix seconds>]', else TBOT_CLOCK")
    parser.add_argument("--accounts", default=DEFAULT_ACCOUNTS, help=f"{_FORM}, several with commas between")
    parser.add_argument("--state", type=Path, help="folder that keeps orders and accounts between runs")
    parser.add_argument("--faults", type=Path, help="fault script, a JSON list")
    parser.add_argument(
        "--symbols", help="list only these stocks, with commas between; all that are recorded unless given"
    )
    return parser


def _port(name: str, value: int) -> int:
    if not 0 <= value <= 65535:
        raise OptionError(f"{name}: expected 0 to 65535; found {value}")
    return value


def _listed(text: str | None) -> Sequence[Contract]:
    symbols = [part for part in (text or "").upper().split(",") if part]
    unknown = [symbol for symbol in symbols if symbol not in BY_SYMBOL]
    if unknown:
        raise OptionError(f"--symbols: expected some of {', '.join(BY_SYMBOL)}; found {', '.join(unknown)}")
    return [BY_SYMBOL[symbol] for symbol in symbols] or LISTED


def _accounts(text: str) -> list[AccountSpec]:
    accounts = [_account(part) for part in text.split(",") if part]
    ids = [account.id for account in accounts]
    if not ids or len(set(ids)) != len(ids):
        raise OptionError(f"--accounts: expected {_FORM}, every id once; found {text!r}")
    return accounts


def _account(text: str) -> AccountSpec:
    name, _, rest = text.partition(":")
    cash, *words = rest.split(":")
    try:
        amount = Decimal(cash)
    except InvalidOperation as exc:
        raise OptionError(f"--accounts: expected {_FORM}; found {text!r}") from exc
    known = {"cash", "margin", "fractional"}
    if not name or not amount.is_finite() or amount < 0 or not set(words) <= known or {"cash", "margin"} <= set(words):
        raise OptionError(f"--accounts: expected {_FORM}; found {text!r}")
    return AccountSpec(
        id=name, cash=amount, kind="MARGIN" if "margin" in words else "CASH", fractional="fractional" in words
    )
