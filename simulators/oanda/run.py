"""Start, run and stop of the simulator process."""

import asyncio
from functools import partial

from simulators.oanda.api import Api
from simulators.oanda.clock import ClockError
from simulators.oanda.options import Options, parse_options
from simulators.oanda.persistence import Store
from simulators.oanda.recording import load_recordings
from simulators.oanda.tape import Tape, automatic_shift
from simulators.oanda.venue import Venue
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

    return process.run("simulators.oanda", prepare, (OptionError, ClockError, FaultError, StateError))


def build_venue(options: Options) -> Venue:
    """Return the venue with its tape wound to the clock."""
    recordings = load_recordings()
    shift = options.shift_weeks
    if shift is None:
        shift = automatic_shift(recordings, options.clock.now_ms())
    store = None if options.state is None else Store(options.state)
    venue = Venue(options.clock, Tape(recordings, shift), options.accounts, store)
    if options.faults is not None:
        venue.faults.add(load_script(options.faults), venue.position)
    return venue


async def _serve(options: Options, venue: Venue, stop: asyncio.Event) -> None:
    server = Server(Api(venue).handle, '{"errorMessage":"%s"}')
    port = await server.listen(options.port)
    stream_port = None if options.stream_port is None else await server.listen(options.stream_port)
    # whoever waits for the simulator reads the first line
    print(f"simulators.oanda listening on http://127.0.0.1:{port}", flush=True)
    if stream_port is not None:
        print(f"simulators.oanda streams on http://127.0.0.1:{stream_port}", flush=True)
    await stop.wait()
    await server.close()
