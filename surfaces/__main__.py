"""The command ``python -m surfaces <surface>``: runs one surface until SIGTERM or Ctrl-C."""

import argparse
import os
import signal
import sys
import threading
from importlib import import_module

from domain.errors import TBotError
from journal import beat

# A surface's SDK is imported only by the process that runs it.
SURFACES = {"fx": "surfaces.oanda_fx.wire"}
PROGRAMS = {"fx": "oanda-fx"}


def main() -> int:
    """Run the surface named on the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m surfaces", description=__doc__)
    parser.add_argument("surface", choices=SURFACES)
    name = parser.parse_args().surface
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        import_module(SURFACES[name]).run(dict(os.environ), stop)
    except TBotError as error:
        print(f"surfaces {name}: {error}", file=sys.stderr)
        beat.note_end(os.environ, PROGRAMS[name], error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
