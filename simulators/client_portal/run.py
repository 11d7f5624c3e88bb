"""Start, run and stop of the simulator process."""

import asyncio
import importlib
import ssl
from functools import partial

from simulators.client_portal.api import Api
from simulators.client_portal.gateway import Gateway
from simulators.client_portal.options import Options, parse_options
from simulators.ibkr.tape import Tape
from simulators.ibkr.venue import Venue
from simulators.oanda.clock import ClockError
from simulators.rest import process
from simulators.rest.faults import FaultError, load_script
from simulators.rest.options import OptionError
from simulators.rest.transport import Server

# how often the venue is brought up to date while nobody asks (wall-clock seconds)
_BEAT_SECONDS = 0.1


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""

    def prepare() -> tuple[int, process.Serve]:
        options = parse_options(arguments)
        return options.port, partial(_serve, options, build_gateway(options))

    return process.run("simulators.client_portal", prepare, (OptionError, ClockError, FaultError))


def build_gateway(options: Options) -> Gateway:
    """Return the gateway in front of a venue that has caught up with its clock."""
    venue = Venue(Tape(), options.clock, options.accounts, state=options.state)
    gateway = Gateway(venue, options.rules)
    if options.faults is not None:
        gateway.faults.add(load_script(options.faults))
    return gateway


async def _serve(options: Options, gateway: Gateway, stop: asyncio.Event) -> None:
    context: ssl.SSLContext | None = None
    if options.tls:
        # 8 MiB that a gateway without TLS does not need
        context = importlib.import_module("simulators.client_portal.certificate").server_context()
    server = Server(Api(gateway).handle)
    port = await server.listen(options.port, context)
    scheme = "http" if context is None else "https"
    # whoever waits for the simulator reads the first line
    print(f"simulators.client_portal listening on {scheme}://127.0.0.1:{port}", flush=True)
    await _beat(gateway, stop)
    await server.close()


async def _beat(gateway: Gateway, stop: asyncio.Event) -> None:
    while not stop.is_set():
        gateway.tick()
        try:
            await asyncio.wait_for(stop.wait(), _BEAT_SECONDS)
        except TimeoutError:
            continue
