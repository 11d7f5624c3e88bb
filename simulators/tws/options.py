"""Command line of the simulator."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simulators.ibkr.accounts import AccountSpec
from simulators.ibkr.contracts import BY_SYMBOL, LISTED, Contract
from simulators.ibkr.options import ACCOUNT_FORM, DEFAULT_ACCOUNTS, read_accounts
from simulators.oanda.clock import Clock
from simulators.rest.options import OptionError, checked_port, clock_of, parser_of


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
        port=checked_port("--port", parsed.port),
        control_port=checked_port("--control-port", parsed.control_port),
        clock=clock_of(parsed),
        accounts=read_accounts(parsed.accounts),
        faults=parsed.faults,
        state=parsed.state,
        listed=_listed(parsed.symbols),
    )


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("simulators.tws", "A TWS/Gateway on loopback: server version 176, recorded prices.")
    parser.add_argument("--control-port", type=int, default=0, help="port of the control pages; 0 takes a free one")
    parser.add_argument("--accounts", default=DEFAULT_ACCOUNTS, help=f"{ACCOUNT_FORM}, several with commas between")
    parser.add_argument("--state", type=Path, help="folder that keeps orders and accounts between runs")
    parser.add_argument(
        "--symbols", help="list only these stocks, with commas between; all that are recorded unless given"
    )
    return parser


def _listed(text: str | None) -> Sequence[Contract]:
    symbols = [part for part in (text or "").upper().split(",") if part]
    unknown = [symbol for symbol in symbols if symbol not in BY_SYMBOL]
    if unknown:
        raise OptionError(f"--symbols: expected some of {', '.join(BY_SYMBOL)}; found {', '.join(unknown)}")
    return [BY_SYMBOL[symbol] for symbol in symbols] or LISTED
