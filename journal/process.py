"""The life of a process that trades or settles: its command line, its beginning, its end on request, its exit code."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module

from domain.clock import Clock, parse_clock
from domain.errors import Misconfigured, TBotError
from domain.house import House
from domain.surface_settings import OrderHost, SurfaceSettings, require_armed
from domain.vocabulary import Mode, Surface
from journal import beat, failpoints, process_log, redact

# surface -> the module whose ``run(environ, stop)`` is its process, and what the fleet calls that process
Wires = Mapping[str, tuple[str, str]]


def main(package: str, what: str | None, wires: Wires) -> int:
    """Run the surface named on the command line until SIGTERM or Ctrl-C, and return its exit code.

    A surface's SDK is imported only by the process that needs it: ``wires`` names modules instead of holding them.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=what)
    parser.add_argument("surface", choices=wires)
    name = parser.parse_args().surface
    module, program = wires[name]
    stop, environ = stop_on_request(), dict(os.environ)
    try:
        arm_failpoints(environ, mode_key=f"{name.upper()}_MODE")
        import_module(module).run(environ, stop)
    except TBotError as error:
        beat.note_end(environ, program, error)
        with suppress(OSError):  # the supervisor that read it may be gone
            print(redact.text(f"{package} {name}: {error}"), file=sys.stderr)
        return error.exit_code
    return 0


def begin(program: str, house: House, surface: Surface, settings: SurfaceSettings, host: OrderHost) -> Clock:
    """Return the clock of a process that may begin, its log configured.

    Raises:
        Misconfigured: mode and host don't fit together, or live trading is not armed.
    """
    arm_file = house.arm_file(surface)
    require_armed(settings, surface, host, arm_text=arm_file.read_text() if arm_file.is_file() else None)
    clock = parse_clock(house.clock)
    process_log.configure(program, clock)
    return clock


def stop_on_request() -> threading.Event:
    """Return an event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def arm_failpoints(environ: dict[str, str], *, mode_key: str) -> None:
    """Arm what a test asks for and take the key out of ``environ``, which holds settings only.

    Raises:
        Misconfigured: real money is traded, or the key does not read as it should.
    """
    wanted = environ.pop(failpoints.KEY, "")
    if wanted and environ.get(mode_key) == Mode.LIVE:
        raise Misconfigured(f"no {failpoints.KEY} with {mode_key}=live", "one", f"remove {failpoints.KEY}")
    failpoints.arm({failpoints.KEY: wanted})
