"""Start, run and stop of the simulator process."""

import asyncio
import signal
import sys

from simulators.models.api import Api
from simulators.models.fault_schema import FaultError
from simulators.models.faults import load_faults
from simulators.models.options import OptionError, Options, parse_options
from simulators.models.question import AnchorError
from simulators.models.transport import Server
from simulators.models.venue import Venue
from simulators.oanda.clock import ClockError

MISUSE = 2


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    try:
        options = parse_options(arguments)
        venue = build_venue(options)
    except (OptionError, ClockError, FaultError, AnchorError) as exc:
        print(f"simulators.models: {exc}", file=sys.stderr)
        return MISUSE
    try:
        asyncio.run(_serve(options.port, venue))
    except OSError as exc:
        print(f"simulators.models: cannot listen on port {options.port}: {exc.strerror}", file=sys.stderr)
        return 1
    return 0


def build_venue(options: Options) -> Venue:
    """Return the state the options describe."""
    venue = Venue(options.clock, options.keys, options.catalogue, options.anchors, options.latency_scale)
    if options.faults is not None:
        venue.faults.add(load_faults(options.faults))
    return venue


async def _serve(port: int, venue: Venue) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = Server(Api(venue).handle)
    bound = await server.listen(port)
    # whoever waits for the simulator reads the first line
    print(f"simulators.models listening on http://127.0.0.1:{bound}", flush=True)
    await stop.wait()
    await server.close()
