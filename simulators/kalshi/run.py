"""Start, run and stop of the simulator process."""

import asyncio
import importlib
import signal
import sys
from datetime import UTC, datetime

from simulators.kalshi.api import Api
from simulators.kalshi.catalogue_file import CatalogueError, load_catalogue
from simulators.kalshi.fault_schema import FaultError
from simulators.kalshi.faults import load_faults
from simulators.kalshi.listing import Catalogue
from simulators.kalshi.options import OptionError, Options, parse_options
from simulators.kalshi.persistence import StateError, Store
from simulators.kalshi.transport import Server
from simulators.kalshi.venue import Venue
from simulators.oanda.clock import ClockError

MISUSE = 2


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    try:
        options = parse_options(arguments)
        venue = build_venue(options)
    except (OptionError, CatalogueError, ClockError, FaultError, StateError) as exc:
        print(f"simulators.kalshi: {exc}", file=sys.stderr)
        return MISUSE
    try:
        asyncio.run(_serve(options, venue))
    except OSError as exc:
        print(f"simulators.kalshi: cannot listen on port {options.port}: {exc.strerror}", file=sys.stderr)
        return 1
    return 0


def build_venue(options: Options) -> Venue:
    """Return the venue, caught up with its clock."""
    store = None if options.state is None else Store(options.state)
    venue = Venue(options.clock, _catalogue(options), options.accounts, store, options.wire)
    if options.faults is not None:
        venue.faults.add(load_faults(options.faults), venue.position)
    return venue


def _catalogue(options: Options) -> Catalogue:
    if options.catalogue is not None:
        return load_catalogue(options.catalogue)
    # the built-in markets read recordings, which a test with its own markets does without
    built_in = importlib.import_module("simulators.kalshi.catalogue")
    start = options.clock.start or options.clock.now_ms() / 1000
    made: Catalogue = built_in.catalogue(datetime.fromtimestamp(start, UTC))
    return made


async def _serve(options: Options, venue: Venue) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = Server(Api(venue).handle)
    port = await server.listen(options.port)
    # whoever waits for the simulator reads the first line
    print(f"simulators.kalshi listening on http://127.0.0.1:{port}", flush=True)
    await stop.wait()
    await server.close()
