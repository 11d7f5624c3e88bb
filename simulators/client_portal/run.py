"""Start, run and stop of the simulator process."""

import asyncio
import importlib
import signal
import ssl
import sys

from simulators.client_portal.api import Api
from simulators.client_portal.gateway import Gateway
from simulators.client_portal.options import OptionError, Options, parse_options
from simulators.ibkr.tape import Tape
from simulators.ibkr.venue import Venue
from simulators.kalshi.transport import Server
from simulators.oanda.clock import ClockError
from simulators.rest.faults import FaultError, load_script

MISUSE = 2
# how often the venue is brought up to date while nobody asks (wall-clock seconds)
_BEAT_SECONDS = 0.1


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    try:
        options = parse_options(arguments)
        gateway = build_gateway(options)
    except (OptionError, ClockError, FaultError) as exc:
        print(f"simulators.client_portal: {exc}", file=sys.stderr)
        return MISUSE
    try:
        asyncio.run(_serve(options, gateway))
    except OSError as exc:
        print(f"simulators.client_portal: cannot listen on port {options.port}: {exc.strerror}", file=sys.stderr)
        return 1
    return 0


def build_gateway(options: Options) -> Gateway:
    """Return the gateway in front of a venue that has caught up with its clock."""
    venue = Venue(Tape(), options.clock, options.accounts, state=options.state)
    gateway = Gateway(venue, options.rules)
    if options.faults is not None:
        gateway.faults.add(load_script(options.faults))
    return gateway


async def _serve(options: Options, gateway: Gateway) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
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
