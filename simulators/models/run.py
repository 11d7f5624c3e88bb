"""Start, run and stop of the simulator process."""

import asyncio
from functools import partial

from simulators.models.api import Api
from simulators.models.options import Options, parse_options
from simulators.models.question import AnchorError
from simulators.models.venue import Venue
from simulators.oanda.clock import ClockError
from simulators.rest import process
from simulators.rest.faults import FaultError, load_script
from simulators.rest.options import OptionError
from simulators.rest.transport import Server


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""

    def prepare() -> tuple[int, process.Serve]:
        options = parse_options(arguments)
        return options.port, partial(_serve, options, build_venue(options))

    return process.run("simulators.models", prepare, (OptionError, ClockError, FaultError, AnchorError))


def build_venue(options: Options) -> Venue:
    """Return the state the options describe."""
    venue = Venue(options.clock, options.keys, options.catalogue, options.anchors, options.latency_scale)
    if options.faults is not None:
        venue.faults.add(load_script(options.faults))
    return venue


async def _serve(options: Options, venue: Venue, stop: asyncio.Event) -> None:
    server = Server(Api(venue).handle, '{"error":{"message":"%s"}}')
    bound = await server.listen(options.port)
    # whoever waits for the simulator reads the first line
    print(f"simulators.models listening on http://127.0.0.1:{bound}", flush=True)
    await stop.wait()
    await server.close()
