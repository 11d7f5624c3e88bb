"""Start, run and stop of the simulator process."""

import asyncio
import importlib
from datetime import UTC, datetime
from functools import partial

from simulators.kalshi.api import Api
from simulators.kalshi.catalogue_file import CatalogueError, load_catalogue
from simulators.kalshi.listing import Catalogue
from simulators.kalshi.options import Options, parse_options
from simulators.kalshi.persistence import Store
from simulators.kalshi.venue import Venue
from simulators.oanda.clock import ClockError
from simulators.rest import process
from simulators.rest.faults import FaultError, load_script
from simulators.rest.options import OptionError
from simulators.rest.state_file import StateError
from simulators.rest.transport import Server


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""

    def prepare() -> tuple[int, process.Serve]:
        options = parse_options(arguments)
        return options.port, partial(_serve, options, build_venue(options))

    return process.run("simulators.kalshi", prepare, (OptionError, CatalogueError, ClockError, FaultError, StateError))


def build_venue(options: Options) -> Venue:
    """Return the venue, caught up with its clock."""
    store = None if options.state is None else Store(options.state)
    venue = Venue(options.clock, _catalogue(options), options.accounts, store, options.wire)
    if options.faults is not None:
        venue.faults.add(load_script(options.faults), venue.position)
    return venue


def _catalogue(options: Options) -> Catalogue:
    if options.catalogue is not None:
        return load_catalogue(options.catalogue)
    # the built-in markets read recordings, which a test with its own markets does without
    built_in = importlib.import_module("simulators.kalshi.catalogue")
    start = options.clock.start or options.clock.now_ms() / 1000
    made: Catalogue = built_in.catalogue(datetime.fromtimestamp(start, UTC))
    return made


async def _serve(options: Options, venue: Venue, stop: asyncio.Event) -> None:
    server = Server(Api(venue).handle, '{"code":"bad_request","message":"%s"}')
    port = await server.listen(options.port)
    # whoever waits for the simulator reads the first line
    print(f"simulators.kalshi listening on http://127.0.0.1:{port}", flush=True)
    await stop.wait()
    await server.close()
