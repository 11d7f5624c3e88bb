"""The command ``python -m resolver <surface>``: settles one surface until SIGTERM or Ctrl-C."""

import argparse
import os
import signal
import sys
import threading
from importlib import import_module

from domain.errors import TBotError
from journal import beat

# A surface's SDK is imported only by the process that settles it.
SURFACES = {"fx": "resolver.oanda_fx.wire"}
PROGRAMS = {"fx": "resolver-fx"}


def main() -> int:
    """Run the resolver named on the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m resolver", description=__doc__)
    parser.add_argument("surface", choices=SURFACES)
    name = parser.parse_args().surface
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        import_module(SURFACES[name]).run(dict(os.environ), stop)
    except TBotError as error:
        print(f"resolver {name}: {error}", file=sys.stderr)
        beat.note_end(os.environ, PROGRAMS[name], error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
