"""Start, run and stop of the simulator process."""

import asyncio
import signal
import sys

from simulators.oanda.api import Api
from simulators.oanda.clock import ClockError
from simulators.oanda.fault_schema import FaultError
from simulators.oanda.faults import load_faults
from simulators.oanda.options import OptionError, Options, parse_options
from simulators.oanda.persistence import StateError, Store
from simulators.oanda.recording import load_recordings
from simulators.oanda.tape import Tape, automatic_shift
from simulators.oanda.transport import Server
from simulators.oanda.venue import Venue

MISUSE = 2


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    try:
        options = parse_options(arguments)
        venue = build_venue(options)
    except (OptionError, ClockError, FaultError, StateError) as exc:
        print(f"simulators.oanda: {exc}", file=sys.stderr)
        return MISUSE
    try:
        asyncio.run(_serve(options, venue))
    except OSError as exc:
        print(f"simulators.oanda: cannot listen on port {options.port}: {exc.strerror}", file=sys.stderr)
        return 1
    return 0


def build_venue(options: Options) -> Venue:
    """Return the venue with its tape wound to the clock."""
    recordings = load_recordings()
    shift = options.shift_weeks
    if shift is None:
        shift = automatic_shift(recordings, options.clock.now_ms())
    store = None if options.state is None else Store(options.state)
    venue = Venue(options.clock, Tape(recordings, shift), options.accounts, store)
    if options.faults is not None:
        venue.faults.add(load_faults(options.faults), venue.position)
    return venue


async def _serve(options: Options, venue: Venue) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = Server(Api(venue).handle)
    port = await server.listen(options.port)
    stream_port = None if options.stream_port is None else await server.listen(options.stream_port)
    # whoever waits for the simulator reads the first line
    print(f"simulators.oanda listening on http://127.0.0.1:{port}", flush=True)
    if stream_port is not None:
        print(f"simulators.oanda streams on http://127.0.0.1:{stream_port}", flush=True)
    await stop.wait()
    await server.close()
