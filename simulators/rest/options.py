"""What the command lines of all simulators have in common."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from simulators.oanda.clock import Clock, parse_clock


class OptionError(ValueError):
    """An option that cannot be used; the message says what to write."""


def parser_of(module: str, description: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """Return a parser with the options that every simulator takes."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog=epilog or "Endpoints, fault actions and data: simulators/README.md.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one (default)")
    parser.add_argument("--clock", help="'real' or 'sim:<ISO start>@<speed>[,anchor=<unix seconds>]', else TBOT_CLOCK")
    parser.add_argument("--faults", type=Path, help="fault script, a JSON list")
    return parser


def checked_port(name: str, value: int) -> int:
    """Return a port as it was given.

    Raises:
        OptionError: there is no such port.
    """
    if not 0 <= value <= 65535:
        raise OptionError(f"{name}: expected 0 to 65535; found {value}")
    return value


def clock_of(parsed: argparse.Namespace) -> Clock:
    """Return the clock of the command line, else that of TBOT_CLOCK, else the machine's.

    Raises:
        ClockError: it does not follow the grammar.
    """
    return parse_clock(parsed.clock or os.environ.get("TBOT_CLOCK") or "real")


def json_of(option: str, path: Path, what: str) -> Any:
    """Return what stands in the file of an option.

    Raises:
        OptionError: it cannot be read, or is not JSON; ``what`` is the kind of JSON expected.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise OptionError(f"{option}: cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise OptionError(f"{option}: expected {what} in {path}; found {exc}") from exc
