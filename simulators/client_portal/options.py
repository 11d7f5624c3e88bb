"""Command line of the simulator."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from simulators.client_portal.gateway import Rules
from simulators.client_portal.session import Lives
from simulators.ibkr.accounts import AccountSpec
from simulators.ibkr.options import ACCOUNT_FORM, DEFAULT_ACCOUNTS, read_accounts
from simulators.oanda.clock import Clock
from simulators.rest.options import OptionError, checked_port, clock_of, parser_of

LIMITS = ("wall", "simulated", "off")
_ABOUT = "Interactive Brokers' Client Portal Web API on loopback, replaying recorded prices."
_EPILOG = """\
example:
  python -m simulators.client_portal --port 5000 --clock sim:2014-05-06T13:20:00Z@120 --accounts DU1:100000:margin

TBOT_CLOCK sets the clock when --clock does not; with neither it is the machine's own ('real').
Endpoints, fault actions and data: simulators/README.md."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the simulator was started with."""

    port: int
    clock: Clock
    accounts: list[AccountSpec]
    rules: Rules
    faults: Path | None
    state: Path | None
    tls: bool


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(
        "simulators.client_portal",
        "Interactive Brokers' Client Portal Web API on loopback, replaying recorded prices.",
        _EPILOG,
    )
    parser.add_argument("--accounts", default=DEFAULT_ACCOUNTS, help=f"{ACCOUNT_FORM}, several with commas between")
    parser.add_argument("--state", type=Path, help="folder that keeps the accounts between runs")
    parser.add_argument("--tls", action="store_true", help="HTTPS with a certificate made at the start")
    parser.add_argument(
        "--limits", choices=LIMITS, default="wall", help="clock rate limits are measured with (default wall)"
    )
    parser.add_argument(
        "--penalty-seconds", type=float, default=600.0, help="simulated time in the penalty box (default 600)"
    )
    parser.add_argument(
        "--idle-seconds", type=float, default=300.0, help="wall-clock life of a brokerage session nobody uses"
    )
    parser.add_argument("--reset-seconds", type=float, default=120.0, help="simulated length of the daily reset")
    parser.add_argument("--no-calendar", action="store_true", help="no daily reset, weekly login or end of the token")
    return parser


def parse_options(arguments: list[str] | None = None) -> Options:
    """Read the command line and TBOT_CLOCK.

    Raises:
        OptionError, ClockError: an option cannot be used; the message says what was expected.
    """
    parsed = _parser().parse_args(arguments)
    for name in ("penalty_seconds", "idle_seconds", "reset_seconds"):
        if not 0 < getattr(parsed, name) < 10**9:
            raise OptionError(f"--{name.replace('_', '-')}: expected seconds above 0; found {getattr(parsed, name)}")
    lives = Lives(idle_seconds=parsed.idle_seconds, reset_seconds=parsed.reset_seconds, calendar=not parsed.no_calendar)
    return Options(
        port=checked_port("--port", parsed.port),
        clock=clock_of(parsed),
        accounts=read_accounts(parsed.accounts),
        rules=Rules(limits=parsed.limits, penalty_seconds=parsed.penalty_seconds, lives=lives),
        faults=parsed.faults,
        state=parsed.state,
        tls=parsed.tls,
    )
